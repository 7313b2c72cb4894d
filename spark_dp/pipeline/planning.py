"""What a run will ask, how noisy the answers will be and what must fit where: from the configuration alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from math import comb
from typing import Any, Final

from spark_dp.errors import ConfigurationError, DomainTooLargeError
from spark_dp.graphical.zeros import StructuralZeros
from spark_dp.mechanisms.automatic import AUTO, Advice, advise
from spark_dp.mechanisms.catalog import mechanism_named
from spark_dp.mechanisms.protocol import Mechanism, MechanismPlan
from spark_dp.mechanisms.wide import Degree, cells_of_degree
from spark_dp.mechanisms.workload import Workload
from spark_dp.pipeline.config import RunConfig
from spark_dp.pipeline.config_sections import ColumnUnit
from spark_dp.pipeline.config_shares import learned_share
from spark_dp.pipeline.expected_error import ExpectedError, ExpectedRows, expected_errors
from spark_dp.pipeline.inputs import contribution_of
from spark_dp.pipeline.plan_account import Standing, standing_of
from spark_dp.pipeline.plan_accounting import accounting_facts, with_selections_of
from spark_dp.pipeline.plan_constraints import constraint_warnings, zeros_of
from spark_dp.pipeline.plan_limits import require_drawable
from spark_dp.pipeline.plan_private import PrivateStep, private_notes, private_steps
from spark_dp.pipeline.plan_resources import Memory, OutputSize, compared_bytes, passes_of, room_of
from spark_dp.pipeline.plan_time import RunTime
from spark_dp.pipeline.plan_warnings import (
    account_warnings,
    noise_warnings,
    promise_warnings,
    size_warnings,
)
from spark_dp.privacy.composition import Accounting
from spark_dp.spark.histograms import CountingLayout, counting_layout
from spark_dp.spark.pass_plan import COUNT_BYTES, CountingRoom, planned_passes

MOST_PAIRS: Final = 5_000
"""Pairs that the facts of a plan list, the worst ones; 100 columns have 4,950."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunPlan:
    """The plan of a run. Free: no table is opened.

    Attributes:
        config: of the run.
        mechanism: that will ask.
        reason: why it was chosen, where the configuration says auto; else None. Final once what the schema leaves open is
            learned; `reason_before` says that it is not, before.
        queries: what it will ask, with costs and noise; where steps learn the domain, of the largest that may come of them.
        steps: that learn what the schema leaves open, before it asks.
        accounting: in what it is charged: the account's.
        degree: of the workload, where it is given by one.
        layout: what is counted.
        passes: what each counting pass over the table counts; one pass wherever that fits.
        room: the memory that counts may take.
        model_cells: cells that `mechanism.max_model_mb` allows the model.
        memory: that it takes at most about.
    """

    config: RunConfig
    mechanism: Mechanism
    reason: str | None
    queries: MechanismPlan
    steps: tuple[PrivateStep, ...]
    accounting: Accounting
    degree: Degree | None
    layout: CountingLayout
    passes: tuple[CountingLayout, ...]
    room: CountingRoom
    model_cells: int
    memory: Memory

    @property
    def rho(self) -> Fraction:
        """What all queries together may cost, private steps included."""
        return self.queries.rho / (1 - learned_share(self.config.privacy, self.config.private))

    @property
    def reason_before(self) -> str | None:
        """Why the mechanism was chosen, as a plan says it: not the last word where private steps come first."""
        if self.reason is None or not self.steps:
            return self.reason
        return f"{self.reason}; chosen again from what the private steps learn, so that it may change"

    @property
    def held_cells(self) -> int:
        """Cells of counts that the driver may keep beside those of the latest pass."""
        return (self.memory.driver_allowed - self.memory.driver_counts) // COUNT_BYTES

    @property
    def expected(self) -> ExpectedRows:
        """About how many rows count, as far as the configuration says."""
        return ExpectedRows.of(self.config)

    @property
    def output(self) -> OutputSize:
        """Rows and files to come."""
        return OutputSize.of(self.config, self.expected)

    @property
    def time(self) -> RunTime:
        """About how long each stage takes."""
        reads = len(passes_of(self.config, len(self.passes)))
        return RunTime.of(self.config, self.queries, self.passes, reads, self.memory, self.output)

    def errors(self, ways: int) -> tuple[ExpectedError, ...]:
        """Returns the expected error of each measured marginal of `ways` columns, worst first."""
        return expected_errors(self.queries, self.expected, ways=ways)

    def standing(self) -> Standing:
        """Asks the ledger where the run stands: the only thing of a plan that is read from outside."""
        return standing_of(self.config)

    def warnings(self, standing: Standing) -> list[str]:
        """Says in plain sentences what is likely to go wrong and what to change."""
        return [
            *account_warnings(self.config, standing),
            *noise_warnings(self.config, self.expected, self.errors(1), self.errors(2)),
            *size_warnings(self.config, self.queries, self.memory, self.output),
            *constraint_warnings(self.config.schema, self.queries.zeros, self.model_cells),
            *promise_warnings(self.config, self.expected),
        ]

    def facts(self) -> dict[str, Any]:
        """Returns the plan, JSON-able. Asks the ledger (`standing`), whose URL is not in it.

        Keys:
            epsilon, delta, rho, unit, max_rows, nulls, bounding, neighbours, mechanism: the promise.
            mechanism_reason: why auto chose the mechanism, or null.
            accounting: see `plan_accounting.accounting_facts`: the method, the epsilon at several deltas, and what the
                other accounting would mean.
            account: see `Standing.facts`; the figures are the owner's.
            queries: name, kind ('measure', 'select' or 'score'), rho, share (of rho), marginals, cells, and stddev_rows:
                the noise of a cell or of a scored error in rows, or the scale of a selection's score.
            expected_rows, expected_rows_from: the size that errors are given for and the setting that says so, or null.
            private_steps: what is learned before, each with name, learns, share, rho, stddev, of, delta, threshold.
            columns: each with name, type and what `ExpectedError.facts` has, worst first.
            pairs: those that may be measured, worst first, at most MOST_PAIRS; pairs_planned counts all.
            workload: groups, cells and columns of each (None where a list is given), and why fewer than asked, or null.
            marginals_counted, cells_counted, passes: of the counting, in order.
            time: seconds, about, see `RunTime.facts`: of each stage, and of all where the rows are declared.
            max_model_cells: that mechanism.max_model_mb allows.
            memory: bytes, see `Memory`; driver_bytes and executor_bytes are the counts alone.
            output: rows, exact, tasks, folders, files, see `OutputSize`.
            warnings, notes: sentences.
        """
        privacy, standing = self.config.privacy, self.standing()
        unit, rho = privacy.unit, self.rho
        columns, pairs = self.errors(1), self.errors(2)
        schema, domain = self.config.schema, self.config.schema.domain
        return {
            "epsilon": float(privacy.budget.epsilon),
            "delta": float(privacy.budget.delta),
            "rho": float(rho),
            "unit": unit.label,
            "max_rows": unit.max_rows,
            "nulls": unit.nulls.value if isinstance(unit, ColumnUnit) else None,
            "bounding": unit.bounding.value if isinstance(unit, ColumnUnit) else None,
            "neighbours": privacy.neighbours.value,
            "mechanism": self.mechanism.name,
            "mechanism_reason": self.reason_before,
            "accounting": accounting_facts(self.config, self.queries, self.accounting, self.rho),
            "account": standing.facts(),
            "queries": [
                {
                    "name": q.name,
                    "kind": q.kind,
                    "rho": float(q.rho),
                    "share": float(q.rho / rho),
                    "marginals": len(q.cliques),
                    "cells": sum(domain.cells(c) for c in q.cliques),
                    "stddev_rows": q.stddev,
                }
                for q in self.queries.queries
            ],
            "private_steps": [step.facts(rho) for step in self.steps],
            "expected_rows": self.expected.rows,
            "expected_rows_from": self.expected.source,
            "columns": [
                {"name": e.clique[0], "type": str(schema.column(e.clique[0]).type), **e.facts()}
                for e in columns
            ],
            "pairs": [e.facts() for e in pairs[:MOST_PAIRS]],
            "pairs_planned": len(pairs),
            "workload": self.workload_facts(),
            "marginals_counted": len(self.queries.countable),
            "cells_counted": self.layout.vector_cells,
            "passes": list(passes_of(self.config, len(self.passes))),
            "driver_bytes": self.memory.driver_counts,
            "executor_bytes": self.memory.executor_counts,
            "memory": self.memory.facts(),
            "time": self.time.facts(),
            "max_model_cells": self.model_cells,
            "output": self.output.facts(),
            "warnings": self.warnings(standing),
            "notes": self.notes(),
        }

    def workload_facts(self) -> dict[str, Any]:
        """Returns what should be good, JSON-able."""
        domain, degree = self.config.schema.domain, self.degree
        if degree is None:
            cliques = [clique for clique, _ in self.config.mechanism.workload.cliques]
            cells = sum(map(domain.cells, cliques))
            return {"degree": None, "groups": len(cliques), "cells": cells, "reduced_because": None}
        return {
            "degree": degree.taken,
            "groups": comb(len(domain), degree.taken),
            "cells": cells_of_degree(domain, degree.taken),
            "reduced_because": degree.reason,
        }

    def notes(self) -> list[str]:
        """Says in plain sentences what will happen to rows and columns."""
        unit = self.config.privacy.unit
        found = [note for column in self.config.schema.columns for note in column.notes()]
        found += self.config.schema.constraint_notes()
        found += private_notes(self.config)
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


