"""Counting the three tables that an evaluation compares. Exact, SENSITIVE: for the owner alone.

    raw         opened.raw_pass       ──┐
    bounded     opened.bounded_pass   ──┼──▶ one vector of counts each ──▶ shares, a marginal at a time
    synthetic   the output            ──┘

Raw and bounded rows are not the same rows (units that are null are dropped, a sample keeps some rows), so they are
counted in a pass each; where the unit is the row, they are, and are counted once.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from spark_dp.evaluation.choice import Choice, choose_cliques
from spark_dp.evaluation.evaluate import compare_marginals
from spark_dp.evaluation.marginals import Marginal
from spark_dp.evaluation.results import FORMAT, Evaluation, OfTables, Statistic
from spark_dp.pipeline.config import RunConfig
from spark_dp.pipeline.config_sections import ColumnUnit
from spark_dp.pipeline.inputs import OpenedInput, contribution_of
from spark_dp.pipeline.plan_resources import USABLE, memory_of, task_slots
from spark_dp.schema.domain import Clique
from spark_dp.schema.table import TableSchema
from spark_dp.spark.counting import count_rows_of, sums_of
from spark_dp.spark.encode import RowReader
from spark_dp.spark.histograms import COVER_CELLS, CountingLayout, counting_layout, split_vector
from spark_dp.spark.numbers import numbers_of
from spark_dp.spark.packing import Transport
from spark_dp.spark.pass_plan import COUNT_BYTES

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

COMPARED_CELLS = 1 << 24
"""Cells of all compared marginals at most: 128 MiB a table."""

_TOGETHER = 256
"""Marginals that are cut out of the vectors at a time."""

Vector = NDArray[np.int64]


def marginals_to_compare(config: RunConfig) -> tuple[Choice, CountingLayout]:
    """Chooses what is compared, so that counting it fits the declared memory of driver and executors."""
    domain = config.schema.domain
    cells = COMPARED_CELLS
    while True:
        choice = choose_cliques(domain, cells=cells)
        for cover_cells in (COVER_CELLS, 0):  # in few histograms, or in small ones
            # () counts the rows: it is there also where nothing else fits.
            layout = counting_layout([(), *choice.cliques], domain, cover_cells)
            if not cells or _fits(layout, config.spark):
                return choice, layout
        cells //= 2


def _fits(layout: CountingLayout, spark: Mapping[str, str]) -> bool:
    # Three tables' vectors, and the sums that arrive of one of them.
    driver = COUNT_BYTES * layout.vector_cells * (3 + sums_of(layout))
    executor = COUNT_BYTES * layout.task_cells * task_slots(spark)
    return driver <= memory_of(spark, "driver") * USABLE and executor <= memory_of(spark, "executor") * USABLE


@dataclass(frozen=True, slots=True, eq=False)
class Counts:
    """The counts of a layout in the three tables; those of the bounded one in fixed point. SENSITIVE."""

    layout: CountingLayout
    raw: Vector
    bounded: Vector
    synthetic: Vector

    def marginals(self, cliques: Sequence[Clique]) -> Iterator[Marginal]:
        """Yields the shares of each clique's cells."""
        for start in range(0, len(cliques), _TOGETHER):
            some = cliques[start : start + _TOGETHER]
            tables = [split_vector(v, self.layout, some) for v in (self.raw, self.bounded, self.synthetic)]
            for clique in some:
                yield Marginal.of_counts(clique, *(counts[clique] for counts in tables))

    def rows(self, weight_unit: int) -> OfTables:
        """Returns the rows of each table that the schema keeps; of the bounded one, their weight in rows."""
        raw, bounded, synthetic = (
            int(split_vector(vector, self.layout, [()])[()])
            for vector in (self.raw, self.bounded, self.synthetic)
        )
        return OfTables(raw=raw, bounded=bounded / weight_unit, synthetic=synthetic)


def compare_tables(
    opened: OpenedInput,
    output: DataFrame,
    choice: Choice,
    layout: CountingLayout,
    *,
    run_id: str,
    compared: str,
) -> Evaluation:
    """Counts the three tables and compares them.

    Args:
        opened: the input.
        output: with each declared column in its declared type.
        choice: the marginals to compare.
        layout: how they are counted.
        run_id: of the run, which keys what a sample keeps.
        compared: digest of input, output and run.
    """
    config = opened.config
    schema, unit = config.schema, config.privacy.unit
    transport = Transport.of(schema)
    raw = opened.raw_pass().run(layout).vector
    bounded = opened.bounded_pass(run_id).run(layout).vector if isinstance(unit, ColumnUnit) else raw
    synthetic = count_rows_of(output.select(*transport.expressions()), RowReader(transport), layout).vector
    counts = Counts(layout, raw, bounded, synthetic)
    numbers = _statistics(opened.rows, output, schema)
    if opened.from_path:
        opened.unchanged()
    found = compare_marginals(schema, counts.marginals(choice.cliques), numbers)
    return Evaluation(
        compared=compared,
        unit=unit.label,
        max_rows=unit.max_rows,
        rows=counts.rows(contribution_of(config).unit),
        marginals=choice.coverage,
        mean=found.mean,
        cliques=found.cliques,
        columns=found.columns,
        worst_cells=found.worst_cells,
    )


def _statistics(raw: DataFrame, synthetic: DataFrame, schema: TableSchema) -> dict[str, dict[str, Statistic]]:
    found, made = numbers_of(raw, schema), numbers_of(synthetic, schema)
    return {
        column: {name: Statistic(raw=value, synthetic=made[column][name]) for name, value in numbers.items()}
        for column, numbers in found.items()
    }


def evaluation_there(written: bytes | None, compared: str) -> Evaluation | None:
    """Returns an evaluation that was written earlier; None where it is of other tables or another format."""
    if written is None:
        return None
    try:
        facts: Any = json.loads(written)
    except ValueError:
        return None
    if not isinstance(facts, dict) or (facts.get("format"), facts.get("compared")) != (FORMAT, compared):
        return None
    return Evaluation.from_facts(facts)


def evaluation_bytes(evaluation: Evaluation) -> bytes:
    """Writes an evaluation; the inverse of `evaluation_there`."""
    return json.dumps(evaluation.facts(), indent=1, allow_nan=False).encode()
