"""Noise that no sampler here draws, found before anything is read or spent."""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt
from typing import Final

from spark_dp.errors import ConfigurationError
from spark_dp.mechanisms.protocol import MechanismPlan
from spark_dp.pipeline.plan_private import PrivateStep
from spark_dp.privacy.noise import LARGEST_SIGMA_SQUARED, SMALLEST_SIGMA_SQUARED

_PARTS: Final = 16
"""How many times its planned noise a measurement's small marginals may get when it is divided by size."""


def require_drawable(queries: MechanismPlan, steps: Sequence[PrivateStep]) -> None:
    """Refuses noise beyond what the samplers draw: the curator would refuse it, when others of the run are paid for.

    Noise is drawn in units of a row's weight, and at most 2^45 of them; the planned noise of a measurement is an average.

    Raises:
        ConfigurationError: with the query of the largest noise.
    """
    unit = queries.contribution.unit
    asked = [(step.name, step.stddev if step.of == "rows" else step.stddev / unit, 1) for step in steps]
    asked += [
        (query.name, query.stddev, _PARTS if query.kind == "measure" else 1)
        for query in queries.queries
        if query.kind != "select"
    ]
    least, most = sqrt(SMALLEST_SIGMA_SQUARED), sqrt(LARGEST_SIGMA_SQUARED)
    name, stddev, parts = max(asked, key=lambda one: one[1] * one[2], default=("", 0.0, 1))
    if stddev * unit * parts >= most:
        raise ConfigurationError(
            f"Query {name!r} would have noise of {stddev:,.4g} rows, and at most {most / unit / parts:,.4g} can be "
            f"drawn for it. Rows of units with up to {queries.contribution.max_rows:,} of them would be lost in it. Nothing "
            "was read or spent. Write a smaller max_rows; or a larger epsilon, or fewer columns; or, where that is meant, "
            "bounding: sample, whose noise has a smaller unit.",
            field="privacy.unit.max_rows",
        )
    name, stddev, parts = min(asked, key=lambda one: one[1] / one[2], default=("", least, 1))
    if stddev * unit / parts <= least:
        raise ConfigurationError(
            f"Query {name!r} would have noise of {stddev:.4g} rows, and no less than {least / unit * parts:.4g} can be "
            "drawn for it: this is no privacy at all. Nothing was read or spent. Write a smaller epsilon.",
            field="privacy.epsilon",
        )
