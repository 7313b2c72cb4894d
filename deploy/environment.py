"""Builds dist/environment.tar.gz: a Python with all that driver and executors import, for spark-submit --archives.

The interpreter and its standard library are in it, so machines need no Python of their own. Not in it: spark_dp, which
is dist/spark_dp.zip, and pyspark, which the cluster brings. Entries are sorted and
carry no times, owners or names of the machine, and versions are pinned.

Run by `make package` with the Python that is to be packed.
"""

from __future__ import annotations

import compileall
import gzip
import py_compile
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import tomllib
from pathlib import Path

from relocate import needed_glibc, relocate

ROOT = Path(__file__).resolve().parent.parent
TARGET = ROOT / "dist" / "environment.tar.gz"
PINS = ROOT / "constraints" / "image.txt"
VERSION = f"python{sys.version_info.major}.{sys.version_info.minor}"

# Of the standard library: what nothing here imports, or what would bring libraries of a screen or a terminal.
UNUSED_FOLDERS = (
    "test",
    "tests",
    "idlelib",
    "tkinter",
    "turtledemo",
    "lib2to3",
    "ensurepip",
    "curses",
    "site-packages",
)
UNUSED_FOLDERS += ("dist-packages", "__pycache__", "config-*")
UNUSED_MODULES = (
    "_tkinter*",
    "_curses*",
    "readline*",
    "nis*",
    "ossaudiodev*",
    "_gdbm*",
    "_dbm*",
    "*test*.so",
    "xx*.so",
)
# Of the libraries: their own tests, what compiles against them, and Arrow's network protocol.
UNUSED_PARTS = ("tests", "__pycache__", "include", "*.pyi", "*.pyx", "*.pxd", "*.pxi", "*_flight*", "bin")


def main() -> None:
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary) / "environment"
        copy_python(root)
        install(root)
        relocate(root, Path(sys.base_prefix))
        precompile(root)
        size = sum(file.stat().st_size for file in root.rglob("*") if not file.is_symlink())
        glibc = needed_glibc(root)
        TARGET.parent.mkdir(exist_ok=True)
        pack(root, TARGET)
    print(
        f"{TARGET.relative_to(ROOT)}: {VERSION}, {TARGET.stat().st_size >> 20} MiB, {size >> 20} MiB unpacked; "
        f"runs on this kind of machine with glibc {glibc} or later"
    )


def copy_python(root: Path) -> None:
    """Copies the interpreter and its standard library."""
    base = Path(sys.base_prefix)
    shutil.copytree(
        base / "lib" / VERSION,
        root / "lib" / VERSION,
        ignore=shutil.ignore_patterns(*UNUSED_FOLDERS, *UNUSED_MODULES),
    )
    (root / "bin").mkdir()
    shutil.copy((base / "bin" / VERSION).resolve(), root / "bin" / "python3")
    for name in ("python", VERSION):
        (root / "bin" / name).symlink_to("python3")


def install(root: Path) -> None:
    """Installs what pyproject.toml names, and the ledger's PostgreSQL driver, where the copied interpreter looks."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    asked = [*project["dependencies"], *project["optional-dependencies"]["postgres"]]
    find = "import site, sys; print([p for p in site.getsitepackages() if p.startswith(sys.prefix)][0])"
    # -I: neither this process's environment nor the current folder has a say.
    folder = subprocess.run(
        [str(root / "bin" / "python3"), "-I", "-c", find],
        check=True,
        capture_output=True,
        text=True,
        env={"LD_LIBRARY_PATH": f"{sys.base_prefix}/lib"},
    ).stdout.strip()
    pip = [sys.executable, "-m", "pip", "install", "-q", "--disable-pip-version-check", "--no-compile"]
    pip += ["--only-binary", ":all:", "-c", str(PINS), "--target", folder, *asked]
    done = subprocess.run(pip, check=False, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"The installation failed:\n{done.stderr[-4000:]}")
    prune(Path(folder))


def prune(folder: Path) -> None:
    """Removes parts that nothing imports at run time, and records that would name this machine."""
    for pattern in UNUSED_PARTS:
        for found in sorted(folder.rglob(pattern)):
            if found.is_dir() and not found.is_symlink():
                shutil.rmtree(found)
            else:
                found.unlink(missing_ok=True)
    for record in [*folder.glob("*.dist-info/RECORD"), *folder.glob("*.dist-info/direct_url.json")]:
        record.unlink()


def precompile(root: Path) -> None:
    """Compiles every module once, or each executor of each job would. Valid whatever the times of the files are."""
    done = compileall.compile_dir(
        root / "lib",
        quiet=1,
        workers=0,
        stripdir=str(root),
        invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
    )
    if not done:
        sys.exit("A module of the environment is no Python; see the lines above.")


def pack(root: Path, target: Path) -> None:
    """Writes the archive: entries sorted, without times, owners or a name, under a temporary name first."""
    temporary = target.with_suffix(".tmp")
    with (
        temporary.open("wb") as file,
        gzip.GzipFile(filename="", fileobj=file, mode="wb", compresslevel=6, mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as archive,
    ):
        for path in sorted(root.rglob("*")):
            archive.add(path, str(path.relative_to(root)), recursive=False, filter=_plain)
    temporary.replace(target)


def _plain(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    entry.mtime = entry.uid = entry.gid = 0
    entry.uname = entry.gname = ""
    runs = entry.isdir() or entry.mode & 0o100 or re.search(r"\.so(\.|$)", entry.name)
    entry.mode = 0o755 if runs else 0o644
    return entry


if __name__ == "__main__":
    main()
