"""Commands as a user runs them, in processes of their own."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def finish(command: list[str], folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Runs a command in a folder, with an environment that knows nothing of the suite's own Spark."""
    return subprocess.run(
        command,
        cwd=folder,
        env={**apart(), **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


def apart() -> dict[str, str]:
    """Returns this process's environment without what the suite's own Spark has put there."""
    return {k: v for k, v in os.environ.items() if not k.startswith(("SPARK", "PYSPARK"))}
