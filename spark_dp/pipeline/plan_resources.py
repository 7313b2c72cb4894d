"""What a run will need and make: memory of driver and executors, passes over the table, rows and files."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from spark_dp.graphical.junction_tree import build_junction_tree
from spark_dp.mechanisms.oneshot import SCORED_CELLS
from spark_dp.mechanisms.protocol import MechanismPlan
from spark_dp.pipeline.config import RunConfig
from spark_dp.pipeline.config_sections import Bounding, ColumnUnit
from spark_dp.pipeline.config_tree import refuse
from spark_dp.pipeline.expected_error import ExpectedRows
from spark_dp.spark.file_tables import PLAIN_FILES
from spark_dp.spark.generate import CHUNK_ROWS, tasks_of
from spark_dp.spark.histograms import CountingLayout
from spark_dp.spark.pass_plan import COUNT_BYTES, CountingRoom

USABLE: Final = 0.5
"""The share of declared memory that counts may take."""

FIT_COPIES: Final = 10
"""Copies of the model's tables that its fit holds at most, measured as 8 to 9 on models of 50,000 to 2 million cells."""

COMPARED_COPIES: Final = 5
"""Copies of compared estimates at most: in floats, in fixed point, stored, counted, and their difference."""

_SUFFIX = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """Memory in bytes, at most about, besides what Python and Spark themselves take.

    Attributes:
        driver_counts: the sums of counts that arrive in one pass, and their sum.
        driver_scores: estimates that are compared with counts at a time.
        driver_noise: noisy marginals, and the draws of the largest of them.
        driver_fit: the model while it is fitted.
        executor_counts: counts on an executor with all its tasks at work.
        tasks: that an executor runs at once, as far as the settings say.
        driver_allowed, executor_allowed: half of spark.<role>.memory.
        model_cells: cells that the model may have, by the mechanism and by max_model_mb.
        model_is_open: whether that is the limit alone: what is worth measuring decides, and is not known.
    """

    driver_counts: int
    driver_scores: int
    driver_noise: int
    driver_fit: int
    executor_counts: int
    tasks: int
    driver_allowed: int
    executor_allowed: int
    model_cells: int
    model_is_open: bool

    @property
    def driver(self) -> int:
        """The most at a time: models are fitted after the counts were taken, and while they are kept."""
        return self.driver_counts + self.driver_scores + self.driver_noise + self.driver_fit

    @property
    def without_model(self) -> int:
        """The same but for the model, which may be as small as its columns."""
        return self.driver_counts + self.driver_scores

    @classmethod
    def of(cls, room: CountingRoom, queries: MechanismPlan, passes: Sequence[CountingLayout]) -> Memory:
        """Works it out from declared sizes.

        Args:
            room: what counts may take.
            queries: the mechanism's plan.
            passes: over the table, one layout each.
        """
        model_cells = _largest_model(queries)
        measured = max(map(queries.domain.cells, queries.countable), default=0)
        return cls(
            driver_counts=max(map(room.driver_bytes, passes)),
            driver_scores=compared_bytes(queries),
            driver_noise=COUNT_BYTES * (model_cells + min(measured, model_cells)),
            driver_fit=COUNT_BYTES * model_cells * FIT_COPIES,
            executor_counts=max(map(room.executor_bytes, passes)),
            tasks=room.tasks,
            driver_allowed=room.driver,
            executor_allowed=room.executor,
            model_cells=model_cells,
            model_is_open=_is_open(queries),
        )

    def facts(self) -> dict[str, Any]:
        """Returns it JSON-able."""
        return {name: getattr(self, name) for name in self.__slots__} | {"driver": self.driver}


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputSize:
    """What will be written, as far as it can be said beforehand.

    Attributes:
        rows: None where they are the noisy total and no size is expected.
        exact: whether `rows` is what was asked for.
        tasks: that write.
        folders: of partitions at most; 1 without any.
        files: at most; without partitions one a task.
    """

    rows: int | None
    exact: bool
    tasks: int | None
    folders: int
    files: int | None

    @classmethod
    def of(cls, config: RunConfig, expected: ExpectedRows) -> OutputSize:
        """Works it out from what is declared."""
        rows = config.output.rows if config.output.rows is not None else expected.rows
        tasks = None if rows is None else len(tasks_of(_chunks(rows)))
        folders = config.schema.domain.cells(config.output.partition_by)
        return cls(
            rows=rows,
            exact=config.output.rows is not None,
            tasks=tasks,
            folders=folders,
            files=None if tasks is None or rows is None else min(tasks * folders, max(rows, 1)),
        )

    def facts(self) -> dict[str, Any]:
        """Returns it JSON-able."""
        return {name: getattr(self, name) for name in self.__slots__}


