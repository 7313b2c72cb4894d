"""What an evaluation found, and its JSON-able form. NOT PRIVATE: exact facts of the real table, for its owner alone.

Three tables are compared, two at a time:

    raw         the rows as they are
    bounded     the same rows with each unit's weight bounded
    synthetic   the output

    raw → bounded          what bounding changed: the price of protecting units with many rows
    bounded → synthetic    what noise and model changed
    raw → synthetic        both: what a reader of the output sees
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from spark_dp.errors import InputError
from spark_dp.schema.domain import Clique

FORMAT = 2
WARNING = "NOT PRIVATE: computed from the real rows, for their owner alone."
STATISTICS = ("mean", "stddev", "p5", "p25", "p50", "p75", "p95")
"""The statistics of a column of numbers, in the order in which they are shown."""

RATES = ("null", "other", "nan")


@dataclass(frozen=True, slots=True, kw_only=True)
class OfTables:
    """A number of each of the three tables: a share in [0, 1], or rows."""

    raw: float
    bounded: float
    synthetic: float

    def facts(self) -> dict[str, float]:
        return {"raw": self.raw, "bounded": self.bounded, "synthetic": self.synthetic}


@dataclass(frozen=True, slots=True, kw_only=True)
class Distances:
    """Total variation, in [0, 1], of each two of the three tables; 0 is best."""

    raw_to_bounded: float
    bounded_to_synthetic: float
    raw_to_synthetic: float

    def facts(self) -> dict[str, float]:
        return {
            "raw_to_bounded": self.raw_to_bounded,
            "bounded_to_synthetic": self.bounded_to_synthetic,
            "raw_to_synthetic": self.raw_to_synthetic,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Shares:
    """The share of each cell in each of the three tables, in the order of the labels."""

    raw: tuple[float, ...]
    bounded: tuple[float, ...]
    synthetic: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Statistic:
    """A statistic of the raw and the synthetic rows; None where there is no number to compute it from."""

    raw: float | None
    synthetic: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnComparison:
    """One column.

    Attributes:
        name: of the column, as it is: escape it where it is shown.
        type: its stored type.
        labels: one a cell, as they are; a column of very many cells has neighbouring ones taken together.
        shares: of the cells, one a label; empty, and no labels, where the column was too large to be counted.
        rates: the share of rows in the cells 'null', 'other' and 'nan', of those that the column has.
        numbers: `STATISTICS` of the values, clipped to the declared range, nulls and NaN left out; None where the
            column is not one of numbers with a declared range.
    """

    name: str
    type: str
    labels: tuple[str, ...]
    shares: Shares
    rates: Mapping[str, OfTables]
    numbers: Mapping[str, Statistic] | None

    def facts(self) -> dict[str, Any]:
        shares = self.shares
        return {
            "name": self.name,
            "type": self.type,
            "labels": list(self.labels),
            "shares": {
                "raw": list(shares.raw),
                "bounded": list(shares.bounded),
                "synthetic": list(shares.synthetic),
            },
            "rates": {name: rate.facts() for name, rate in self.rates.items()},
            "numbers": self.numbers
            and {name: {"raw": n.raw, "synthetic": n.synthetic} for name, n in self.numbers.items()},
        }

    @classmethod
    def from_facts(cls, facts: Mapping[str, Any]) -> ColumnComparison:
        numbers = facts["numbers"]
        return cls(
            name=facts["name"],
            type=facts["type"],
            labels=tuple(facts["labels"]),
            shares=Shares(**{table: tuple(shares) for table, shares in facts["shares"].items()}),
            rates={name: OfTables(**rate) for name, rate in facts["rates"].items()},
            numbers=numbers and {name: Statistic(**statistic) for name, statistic in numbers.items()},
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class CliqueComparison:
    """One marginal."""

    columns: Clique
    distances: Distances

    def facts(self) -> dict[str, Any]:
        return {"columns": list(self.columns), **self.distances.facts()}

    @classmethod
    def from_facts(cls, facts: Mapping[str, Any]) -> CliqueComparison:
        distances = {name: value for name, value in facts.items() if name != "columns"}
        return cls(columns=tuple(facts["columns"]), distances=Distances(**distances))


@dataclass(frozen=True, slots=True, kw_only=True)
class CellComparison:
    """One cell of a marginal: a label for each of its columns, and its share in each table."""

    columns: Clique
    cell: tuple[str, ...]
    shares: OfTables

    def facts(self) -> dict[str, Any]:
        return {"columns": list(self.columns), "cell": list(self.cell), **self.shares.facts()}

    @classmethod
    def from_facts(cls, facts: Mapping[str, Any]) -> CellComparison:
        shares = {name: value for name, value in facts.items() if name not in ("columns", "cell")}
        return cls(columns=tuple(facts["columns"]), cell=tuple(facts["cell"]), shares=OfTables(**shares))


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """How many marginals of a number of columns were compared, of how many."""

    compared: int
    of: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """How close the synthetic table came. NOT PRIVATE.

    Attributes:
        compared: digest of the input, the output and the run: what the evaluation is of.
        unit: whom the promise is for, in a word; 'row' where each row is a unit.
        max_rows: to which a unit was bounded.
        rows: of the three tables; of the bounded one their total weight in rows.
        marginals: how many were compared, by their number of columns.
        mean: of the distances of the compared ones, by number of columns; a degree with none is not there.
        cliques: all compared ones of one and two columns, and the worst of three; by degree, worst first.
        columns: in the schema's order.
        worst_cells: where bounded and synthetic shares differ most, worst first.
    """

    compared: str
    unit: str
    max_rows: int
    rows: OfTables
    marginals: Mapping[int, Coverage]
    mean: Mapping[int, Distances]
    cliques: tuple[CliqueComparison, ...]
    columns: tuple[ColumnComparison, ...]
    worst_cells: tuple[CellComparison, ...]

    def of_degree(self, degree: int) -> tuple[CliqueComparison, ...]:
        """Returns the cliques of this many columns that are listed, worst first."""
        return tuple(clique for clique in self.cliques if len(clique.columns) == degree)

    def facts(self) -> dict[str, Any]:
        """Returns the evaluation, JSON-able."""
        comparisons = ("raw_to_bounded", "bounded_to_synthetic", "raw_to_synthetic")
        return {
            "format": FORMAT,
            "warning": WARNING,
            "compared": self.compared,
            "unit": self.unit,
            "max_rows": self.max_rows,
            "rows": self.rows.facts(),
            "marginals": {
                str(degree): {"compared": found.compared, "of": found.of}
                for degree, found in self.marginals.items()
            },
            "mean": {
                name: {str(degree): getattr(found, name) for degree, found in self.mean.items()}
                for name in comparisons
            },
            "cliques": [clique.facts() for clique in self.cliques],
            "columns": [column.facts() for column in self.columns],
            "worst_cells": [cell.facts() for cell in self.worst_cells],
        }

    @classmethod
    def from_facts(cls, facts: Mapping[str, Any]) -> Evaluation:
        """Reads what `facts` returned, also after JSON.

        Raises:
            InputError: it is of another format.
        """
        if facts.get("format") != FORMAT:
            raise InputError(
                f"The evaluation has format {facts.get('format')!r}; this release reads {FORMAT}. Nothing was spent. "
                "Run `spark-dp evaluate` again."
            )
        mean = facts["mean"]
        return cls(
            compared=facts["compared"],
            unit=facts["unit"],
            max_rows=facts["max_rows"],
            rows=OfTables(**facts["rows"]),
            marginals={int(degree): Coverage(**found) for degree, found in facts["marginals"].items()},
            mean={
                int(degree): Distances(**{name: by_degree[degree] for name, by_degree in mean.items()})
                for degree in mean["raw_to_synthetic"]
            },
            cliques=tuple(CliqueComparison.from_facts(clique) for clique in facts["cliques"]),
            columns=tuple(ColumnComparison.from_facts(column) for column in facts["columns"]),
            worst_cells=tuple(CellComparison.from_facts(cell) for cell in facts["worst_cells"]),
        )

    def text(self) -> str:
        """Returns the evaluation as tables to read in a terminal of 110 columns."""
        from spark_dp.evaluation.text import evaluation_text

        return evaluation_text(self)
