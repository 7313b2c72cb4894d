"""All that was measured about one marginal, as one unbiased estimate."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import sqrt

import numpy as np
from numpy.typing import NDArray

from spark_dp.graphical.deviations import Looks
from spark_dp.privacy.measurement import Measurement
from spark_dp.schema.domain import Clique, Domain


class Schedule(StrEnum):
    """How it was decided what to measure, and with how much noise.

    Attributes:
        FIXED: before anything was measured.
        TWO_STAGES: a first stage beforehand, all the rest at once, after a look at its noisy answers.
        SEQUENTIAL: again and again, each time after a look at all noisy answers before.
    """

    FIXED = "fixed"
    TWO_STAGES = "two_stages"
    SEQUENTIAL = "sequential"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Pooled:
    """The inverse-variance mean of the measurements that hold a marginal, summed out to it.

    Attributes:
        clique: of the marginal.
        values: unbiased estimates in rows, float64 of the clique's shape; may be negative.
        stddev: of each of them, in rows, as if what was measured had been fixed beforehand.
        looks: how it came about that it was not.
        beforehand: it was certain before any noise was drawn that the marginal would be measured.
        grain: rows to which the noise is a whole number: what rounding adds to an interval on either side, twice.
    """

    clique: Clique
    values: NDArray[np.float64]
    stddev: float
    looks: Looks
    beforehand: bool
    grain: float


def pool(
    domain: Domain, measurements: Sequence[Measurement], clique: Clique, schedule: Schedule
) -> Pooled | None:
    """Pools what was measured about a marginal; None where no measurement holds it.

    Summing a measurement of n cells out to m adds up n / m noises a cell, so that its variance is n sigma^2 / m.

    Args:
        domain: of the measurements.
        measurements: in the order in which they were asked; those of one stage have query names that differ in a number
            at the end.
        clique: distinct attributes, in the order wanted of the axes; () is the total.
        schedule: how the measurements were decided on.
    """
    wanted = frozenset(clique)
    holding = [m for m in measurements if wanted <= frozenset(m.clique)]
    if not holding:
        return None
    cells = domain.cells(clique)
    weights = [cells / (domain.cells(m.clique) * m.stddev**2) for m in holding]
    precision = sum(weights)
    values = np.zeros(domain.shape(clique))
    for m, weight in zip(holding, weights, strict=True):
        values += _summed_out(m, clique) * (weight / precision)
    first = _stage(holding[0])
    at_first = sum(w for m, w in zip(holding, weights, strict=True) if _stage(m) == first)
    return Pooled(
        clique=clique,
        values=values,
        stddev=1 / sqrt(precision),
        looks=Looks(most=_most_looks(measurements, first, schedule), growth=precision / at_first),
        beforehand=schedule is Schedule.FIXED or first == _stage(measurements[0]),
        grain=max(1 / m.unit for m in holding),
    )


def _most_looks(measurements: Sequence[Measurement], first: str, schedule: Schedule) -> int | None:
    """Returns how many stages there could be from the first one that holds a marginal on; None for any number."""
    if schedule is Schedule.FIXED:
        return 1
    stages = list(dict.fromkeys(_stage(m) for m in measurements))
    if schedule is Schedule.SEQUENTIAL or len(stages) > 2:
        return None
    return 2 if first == stages[0] else 1


def _stage(measurement: Measurement) -> str:
    """The query's name without the number of its group: groups of one stage are decided on together."""
    return re.sub(r"-\d+$", "", measurement.query)


def _summed_out(measurement: Measurement, clique: Clique) -> NDArray[np.float64]:
    held = measurement.clique
    dropped = tuple(axis for axis, attribute in enumerate(held) if attribute not in clique)
    left = [attribute for attribute in held if attribute in clique]
    values: NDArray[np.float64] = np.asarray(measurement.values.sum(axis=dropped), dtype=np.float64)
    return values.transpose([left.index(attribute) for attribute in clique])
