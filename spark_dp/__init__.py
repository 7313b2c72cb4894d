"""Differentially private synthetic tables on Apache Spark.

from spark_dp import Synthesizer

model = Synthesizer.from_config("conf/runs/flights.yaml").fit(table)
synthetic = model.sample(rows=1_000_000)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from spark_dp.pipeline.synthesizer import Synthesizer, SyntheticModel

__version__ = "0.1.0"
__all__ = ["Synthesizer", "SyntheticModel", "__version__"]


def __getattr__(name: str) -> Any:
    """Loads the API when it is asked for, so that executors do not import what only the driver needs."""
    if name in ("Synthesizer", "SyntheticModel"):
        from spark_dp.pipeline import synthesizer

        return getattr(synthesizer, name)
    raise AttributeError(f"module 'spark_dp' has no attribute {name!r}")
