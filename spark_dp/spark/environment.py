"""Are the executors what the driver is? Asked before anything is charged.

An executor with another version of this package, of Python or of numpy may encode differently or fail midway.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import json
import pkgutil
import platform
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pyarrow as pa

from spark_dp.errors import ConfigurationError
from spark_dp.spark.failures import told_without_values

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

PROBES = 4
"""Tasks that answer. Not every executor is asked: an image or an archive is the same for all."""


def describe_environment() -> dict[str, str]:
    """Returns the versions that matter on an executor, and a hash of this package's source."""
    import numpy
    import pandas

    return {
        "python": ".".join(platform.python_version_tuple()[:2]),
        "numpy": numpy.__version__,
        "pandas": pandas.__version__,
        "pyarrow": pa.__version__,
        "spark_dp": package_fingerprint(),
    }


def package_fingerprint() -> str:
    """Returns a hash of this package's modules, wherever they were loaded from: a folder, a zip, an archive."""
    package = importlib.import_module("spark_dp")
    digest = hashlib.sha256()
    for found in sorted(pkgutil.walk_packages(package.__path__, "spark_dp."), key=lambda m: m.name):
        spec = importlib.util.find_spec(found.name)
        loader = spec.loader if spec else None
        source = loader.get_source(found.name) if loader and hasattr(loader, "get_source") else None
        digest.update(f"{found.name}\n{source or ''}\n".encode())
    return digest.hexdigest()[:16]


def require_same_environment(session: SparkSession) -> None:
    """Compares the executors with the driver.

    Raises:
        ConfigurationError: an executor differs, or cannot import this package; says in what.
    """
    here = describe_environment()

    def describe(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for _ in batches:
            yield pa.RecordBatch.from_pydict({"facts": [json.dumps(describe_environment())]})

    with told_without_values("asking executors for their versions", field="spark"):
        try:
            probe = session.range(0, PROBES, 1, PROBES).mapInArrow(describe, "facts string")
            answers = [json.loads(row["facts"]) for row in probe.collect()]
        except Exception as error:
            if "ModuleNotFoundError" in str(error) or "No module named" in str(error):
                raise ConfigurationError(
                    "An executor cannot import spark_dp or a library it needs. Nothing was read or spent. Give the "
                    "package with --py-files dist/spark_dp.zip, and numpy, pandas and pyarrow with --archives or in "
                    "the image, and set PYSPARK_PYTHON to that Python.",
                    field="spark",
                ) from None
            raise
    for there in answers:
        differing = {k: (here[k], there[k]) for k in here if here[k] != there.get(k)}
        if differing:
            said = "; ".join(f"{k}: driver {a}, executor {b}" for k, (a, b) in differing.items())
            raise ConfigurationError(
                f"Driver and executors differ: {said}. Nothing was read or spent. Give both the same environment "
                "(the same --py-files zip, --archives or image) and set PYSPARK_PYTHON to it.",
                field="spark",
            )