def compared_bytes(queries: MechanismPlan) -> int:
    """Returns what estimates take on the driver while they are compared with counts."""
    compared = [
        min(SCORED_CELLS, cells) if query.kind == "score" else cells
        for query in queries.queries
        if query.kind != "measure"
        for cells in [sum(map(queries.domain.cells, query.cliques))]
    ]
    return COUNT_BYTES * max(compared, default=0) * COMPARED_COPIES


def room_of(config: RunConfig) -> CountingRoom:
    """Returns the memory that counts may take, by the settings of Spark."""
    return CountingRoom(
        driver=int(memory_of(config.spark, "driver") * USABLE),
        executor=int(memory_of(config.spark, "executor") * USABLE),
        tasks=task_slots(config.spark),
    )


def passes_of(config: RunConfig, counting: int = 1) -> tuple[str, ...]:
    """Says which times the table is read to measure it, in order.

    Args:
        config: of the run.
        counting: passes that count marginals, as planned.
    """
    unit, source = config.privacy.unit, config.input
    steps = []
    if isinstance(unit, ColumnUnit):
        what = "the rows of each unit are counted"
        if unit.bounding is Bounding.SAMPLE:
            what += "; the encoded rows are kept by Spark, shuffled by unit and sampled"
        steps.append(what)
    counted = [f"part {i} of {counting} of the marginals is counted" for i in range(1, counting + 1)]
    steps = [*private_passes(config), *steps, *(counted if counting > 1 else ["every marginal is counted"])]
    if source.table is not None or source.format not in PLAIN_FILES:
        changed = "the rows are fingerprinted, for a table without a list of files"
        steps = [f"{changed}: before", *steps, f"{changed}: after"]
    return tuple(steps)


def private_passes(config: RunConfig) -> list[str]:
    """Says which times the table is read for private steps, in order; each but the first and the last bounds it anew."""
    unit = config.privacy.unit
    found = [f"units are counted by {p.name}" for p in config.private if p.values is not None]
    if isinstance(unit, ColumnUnit) and unit.learned is not None:
        found.append("units are counted by their rows")
    if any(private.bins is not None for private in config.private):
        found.append("the grids of private bins are counted")
    nulls = [p.name for p in config.private if p.bins is None and p.nulls is not None]
    return [*found, *(f"nulls of {name} are counted" for name in nulls)]


def task_slots(spark: Mapping[str, str]) -> int:
    """Returns how many tasks an executor runs at once, by the settings; 1 where they do not say."""
    local = re.fullmatch(r"local\[(\d+)(?:,\s*\d+)?\]", spark.get("spark.master", ""))
    cores = int(local.group(1)) if local else _whole(spark, "spark.executor.cores")
    return max(1, cores // _whole(spark, "spark.task.cpus"))


def memory_of(spark: Mapping[str, str], role: str) -> int:
    """Returns spark.<role>.memory in bytes; Spark's default is 1 GiB."""
    key = f"spark.{role}.memory"
    found = re.fullmatch(r"(\d{1,15})\s*([kmgt]?)b?", spark.get(key, "1g").strip().lower(), re.ASCII)
    if found is None:
        refuse(
            f"spark.{key}", f"is {spark[key]!r}. Nothing was read or spent. Write a size such as 4g or 512m."
        )
    # Spark takes a bare number as bytes in some versions and as MiB in others: it is small either way.
    return int(found.group(1)) * _SUFFIX[found.group(2)]


def _whole(spark: Mapping[str, str], key: str) -> int:
    text = spark.get(key, "1").strip()
    if not re.fullmatch(r"[1-9][0-9]{0,5}", text):
        refuse(f"spark.{key}", f"is {text!r}. Nothing was read or spent. Write a whole number from 1.")
    return int(text)


def _chunks(rows: int) -> int:
    """Returns len(chunk_sizes(rows)) without making the list, which is long for many rows."""
    return math.ceil(rows / CHUNK_ROWS)


def _is_open(queries: MechanismPlan) -> bool:
    """Whether any set of marginals may be chosen, and not a forest of pairs alone."""
    return any(len(clique) > 2 for clique in queries.countable) or any(
        query.kind == "score" or query.rounds > 1 for query in queries.queries
    )


def _largest_model(queries: MechanismPlan) -> int:
    """Returns how many cells the model may have: all columns, and as many of the largest pairs as may be chosen.

    Where sets with loops may be chosen, their junction tree may take all that is allowed. What constraints name together is
    held from the start; pairs add no more to that than their own cells.
    """
    domain = queries.domain
    kinds = [query.kind for query in queries.queries]
    if _is_open(queries):
        return min(queries.max_cells, domain.cells(domain))
    edges = kinds.count("select")
    sizes = {clique: domain.cells(clique) for clique in queries.countable if len(clique) > 1}
    largest = sum(sorted(sizes.values(), reverse=True)[:edges])
    forbidden = [zero.clique for zero in queries.zeros]
    base = build_junction_tree(domain, forbidden, max_cells=queries.max_cells).cells
    return min(queries.max_cells, base + largest)
