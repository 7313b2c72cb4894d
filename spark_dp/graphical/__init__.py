"""Graphical models: the distribution that agrees best with noisy marginals, its error bars, and rows drawn from it.

Needs numpy and scipy, and no Spark:

from spark_dp.graphical import Domain, draw_rows, error_bars, estimate, noisy_marginal

domain = Domain(("ward", "age"), (3, 10))
measured = [noisy_marginal(("ward", "age"), noisy_counts, stddev=8.0)]
model = estimate(domain, measured, max_cells=1_000_000).model
bars = error_bars(model, measured, ("age",))
rows = draw_rows(model, 1_000, seed=7)
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from spark_dp.graphical.estimation import Estimate, estimate
    from spark_dp.graphical.model import GraphicalModel
    from spark_dp.graphical.own import draw_rows, noisy_marginal
    from spark_dp.graphical.pooling import Schedule
    from spark_dp.graphical.uncertainty import ErrorBars, error_bars
    from spark_dp.graphical.zeros import StructuralZeros
    from spark_dp.privacy.measurement import Measurement
    from spark_dp.schema.domain import Domain

__all__ = [
    "Domain",
    "ErrorBars",
    "Estimate",
    "GraphicalModel",
    "Measurement",
    "Schedule",
    "StructuralZeros",
    "draw_rows",
    "error_bars",
    "estimate",
    "noisy_marginal",
]

_HOMES: Final = {
    "Domain": "spark_dp.schema.domain",
    "ErrorBars": "spark_dp.graphical.uncertainty",
    "Estimate": "spark_dp.graphical.estimation",
    "GraphicalModel": "spark_dp.graphical.model",
    "Measurement": "spark_dp.privacy.measurement",
    "Schedule": "spark_dp.graphical.pooling",
    "StructuralZeros": "spark_dp.graphical.zeros",
    "draw_rows": "spark_dp.graphical.own",
    "error_bars": "spark_dp.graphical.uncertainty",
    "estimate": "spark_dp.graphical.estimation",
    "noisy_marginal": "spark_dp.graphical.own",
}


def __getattr__(name: str) -> Any:
    """Loads what is asked for, so that executors, which only draw rows, do not import scipy."""
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'spark_dp.graphical' has no attribute {name!r}")
