"""What a run will ask, how noisy the answers will be and what must fit where: from the configuration alone."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from spark_dp.errors import ConfigurationError, DomainTooLargeError
from spark_dp.mechanisms.catalog import mechanism_named
from spark_dp.mechanisms.protocol import Mechanism, MechanismPlan
from spark_dp.mechanisms.workload import Workload
from spark_dp.pipeline.config import RunConfig
from spark_dp.pipeline.config_sections import ColumnUnit
from spark_dp.pipeline.inputs import contribution_of
from spark_dp.spark.histograms import CountingLayout, counting_layout

COUNT_BYTES = 8
USABLE = 0.5
"""The share of declared memory that counts may take."""

_SUFFIX = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}


@dataclass(frozen=True, slots=True, kw_only=True)
class RunPlan:
    """The plan of a run. Free: no table is opened.

    Attributes:
        config: of the run.
        mechanism: that will ask.
        queries: what it will ask, with costs and noise.
        layout: what one pass counts.
        model_cells: cells that the model may have.
    """

    config: RunConfig
    mechanism: Mechanism
    queries: MechanismPlan
    layout: CountingLayout
    model_cells: int

    @property
    def driver_bytes(self) -> int:
        """Memory for counts on the driver: the sums that arrive, and their sum."""
        return 2 * COUNT_BYTES * self.layout.vector_cells

    @property
    def executor_bytes(self) -> int:
        """Memory for counts on an executor with all its tasks at work."""
        return COUNT_BYTES * self.layout.task_cells * task_slots(self.config.spark)

    def facts(self) -> dict[str, Any]:
        """Returns the plan, JSON-able."""
        privacy = self.config.privacy
        return {
            "epsilon": float(privacy.budget.epsilon),
            "delta": float(privacy.budget.delta),
            "rho": float(privacy.budget.rho),
            "unit": privacy.unit.label,
            "max_rows": privacy.unit.max_rows,
            "neighbours": privacy.neighbours.value,
            "mechanism": self.mechanism.name,
            "queries": [
                {
                    "name": q.name,
                    "kind": q.kind,
                    "rho": float(q.rho),
                    "marginals": len(q.cliques),
                    "cells": sum(self.config.schema.domain.cells(c) for c in q.cliques),
                    "stddev_rows": q.stddev,
                }
                for q in self.queries.queries
            ],
            "marginals_counted": len(self.queries.countable),
            "cells_counted": self.layout.vector_cells,
            "driver_bytes": self.driver_bytes,
            "executor_bytes": self.executor_bytes,
            "max_model_cells": self.model_cells,
            "notes": self.notes(),
        }

    def notes(self) -> list[str]:
        """Says in plain sentences what will happen to rows and columns."""
        unit = self.config.privacy.unit
        found = [note for column in self.config.schema.columns for note in column.notes()]
        if isinstance(unit, ColumnUnit):
            found.append(
                f"Each {unit.label} counts with the weight of at most {unit.max_rows} rows ({unit.bounding.value}); "
                f"rows whose {unit.label} is null: {unit.nulls.value}."
            )
            if unit.nulls.value == "one_unit":
                found.append(
                    "A person with rows under an id and rows under null is protected at twice the bound only."
                )
            hidden = [name for name in unit.columns if name not in self.config.schema.names]
            if hidden:
                found.append(f"{', '.join(hidden)} identifies the unit and is not in the output.")
        else:
            found.append("The unit is the row: a person with many rows is NOT protected as a whole.")
        found.append("Columns of the table that the schema does not name are not in the output.")
        return found


def plan_run(config: RunConfig, *, rho: Fraction | None = None) -> RunPlan:
    """Plans a run and checks that it fits.

    Args:
        config: of the run.
        rho: what the ledger has reserved; what epsilon and delta pay for where None. (Another machine may
            convert them to another last bit.)

    Raises:
        ConfigurationError: the mechanism is unknown, or the workload makes no sense.
        DomainTooLargeError: a marginal, the counts or the model do not fit; names the clique and its cells.
    """
    domain = config.schema.domain
    mechanism = mechanism_named(config.mechanism.name)
    if config.mechanism.targets:
        raise ConfigurationError(
            f"Setting 'mechanism.targets' is given, and mechanism {mechanism.name!r} has no use for it. Nothing was read or "
            "spent. Leave it out, or give the pairs that matter a weight in mechanism.workload.",
            field="mechanism.targets",
        )
    model_cells = int(config.mechanism.max_model_mb * 1_000_000 / COUNT_BYTES)
    chosen = config.mechanism.workload
    workload = (
        Workload.of_degree(domain, chosen.degree)
        if chosen.degree is not None
        else Workload.of_cliques(domain, chosen.cliques)
    )
    queries = mechanism.plan(
        domain,
        rho=config.privacy.budget.rho if rho is None else rho,
        contribution=contribution_of(config),
        workload=workload,
        max_cells=model_cells,
    )
    plan = RunPlan(
        config=config,
        mechanism=mechanism,
        queries=queries,
        layout=counting_layout(queries.countable, domain),
        model_cells=model_cells,
    )
    _require_fits(plan)
    return plan


def task_slots(spark: Mapping[str, str]) -> int:
    """Returns how many tasks an executor runs at once, by the settings; 1 where they do not say."""
    local = re.fullmatch(r"local\[(\d+)\]", spark.get("spark.master", ""))
    cores = int(local.group(1)) if local else int(spark.get("spark.executor.cores", "1"))
    return max(1, cores // int(spark.get("spark.task.cpus", "1")))


def memory_of(spark: Mapping[str, str], role: str) -> int:
    """Returns spark.<role>.memory in bytes; Spark's default is 1 GiB."""
    text = spark.get(f"spark.{role}.memory", "1g").strip().lower()
    found = re.fullmatch(r"(\d+)\s*([kmgt]?)b?", text)
    return int(found.group(1)) * _SUFFIX[found.group(2)] if found else 1 << 30


def _require_fits(plan: RunPlan) -> None:
    domain, settings = plan.config.schema.domain, plan.config.spark
    if not plan.layout.kept:
        return
    largest = max(plan.layout.kept, key=domain.cells)
    for role, needed in (("driver", plan.driver_bytes), ("executor", plan.executor_bytes)):
        allowed = int(memory_of(settings, role) * USABLE)
        if needed > allowed:
            raise DomainTooLargeError(
                f"Counting needs {needed / 1e6:,.0f} MB on {'the driver' if role == 'driver' else 'an executor'}, and "
                f"half of spark.{role}.memory is {allowed / 1e6:,.0f} MB. The largest marginal is {', '.join(largest)} "
                f"with {domain.cells(largest):,} cells. Nothing was read or spent. Use fewer bins or values, a workload "
                f"of a lower degree, or a larger spark.{role}.memory.",
                field=f"spark.spark.{role}.memory",
            )
