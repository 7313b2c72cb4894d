"""Models to generate from without a run."""

from __future__ import annotations

import numpy as np

from spark_dp.graphical.sampling import SamplingPlan, SamplingStep
from spark_dp.schema.table import TableSchema


def independent_plan(schema: TableSchema) -> SamplingPlan:
    """Each attribute by itself, every cell possible."""
    steps = []
    for name, size in zip(schema.domain.attributes, schema.domain.sizes, strict=True):
        weights = np.cumsum(np.arange(1.0, size + 1))[None, :]
        steps.append(SamplingStep(given=(), drawn=(name,), cumulative=weights / weights[:, -1:]))
    return SamplingPlan(domain=schema.domain, steps=tuple(steps))
