"""Specifications and answers of queries as bytes, and where the bytes are kept."""

from __future__ import annotations

import hashlib
import io
import json
import math
import zipfile
from collections.abc import Mapping, Sequence
from itertools import accumulate, pairwise
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from spark_dp.errors import LedgerError

FORMAT: Final = 2
_HEADER: Final = "header"
_WIDTHS: Final = tuple(np.dtype(f"<i{width}") for width in (1, 2, 4, 8))


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
    """Writes a JSON header and integer arrays as npz, without pickle, in as few bytes a number as all of an array fit.

    Args:
        kind: what it is, checked when it is read.
        fields: JSON-able.
        arrays: int64, by name.
    """
    header = json.dumps({"format": FORMAT, "kind": kind, "fields": dict(fields)}, sort_keys=True)
    members: dict[str, NDArray[Any]] = {_HEADER: np.frombuffer(header.encode(), dtype=np.uint8)}
    members |= {f"array_{name}": _narrowed(array) for name, array in arrays.items()}
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
            are_whole = all(array.dtype in _WIDTHS for array in arrays.values())
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
    if found != kind or not are_whole:
        raise LedgerError(f"A record of a run is no {kind}. Nothing was drawn. Restore the run directory.")
    return fields, {name: array.astype(np.int64, copy=False) for name, array in arrays.items()}


def join(arrays: Sequence[NDArray[np.int64]]) -> tuple[list[list[int]], NDArray[np.int64]]:
    """Puts arrays into one, which is written and read far faster than hundreds; returns their shapes too."""
    flat = [array.ravel() for array in arrays]
    return [list(array.shape) for array in arrays], np.concatenate(flat) if flat else np.zeros(0, np.int64)


def split(shapes: Sequence[Sequence[int]], joined: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """Takes apart what `join` put together.

    Raises:
        ValueError: the shapes are not those of the array.
    """
    stops = list(accumulate((math.prod(shape) for shape in shapes), initial=0))
    if joined.shape != (stops[-1],):
        raise ValueError(f"{joined.shape} is not {len(shapes)} arrays.")
    return [joined[a:b].reshape(shape) for (a, b), shape in zip(pairwise(stops), shapes, strict=True)]


def _narrowed(array: NDArray[np.int64]) -> NDArray[np.signedinteger[Any]]:
    """Returns the same numbers in C order, in the narrowest type that holds them."""
    low, high = (int(array.min()), int(array.max())) if array.size else (0, 0)
    width = next(w for w in _WIDTHS if np.iinfo(w).min <= low and high <= np.iinfo(w).max)
    return array.astype(width, order="C")
