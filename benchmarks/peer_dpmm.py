"""AIM or MST of dpmm, in an environment of its own: peer_dpmm.py REQUEST, as `peer_aim.py`.

Triples of any size are candidates (by default those of 10,000 cells are), and one process does the work; all else is as
the package sets it, the merging of rare values among it. Its random state is numpy's.
"""

from __future__ import annotations

import json
import signal
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from dpmm.models.aim import AIM
from dpmm.models.base.mbi import FactoredInference
from dpmm.models.mst import MST


class OutOfTime(Exception):
    """The seconds are over."""


def main(request: str) -> None:
    asked = json.loads(request)
    sizes = json.loads(Path(asked["table"].replace(".parquet", ".domain.json")).read_text())
    rows = pd.read_parquet(asked["table"])[list(sizes)].astype("int64")
    common = {"epsilon": asked["epsilon"], "delta": asked["delta"], "domain": sizes, "compress": True, "n_jobs": 1}
    if asked["mechanism"] == "aim":
        mechanism = AIM(**common, degree=3, max_cells=10**9, max_model_size=asked["max_mb"])
    else:
        mechanism = MST(**common)
    used = [0.0, 0]
    estimate = FactoredInference.estimate

    def told(self: Any, measurements: list[Any], *args: Any, **kwargs: Any) -> Any:
        used[:] = [sum(0.5 / m[2] ** 2 for m in measurements) / mechanism.rho, len(measurements)]
        print(f"{len(measurements)} measured, {used[0]:.1%}", file=sys.stderr, flush=True)
        return estimate(self, measurements, *args, **kwargs)

    FactoredInference.estimate = told

    def stop(*_: Any) -> None:
        raise OutOfTime

    signal.signal(signal.SIGPROF, stop)
    signal.setitimer(signal.ITIMER_PROF, asked["seconds"])
    cpu, wall, note = time.process_time(), time.perf_counter(), ""
    try:
        mechanism.fit(rows)
    except OutOfTime:
        note = f"not ended, {used[0]:.0%} of the budget used in {used[1]} measurements"
    except Exception as failed:
        note = f"failed: {failed!r}"
    signal.setitimer(signal.ITIMER_PROF, 0)
    spent = {"cpu": time.process_time() - cpu, "wall": time.perf_counter() - wall}
    if not note:
        made = mechanism.generate(len(rows))
        made[list(sizes)].astype(np.int64).to_parquet(asked["output"])
    print(json.dumps({**spent, "note": note, "measured": used[1]}))


if __name__ == "__main__":
    main(*sys.argv[1:])
