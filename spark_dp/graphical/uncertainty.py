"""Error bars of a model's marginals: from measurements, noise scales and the model alone. Post-processing, free."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import inf
from typing import Final

import numpy as np
from numpy.typing import NDArray

from spark_dp.errors import ConfigurationError
from spark_dp.graphical.deviations import cell_factor, excess_factor, l1_factor
from spark_dp.graphical.model import GraphicalModel
from spark_dp.graphical.pooling import Pooled, Schedule, pool
from spark_dp.graphical.projected_noise import Profile
from spark_dp.graphical.unmeasured import Unmeasured
from spark_dp.privacy.measurement import Measurement
from spark_dp.schema.domain import Clique

_THRESHOLDS: Final = (0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 4.0)
"""In standard deviations: where the noise of a cell is split into what it is allowed and what is added up."""

_OF_TOTAL: Final = 1 / 8
"""Part of what may go wrong with a bound that is meant for the number of rows."""

_OF_EITHER: Final = 1 / 2
"""Part of what may go wrong that each basis gets, where noise decides which of the two is shown."""


class Basis(StrEnum):
    """What an error bar rests on.

    Attributes:
        MEASURED: noisy counts of the marginal, or of one that holds it.
        REVEALED: what choosing said of the marginal, or of one that holds it.
        NONE: nothing.
    """

    MEASURED = "measured"
    REVEALED = "revealed"
    NONE = "none"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ErrorBars:
    """How far a model's marginal is from that of the bounded table.

    Cell intervals hold for each cell by itself; the bound on the L1 error for the marginal as a whole. All hold over the
    noise, for this marginal, in all runs together: whether it is then measured or passed over, and not given that it
    was passed over. Of twenty marginals at 95 % expect one to be missed.

    Attributes:
        clique: of the marginal.
        confidence: of each interval and of each bound.
        basis: what they rest on.
        rows: the interval of the table's number of rows, each unit bounded.
        centre: the mean of what was measured, in rows; None where nothing was. Unbiased: may be negative.
        stddev: of each cell of the centre, in rows.
        low, high: the interval of each cell, around the centre, cut at 0.
        measured_l1: what all cells of the centre are off by together at most, in rows.
        expected: L1 error that the model's marginal is expected to have, in rows; a guess without a guarantee.
        bound: L1 error that it has at most, in rows; None where nothing is known.
        bound_rows: the interval of the table's number of rows that holds together with the bound.
        total: rows of the model.
    """

    clique: Clique
    confidence: float
    basis: Basis
    rows: tuple[float, float]
    centre: NDArray[np.float64] | None
    stddev: float | None
    low: NDArray[np.float64] | None
    high: NDArray[np.float64] | None
    measured_l1: float | None
    expected: float | None
    bound: float | None
    bound_rows: tuple[float, float]
    total: float

    @property
    def expected_tvd(self) -> float | None:
        """The expected error as total variation distance, between shares."""
        return None if self.expected is None else _tvd(self.expected, self.total)

    @property
    def bound_tvd(self) -> float | None:
        """The bound as total variation distance: half of the L1 error and of the rows' own, of the fewest rows.

        Both hold at once with the confidence: the bound leaves the rows a part of what may go wrong.
        """
        if self.bound is None:
            return None
        low, high = self.bound_rows
        return _tvd(self.bound + max(high - self.total, self.total - low, 0.0), low)


def error_bars(
    model: GraphicalModel,
    measurements: Sequence[Measurement],
    clique: Iterable[str],
    *,
    confidence: float = 0.95,
    schedule: Schedule = Schedule.FIXED,
    revealed: Sequence[Unmeasured] = (),
) -> ErrorBars:
    """Says how far a model's marginal is from that of the table that was measured.

    A marginal that was measured, or is part of one that was, is centred on the inverse-variance mean of the raw
    measurements, and not on the model, which is biased where it may not be negative. Where measuring depended on
    earlier noise, intervals are wider, as `schedule` needs. Of another marginal there is a one-sided bound, if one
    that holds it is in `revealed`.

    Guarantees: touches nothing private. For each marginal, each interval and bound holds with probability `confidence` at
    least, over all runs, whichever basis is shown; up to the normal law of sums of integer noise. Which one is shown
    depends on the noise of both, so that each gets half of what may go wrong, unless it was certain beforehand that the
    marginal would be measured. Given that it was passed over nothing is promised. docs/mechanisms.md, "Error bars".

    Args:
        model: fitted to the measurements.
        measurements: in the order in which they were asked.
        clique: distinct attributes, in the order wanted of the axes.
        confidence: in (0, 1).
        schedule: how it was decided what to measure.
        revealed: what choosing said of marginals that were not measured.

    Raises:
        ConfigurationError: the confidence is not between 0 and 1, or an attribute is unknown.
    """
    if not 0 < confidence < 1:
        raise ConfigurationError(
            f"The confidence is {confidence}; it lies between 0 and 1, such as 0.95. Nothing was spent.",
            field="confidence",
        )
    wanted, alpha = tuple(clique), 1 - confidence
    fitted = model.marginal(wanted)
    total = pool(model.domain, measurements, (), schedule)
    rows = (0.0, inf) if total is None else _interval_of_rows(total, alpha)
    pooled = pool(model.domain, measurements, wanted, schedule)
    if pooled is None or not pooled.beforehand:
        alpha *= _OF_EITHER
    bound_rows = (0.0, inf) if total is None else _interval_of_rows(total, alpha * _OF_TOTAL)
    if pooled is None or total is None:
        known = _narrowest(model, wanted, revealed)
        return ErrorBars(
            clique=wanted,
            confidence=confidence,
            basis=Basis.NONE if known is None else Basis.REVEALED,
            rows=rows,
            centre=None,
            stddev=None,
            low=None,
            high=None,
            measured_l1=None,
            expected=None if known is None else known.expected,
            bound=None
            if known is None
            else min(known.bound(alpha * (1 - _OF_TOTAL)), model.total + bound_rows[1]),
            bound_rows=bound_rows,
            total=model.total,
        )
    half = half_width(pooled, alpha)
    return ErrorBars(
        clique=wanted,
        confidence=confidence,
        basis=Basis.MEASURED,
        rows=rows,
        centre=pooled.values,
        stddev=pooled.stddev,
        low=np.maximum(pooled.values - half, 0.0),
        high=np.maximum(pooled.values + half, 0.0),
        measured_l1=pooled.stddev * l1_factor(pooled.values.size, alpha, pooled.looks),
        expected=Profile.of(fitted).noise(pooled.stddev),
        bound=_bound(fitted, pooled, bound_rows[1], alpha * (1 - _OF_TOTAL)),
        bound_rows=bound_rows,
        total=model.total,
    )


def half_width(pooled: Pooled, alpha: float) -> float:
    """Returns half the width of the interval of one cell, in rows: half a grain more than the normal law's."""
    return cell_factor(alpha, pooled.looks) * pooled.stddev + pooled.grain / 2