def plan_run(
    config: RunConfig, *, accounting: Accounting = Accounting.GAUSSIAN, rho: Fraction | None = None
) -> RunPlan:
    """Plans a run and checks that it fits.

    Args:
        config: of the run.
        accounting: the account's; that of new accounts where there is none yet.
        rho: what the ledger has reserved; what epsilon and delta pay for where None. (Another machine may
            convert them to another last bit.)

    Raises:
        ConfigurationError: the mechanism is unknown, or the workload makes no sense.
        DomainTooLargeError: a marginal, the counts or the model do not fit; names the clique and its cells.
    """
    try:
        return _plan(config, accounting, config.privacy.budget.rho_in(accounting) if rho is None else rho)
    except ConfigurationError as error:
        raise config.placed(error) from None


def _plan(config: RunConfig, accounting: Accounting, rho: Fraction) -> RunPlan:
    domain = config.schema.domain
    model_cells = int(config.mechanism.max_model_mb * 1_000_000 / COUNT_BYTES)
    chosen = config.mechanism.workload
    degree = None if chosen.degree is None else Degree.of(domain, chosen.degree)
    workload = (
        Workload.of_cliques(domain, chosen.cliques)
        if degree is None
        else Workload.of_degree(domain, degree.taken)
    ).favouring(config.mechanism.targets)
    zeros = zeros_of(config.schema, model_cells)
    advice = _advice(config, workload, rho, model_cells, zeros)
    mechanism = mechanism_named(config.mechanism.name) if advice is None else advice.mechanism
    if config.mechanism.targets and mechanism.name == "independent":
        raise ConfigurationError(
            "Setting 'mechanism.targets' is given, and mechanism 'independent' has no use for it: it keeps no relation. "
            "Nothing was read or spent. Leave it out, or choose another mechanism.",
            field="mechanism.targets",
        )
    queries = mechanism.plan(
        domain,
        rho=rho * (1 - learned_share(config.privacy, config.private)),
        contribution=contribution_of(config),
        workload=workload,
        max_cells=model_cells,
        zeros=zeros,
    )
    steps = private_steps(config, rho)
    require_drawable(queries, steps)
    layout, room = counting_layout(queries.countable, domain), room_of(config)
    beside = replace(room, driver=max(room.driver - compared_bytes(queries), room.driver // 4))
    passes = (layout,) if room.holds(layout) else planned_passes(queries.countable, layout, beside)
    plan = RunPlan(
        config=config,
        mechanism=mechanism,
        reason=None if advice is None else advice.reason,
        queries=with_selections_of(queries, accounting),
        steps=steps,
        accounting=accounting,
        degree=degree,
        layout=layout,
        passes=passes,
        room=room,
        model_cells=model_cells,
        memory=Memory.of(room, queries, passes),
    )
    _require_fits(plan)
    return plan


def _advice(
    config: RunConfig,
    workload: Workload,
    rho: Fraction,
    model_cells: int,
    zeros: Sequence[StructuralZeros],
) -> Advice | None:
    """Chooses a mechanism where the configuration leaves it open."""
    if config.mechanism.name != AUTO:
        return None
    return advise(
        config.schema.domain,
        rho=rho,
        contribution=contribution_of(config),
        workload=workload,
        max_cells=model_cells,
        expected_rows=config.input.expected_rows,
        zeros=zeros,
    )


def _require_fits(plan: RunPlan) -> None:
    domain, memory = plan.config.schema.domain, plan.memory
    if not plan.layout.kept:
        return
    largest = max(plan.layout.kept, key=domain.cells)
    rounds = sum(1 for query in plan.queries.queries if query.kind == "select")
    whole = plan.room.driver_bytes(plan.layout)
    if len(plan.passes) > 1 and rounds and whole > memory.driver_allowed:
        raise DomainTooLargeError(
            f"Mechanism {plan.mechanism.name!r} looks at all counts in each of its rounds, which takes {whole / 1e6:,.0f} "
            f"MB on the driver, and half of spark.driver.memory is {memory.driver_allowed / 1e6:,.0f} MB. Nothing was read "
            "or spent. Write mechanism.name: oneshot or auto, which counts in passes that fit; or use fewer bins or values, "
            "or a larger spark.driver.memory.",
            field="mechanism.name",
        )
    for role, needed, allowed in (
        ("driver", memory.driver_counts, memory.driver_allowed),
        ("executor", memory.executor_counts, memory.executor_allowed),
    ):
        if needed > allowed:
            raise DomainTooLargeError(
                f"Counting needs {needed / 1e6:,.0f} MB on {'the driver' if role == 'driver' else 'an executor'}, and "
                f"half of spark.{role}.memory is {allowed / 1e6:,.0f} MB. The largest marginal is {', '.join(largest)} "
                f"with {domain.cells(largest):,} cells. Nothing was read or spent. Use fewer bins or values, a workload "
                f"of a lower degree, or a larger spark.{role}.memory.",
                field=f"spark.spark.{role}.memory",
            )
