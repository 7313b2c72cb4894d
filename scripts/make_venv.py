"""Makes a virtual environment and installs into it: make_venv.py FOLDER CONSTRAINTS REQUIREMENT ..."""

from __future__ import annotations

import subprocess
import sys
import venv
from pathlib import Path


def main(folder: str, constraints: str, *requirements: str) -> None:
    python = Path(folder) / "bin" / "python"
    if sys.version_info < (3, 11):
        sys.exit(
            f"spark-dp needs Python 3.11 or later, and this is {sys.version.split()[0]}. Set PYTHON=... for make."
        )
    if not python.exists():
        print(f"Making the environment {folder} ...", flush=True)
        try:
            venv.create(folder, with_pip=True)
        except (SystemExit, subprocess.CalledProcessError):
            sys.exit(
                "Python's venv module is not complete. On Debian and Ubuntu: apt-get install python3.11-venv"
            )
    print(
        f"Installing {' '.join(r for r in requirements if r != '-e')} into {folder} (a few minutes the first time) ...",
        flush=True,
    )
    pip = [str(python), "-m", "pip", "--disable-pip-version-check", "install", "-q", "-c", constraints]
    done = subprocess.run([*pip, *requirements], check=False, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"The installation failed:\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}")


if __name__ == "__main__":
    main(*sys.argv[1:])