def _interval_of_rows(total: Pooled, alpha: float) -> tuple[float, float]:
    half, centre = half_width(total, alpha), float(total.values)
    return max(centre - half, 0.0), max(centre + half, 0.0)


def _narrowest(model: GraphicalModel, clique: Clique, revealed: Sequence[Unmeasured]) -> Unmeasured | None:
    """Returns what is known of the smallest marginal that holds the clique: a rule that looks at no answer of theirs."""
    holding = [r for r in revealed if set(clique) <= set(r.clique)]
    return min(holding, key=lambda r: model.domain.cells(r.clique), default=None)


def _bound(fitted: NDArray[np.float64], pooled: Pooled, most_rows: float, alpha: float) -> float:
    """Returns what |x - m|_1 is at most, for x >= 0 of at most so many rows and x = y - e with pooled errors e.

    |x - m|_1 = 2 sum (m - x)^+ + x_total - m_total, and (m - x)^+ is at most m, since x is not negative, and at most
    (m - y + t)^+ + (e - t)^+ for any t. What errors exceed t by adds up to little where t is a few deviations.
    """
    more = most_rows - float(fitted.sum())
    part, off = alpha / len(_THRESHOLDS), fitted - pooled.values
    found = [2 * float(fitted.sum()) + more]
    for threshold in _THRESHOLDS:
        allowed = np.minimum(fitted, np.maximum(off + threshold * pooled.stddev, 0.0))
        beyond = pooled.stddev * excess_factor(fitted.size, threshold, part, pooled.looks)
        found.append(2 * (float(allowed.sum()) + beyond) + more)
    return max(min(found), 0.0)


def _tvd(l1: float, rows: float) -> float:
    return min(1.0, l1 / (2 * rows)) if rows > 0 else 1.0
