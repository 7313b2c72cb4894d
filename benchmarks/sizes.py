"""Tables that are skewed or large, bounded and counted within a heap of 2 GiB: time, peak memory, exact results.

Each case runs in a process of its own, so that its peaks are its own: of the JVM, which is driver and executor
here, and of all Python workers together, by resident memory.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

import numpy as np  # noqa: E402
from support.crowds import CLIQUES, same  # noqa: E402
from support.engine import below, processes, session_on  # noqa: E402
from support.passes import Passes  # noqa: E402
from support.shapes import FULL, SHAPES  # noqa: E402

from benchmarks.tables import title  # noqa: E402

HEAP = "2g"


class Peaks:
    """The most resident memory seen of the JVM and of the Python workers below it, in MB."""

    def __init__(self, pid: int) -> None:
        self._pid, self._over = pid, threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self.jvm = self.workers = 0.0

    def __enter__(self) -> Peaks:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._over.wait(0.1):
            self.jvm = max(self.jvm, resident(self._pid))
            self.workers = max(self.workers, sum(map(resident, below(self._pid, processes()))))


def resident(pid: int) -> float:
    """Proportional set size, so that what forked workers share counts once."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1000 for line in lines if line.startswith("Pss:")), 0.0)


def measure(name: str, bounding: str) -> dict[str, Any]:
    """Runs one case and compares it with numpy."""
    shape = SHAPES[name]
    unit = f"{{column: person, max_rows: {shape.max_rows}, bounding: {bounding}}}"
    with tempfile.TemporaryDirectory() as folder:
        site, crowd = shape.site(Path(folder), FULL)
        settings = {
            "spark.driver.memory": HEAP,
            "spark.local.dir": folder,
            "spark.sql.adaptive.enabled": "true",
        }
        with session_on("local[2]", **settings) as session:
            pid = int(session.sparkContext._jvm.java.lang.ProcessHandle.current().pid())
            began = time.perf_counter()
            with Peaks(pid) as peaks:
                found = Passes(session, site, unit).count()
            seconds = time.perf_counter() - began
    if bounding == "weight":
        exact = same(found, crowd.marginals(weights=crowd.weights(shape.max_rows)))
    else:
        whole = crowd.marginals()
        exact = int(found[()]) == crowd.kept_by_sampling(shape.max_rows)
        exact = exact and all(bool(np.all(found[c] <= whole[c])) for c in CLIQUES)
    return {"seconds": seconds, "jvm": peaks.jvm, "workers": peaks.workers, "exact": exact}


def main() -> None:
    title(f"{FULL:,} rows of 4 columns and an id, heap {HEAP}")
    print(f"{'table':34} {'bounding':9} {'wall s':>7} {'JVM MB':>8} {'Python MB':>10}  exact")
    failed = 0
    for name in sys.argv[1:] or SHAPES:
        for bounding in ("weight", "sample"):
            command = [sys.executable, "-m", "benchmarks.sizes", "--one", name, bounding]
            done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False, cwd=ROOT)
            if done.returncode:
                failed += 1
                print(f"{SHAPES[name].says:34} {bounding:9} failed")
                continue
            found = json.loads(done.stdout.splitlines()[-1])
            failed += not found["exact"]
            print(
                f"{SHAPES[name].says:34} {bounding:9} {found['seconds']:7.1f} {found['jvm']:8,.0f} "
                f"{found['workers']:10,.0f}  {'yes' if found['exact'] else 'NO'}",
                flush=True,
            )
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        print(json.dumps(measure(*sys.argv[2:4])))
    else:
        main()
