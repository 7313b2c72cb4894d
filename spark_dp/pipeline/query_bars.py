"""The error bars of an answer: its cells' intervals, and what is said below them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spark_dp.graphical.uncertainty import Basis, ErrorBars
from spark_dp.privacy.stated import percent

Cells = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class AnswerBars:
    """Error bars of the marginal that an answer is a part of, and the intervals of the answer's cells.

    Attributes:
        whole: of all columns that were asked for or have a condition.
        measured, low, high: of the answer's cells, in its order; None where nothing measured the marginal.
        choices: whether the release says what choosing revealed.
    """

    whole: ErrorBars
    measured: Cells | None
    low: Cells | None
    high: Cells | None
    choices: bool

    def facts(self) -> dict[str, Any]:
        """Returns what holds of the whole marginal, JSON-able."""
        bars = self.whole
        return {
            "confidence": bars.confidence,
            "basis": bars.basis.value,
            "columns": list(bars.clique),
            "table_rows": [value if np.isfinite(value) else None for value in bars.rows],
            "stddev_rows": bars.stddev,
            "measured_l1_rows": bars.measured_l1,
            "expected_l1_rows": bars.expected,
            "expected_tvd": bars.expected_tvd,
            "bound_l1_rows": bars.bound,
            "bound_tvd": bars.bound_tvd,
        }

    def cell(self, place: int) -> dict[str, float | None]:
        """Returns the interval of one cell, JSON-able."""
        return {
            name: None if values is None else float(values[place])
            for name, values in (("measured", self.measured), ("low", self.low), ("high", self.high))
        }

    def heading(self) -> str:
        """What stands above the intervals; nothing where there is none."""
        return "" if self.low is None else f"  {f'{percent(self.whole.confidence, 6)} interval':>23}"

    def interval(self, place: int) -> str:
        """One cell's interval, as a table shows it: whole numbers around all of it."""
        if self.low is None or self.high is None:
            return ""
        return f"  {math.floor(self.low[place]):10,} – {math.ceil(self.high[place]):10,}"

    def lines(self) -> Iterator[str]:
        """Says what the intervals are, and how far the whole marginal may be off."""
        bars, sure = self.whole, percent(self.whole.confidence, 6)
        if bars.basis is Basis.MEASURED:
            yield (
                f"Each interval holds the bounded table's count with probability {sure}: noisy counts ± "
                f"{bars.stddev:,.1f} rows (σ), and not the model."
            )
        if bars.bound is None:
            yield (
                "No error bars: these columns were not measured together, and no choice says how far they are from what "
                "the model implies"
                + (
                    "."
                    if self.choices
                    else "; the release has no record of its choices. Run `spark-dp fit` where the run's state/ is."
                )
            )
            return
        of = (
            ""
            if bars.basis is Basis.MEASURED
            else ", by what choosing revealed: over all runs, whether they then measure it or not"
        )
        yield (
            f"The model is expected to have {_share(bars.expected_tvd)} of the rows in a wrong cell, and has at most "
            f"{_share_above(bars.bound_tvd)} with probability {sure} (total variation){of}."
        )


def _share(part: float | None) -> str:
    return "?" if part is None else f"{part:.2%}"


def _share_above(part: float | None) -> str:
    return "?" if part is None else f"{math.ceil(round(1e4 * part, 6)) / 1e4:.2%}"
