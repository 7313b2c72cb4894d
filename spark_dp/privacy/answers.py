"""Specifications and answers of queries as bytes, and where the bytes are kept."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Mapping
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from spark_dp.errors import LedgerError

FORMAT: Final = 1
_HEADER: Final = "header"


class Blobs(Protocol):
    """A folder of small files, local or in an object store (`spark_dp.files.Folder`)."""

    def read(self, name: str) -> bytes | None:
        """Returns the bytes under a name, or None where there are none."""
        ...

    def write(self, name: str, content: bytes) -> None:
        """Writes all of the bytes durably, or nothing."""
        ...

    def exists(self, name: str) -> bool:
        """Whether there are bytes under a name."""
        ...


def digest(content: bytes) -> str:
    """Returns the SHA-256 of the bytes, in hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def pack(kind: str, fields: Mapping[str, Any], arrays: Mapping[str, NDArray[np.int64]]) -> bytes:
    """Writes a JSON header and integer arrays as npz, without pickle.

    Args:
        kind: what it is, checked when it is read.
        fields: JSON-able.
        arrays: int64, by name.
    """
    header = json.dumps({"format": FORMAT, "kind": kind, "fields": dict(fields)}, sort_keys=True)
    members: dict[str, NDArray[Any]] = {_HEADER: np.frombuffer(header.encode(), dtype=np.uint8)}
    members |= {f"array_{name}": np.ascontiguousarray(array) for name, array in arrays.items()}
    # Arrays without axes stay so: ascontiguousarray would make them one cell long.
    members |= {f"array_{name}": array for name, array in arrays.items() if array.ndim == 0}
    stream = io.BytesIO()
    # Integers only, so that nothing is pickled. NumPy 1 would take allow_pickle for the name of an array.
    np.savez(stream, **members)  # type: ignore[arg-type]
    return stream.getvalue()


def unpack(kind: str, content: bytes) -> tuple[dict[str, Any], dict[str, NDArray[np.int64]]]:
    """Reads what `pack` wrote.

    Raises:
        LedgerError: it is truncated, altered, of another kind, or of an unknown version.
    """
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as archive:
            header = json.loads(archive[_HEADER].tobytes())
            arrays = {name.removeprefix("array_"): archive[name] for name in archive.files if name != _HEADER}
        version, found, fields = header["format"], header["kind"], header["fields"]
    except (
        ValueError,
        KeyError,
        TypeError,
        EOFError,
        OSError,
        zipfile.BadZipFile,
        NotImplementedError,
    ) as error:
        raise LedgerError(
            f"The record of a query's {kind} is truncated or altered ({type(error).__name__}). Nothing was "
            "drawn. Restore the run directory from a copy; the query is not drawn a second time."
        ) from None
    if version != FORMAT:
        raise LedgerError(
            f"The record of a query's {kind} has format {version!r}, and this release reads {FORMAT}. "
            "Nothing was drawn. Use the release that started the run."
        )
    if found != kind or any(array.dtype != np.int64 for array in arrays.values()):
        raise LedgerError(f"A record of a run is no {kind}. Nothing was drawn. Restore the run directory.")
    return fields, arrays
