"""Runs the benchmarks named on the command line, or all of them, each in a process of its own."""

from __future__ import annotations

import subprocess
import sys

BENCHMARKS = (
    "noise",
    "generation",
    "mst",
    "aim",
    "peers",
    "ablations",
    "calibration",
    "preprocessing",
    "counting",
    "estimation",
    "inference",
    "sizes",
    "wide",
)

if __name__ == "__main__":
    chosen = sys.argv[1:] or BENCHMARKS
    unknown = set(chosen) - set(BENCHMARKS)
    if unknown:
        sys.exit(f"There is no benchmark {', '.join(sorted(unknown))}. Choose from: {', '.join(BENCHMARKS)}.")
    failed = [
        n for n in chosen if subprocess.run([sys.executable, "-m", f"benchmarks.{n}"], check=False).returncode
    ]
    sys.exit(f"Failed: {', '.join(failed)}" if failed else 0)
