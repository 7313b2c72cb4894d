"""A released model without a run: measurements of a known table with next to no noise, and the model of them."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from spark_dp.graphical.estimation import estimate
from spark_dp.pipeline.artefacts import MEASUREMENTS, MODEL, measurement_files, model_files
from spark_dp.pipeline.run_directory import RunDirectory
from spark_dp.privacy.measurement import Measurement
from spark_dp.schema.domain import Clique
from spark_dp.schema.table import TableSchema

STATEMENT = {
    "run_id": "0" * 32,
    "epsilon": 1.0,
    "delta": 1e-7,
    "promise": "(1.0, 1e-07)-differential privacy",
}


def release(folder: Path, schema: TableSchema, counts: NDArray[np.int64], cliques: list[Clique]) -> Path:
    """Writes FOLDER/key as a run would that measured these cliques of a table of counts; returns it."""
    axes = {name: axis for axis, name in enumerate(schema.names)}
    measurements = [
        Measurement(
            clique=clique,
            noisy=counts.sum(axis=tuple(a for n, a in axes.items() if n not in clique)),
            sigma_squared=Fraction(1, 10**6),
            unit=1,
            query="q",
        )
        for clique in cliques
    ]
    fitted = estimate(schema.domain, measurements, max_cells=10**6)
    run = RunDirectory.open(str(folder), "key")
    made = run.commit(MEASUREMENTS, measurement_files(measurements, schema, STATEMENT), inputs="m")
    run.commit(MODEL, model_files(fitted.model, fitted.convergence, made.digest), inputs="f")
    return folder / "key"
