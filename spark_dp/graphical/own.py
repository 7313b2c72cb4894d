"""The engine for noisy marginals from elsewhere: no curator, no ledger, no Spark."""

from __future__ import annotations

import math
from collections.abc import Iterable
from fractions import Fraction
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spark_dp.errors import ConfigurationError
from spark_dp.graphical.model import GraphicalModel
from spark_dp.graphical.sampling import MAX_CHUNK_ROWS, SamplingPlan, sample
from spark_dp.privacy.measurement import Measurement
from spark_dp.schema.domain import Attribute

_UNIT: Final = 1 << 20
"""Parts of a row to which values are rounded: what noise there is, is no smaller."""

_LARGEST: Final = 2.0**42


def noisy_marginal(
    clique: Iterable[Attribute], values: ArrayLike, stddev: float, *, stage: str = "own"
) -> Measurement:
    """Takes one's own noisy counts as a measurement.

    What privacy they have is that of whoever added the noise: nothing here is charged, checked or promised.

    Args:
        clique: distinct attributes, one for each axis of the values, in their order.
        values: noisy counts in rows, every cell of the domain.
        stddev: of the Gaussian noise in each cell, in rows; positive.
        stage: the same for all that was decided on together; only `error_bars` of another schedule than FIXED asks.

    Raises:
        ConfigurationError: the values have another number of axes, or are not finite or beyond 2^42 rows; or stddev is not
            positive and finite, or below 2^-20 of a row.
    """
    attributes, counts = tuple(clique), np.asarray(values, dtype=np.float64)
    if counts.ndim != len(attributes) or len(set(attributes)) != len(attributes):
        raise ConfigurationError(
            f"The noisy counts of {attributes} have {counts.ndim} axes. Give distinct attributes, one for each axis.",
            field="clique",
        )
    if not np.all(np.abs(counts) <= _LARGEST):
        raise ConfigurationError(
            f"The noisy counts of {attributes} are not all finite and within 2^42 rows. Give counts, and not shares.",
            field="values",
        )
    if not (math.isfinite(stddev) and stddev * _UNIT >= 1):
        raise ConfigurationError(
            f"The noise of {attributes} has the standard deviation {stddev!r}; it is positive, at least 2^-20 of a row. "
            "Give that of the noise in each cell, in rows.",
            field="stddev",
        )
    return Measurement(
        clique=attributes,
        noisy=np.rint(counts * _UNIT).astype(np.int64),
        sigma_squared=(Fraction(stddev) * _UNIT) ** 2,
        unit=_UNIT,
        query=stage,
    )


def draw_rows(model: GraphicalModel, rows: int, *, seed: int) -> dict[Attribute, NDArray[np.unsignedinteger]]:
    """Draws rows from a model, all in memory: for each attribute an array of codes.

    A pure function of its arguments. The first rows of a longer draw are those of a shorter one only in whole chunks.

    Raises:
        ConfigurationError: rows is no whole number of at least 0.
    """
    if type(rows) is not int or rows < 0:
        raise ConfigurationError(f"{rows!r} rows cannot be drawn. Give a whole number from 0.", field="rows")
    plan = SamplingPlan.from_model(model)
    sizes = [min(MAX_CHUNK_ROWS, rows - start) for start in range(0, rows, MAX_CHUNK_ROWS)] or [0]
    parts = [
        sample(plan, size, np.random.PCG64(np.random.SeedSequence(seed, spawn_key=(chunk,))))
        for chunk, size in enumerate(sizes)
    ]
    return {name: np.concatenate([part[name] for part in parts]) for name in model.domain}
