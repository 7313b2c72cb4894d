"""What the stages hand on to one another, as files of a run directory."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from spark_dp.errors import InputError
from spark_dp.graphical.convergence import Convergence
from spark_dp.graphical.model import GraphicalModel
from spark_dp.graphical.sampling import SamplingPlan
from spark_dp.pipeline.run_directory import Artefact
from spark_dp.privacy.measurement import Measurement
from spark_dp.privacy.noise_law import NoiseLaw
from spark_dp.schema.table import TableSchema

MEASUREMENTS = "released/measurements"
MODEL = "released/model"
REPORT = "released/report"
FORMAT = 1


def measurement_files(
    measurements: Sequence[Measurement], schema: TableSchema, statement: dict[str, Any]
) -> dict[str, bytes]:
    """Returns the released measurements as files: cells in Parquet, what they are in JSON.

    Args:
        measurements: noisy.
        schema: as declared.
        statement: the promise, and how it was spent.
    """
    cells = pa.table(
        {
            "measurement": np.repeat(
                np.arange(len(measurements), dtype=np.int32), [m.noisy.size for m in measurements]
            ),
            "cell": np.concatenate([np.arange(m.noisy.size, dtype=np.int64) for m in measurements]),
            "noisy": np.concatenate([m.noisy.ravel() for m in measurements]),
        }
    )
    stream = io.BytesIO()
    pq.write_table(cells, stream)
    described = [
        {
            "query": m.query,
            "clique": list(m.clique),
            "shape": list(m.noisy.shape),
            "noise": m.law.value,
            "sigma_squared": str(m.sigma_squared),
            "unit": m.unit,
            "stddev_rows": m.stddev,
            "noisy_total_rows": float(m.values.sum()),
        }
        for m in measurements
    ]
    index = {"format": FORMAT, "statement": statement, "measurements": described}
    return {
        "marginals.parquet": stream.getvalue(),
        "measurements.json": json.dumps(index, indent=1).encode(),
        "schema.json": json.dumps(schema.to_json(), indent=1).encode(),
    }


def read_measurements(artefact: Artefact) -> tuple[Measurement, ...]:
    """Reads what `measurement_files` wrote.

    Raises:
        InputError: it was written by another version.
    """
    index = artefact.json("measurements.json")
    if index.get("format") != FORMAT:
        raise InputError(
            f"The measurements have format {index.get('format')!r}; this release reads {FORMAT}. Nothing was changed. "
            "Use the release that wrote them.",
            field="run.key",
        )
    cells = _read_cells(artefact.files["marginals.parquet"])
    which, noisy = cells["measurement"].to_numpy(), cells["noisy"].to_numpy()
    return tuple(
        Measurement(
            clique=tuple(d["clique"]),
            noisy=np.ascontiguousarray(noisy[which == i]).reshape(tuple(d["shape"])),
            sigma_squared=Fraction(d["sigma_squared"]),
            unit=int(d["unit"]),
            query=d["query"],
            law=NoiseLaw(d.get("noise", NoiseLaw.DISCRETE)),  # releases before this one drew no other
        )
        for i, d in enumerate(index["measurements"])
    )


def _read_cells(content: bytes) -> pa.Table:
    """Reads Parquet from memory in this thread alone.

    Arrow's other threads would hold on to the bytes, which are Python's: one that lets go of them while the interpreter
    ends, as after a short command, takes the process down with it (SIGABRT).
    """
    with pq.ParquetFile(pa.BufferReader(content), pre_buffer=False) as file:
        return file.read(use_threads=False)


def read_statement(artefact: Artefact) -> dict[str, Any]:
    """Returns the promise that the measurements were made under."""
    statement: dict[str, Any] = artefact.json("measurements.json")["statement"]
    return statement


def read_schema(artefact: Artefact) -> TableSchema:
    return TableSchema.from_json(artefact.json("schema.json"))


def model_files(model: GraphicalModel, convergence: Convergence, measurements: str) -> dict[str, bytes]:
    """Returns the fitted model as files: beliefs, sampling tables, and how the fit went.

    Args:
        model: fitted.
        convergence: how the fit went.
        measurements: digest of the artefact that it was fitted to.
    """
    return {
        "model.npz": model.to_bytes(),
        "sampling.npz": SamplingPlan.from_model(model).to_bytes(),
        "fit.json": json.dumps(
            {
                "format": FORMAT,
                "measurements": measurements,
                "total": model.total,
                "cells": model.cells,
                "cliques": [list(c) for c in model.cliques],
                "loss": convergence.loss,
                "noise_floor": convergence.noise_floor,
                "gap": convergence.gap,
                "iterations": convergence.iterations,
                "converged": convergence.converged,
            },
            indent=1,
        ).encode(),
    }


def require_same_release(modelled: Artefact, measured: Artefact) -> Artefact:
    """Refuses a model of other measurements: it would be released under a promise that is not its own.

    Raises:
        InputError: it is one.
    """
    if modelled.json("fit.json").get("measurements") != measured.digest:
        raise InputError(
            "released/model was not fitted to the measurements in released/measurements. Nothing was spent. Run `spark-dp "
            "fit` with the run's configuration.",
            field="run.directory",
        )
    return modelled
