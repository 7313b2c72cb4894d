"""Arrays with a JSON header in one npz archive: versioned, deterministic, and read without pickle."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spark_dp.errors import InputError

_HEADER = "header"
# The earliest time a zip entry can carry: equal content gives equal bytes, whenever it is written.
_EPOCH = (1980, 1, 1, 0, 0, 0)


def pack(header: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> bytes:
    """Returns an npz archive whose entry `header` holds the header as UTF-8 JSON.

    Equal arguments give equal bytes. `numpy.load(allow_pickle=False)` opens the archive.
    """
    text = json.dumps(header, sort_keys=True, separators=(",", ":"), allow_nan=False)
    entries = {_HEADER: np.frombuffer(text.encode(), dtype=np.uint8), **arrays}
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, array in entries.items():
            entry = io.BytesIO()
            np.lib.format.write_array(entry, np.asarray(array, order="C"), version=(1, 0), allow_pickle=False)
            archive.writestr(
                zipfile.ZipInfo(f"{name}.npy", _EPOCH), entry.getvalue(), compress_type=zipfile.ZIP_DEFLATED
            )
    return buffer.getvalue()


def unpack(content: bytes, format_name: str, version: int) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """Reads what `pack` wrote.

    Raises:
        InputError: the bytes are truncated or altered, of another format, or of an unknown version.
    """
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
        header = json.loads(arrays.pop(_HEADER).tobytes().decode())
    except (ValueError, KeyError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise InputError(
            f"A file of {len(content)} bytes is not a whole {format_name}: {type(error).__name__}. "
            "Nothing was read from it. Write it anew from the stage that makes it."
        ) from error
    if (
        not isinstance(header, dict)
        or header.get("format") != format_name
        or header.get("version") != version
    ):
        found = (header.get("format"), header.get("version")) if isinstance(header, dict) else None
        raise InputError(
            f"Expected a {format_name} of version {version}, found {found}. "
            "Read it with the release that wrote it, or write it anew."
        )
    return header, arrays
