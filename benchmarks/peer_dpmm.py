"""AIM or MST of dpmm, in an environment of its own: peer_dpmm.py REQUEST, as `peer_aim.py`.

Triples of any size are candidates (by default those of 10,000 cells are), and one process does the work; all else is as
the package sets it, the merging of rare values among it. Its random state is numpy's.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from dpmm.models.aim import AIM
from dpmm.models.base.mbi import FactoredInference
from dpmm.models.mst import MST
from peer_clock import limited


def main(request: str) -> None:
    asked = json.loads(request)
    sizes = json.loads(Path(asked["table"].replace(".parquet", ".domain.json")).read_text())
    rows = pd.read_parquet(asked["table"])[list(sizes)].astype("int64")
    settings = {
        "epsilon": asked["epsilon"],
        "delta": asked["delta"],
        "domain": sizes,
        "compress": True,
        "n_jobs": 1,
    }
    if asked["mechanism"] == "aim":
        mechanism = AIM(**settings, degree=3, max_cells=10**9, max_model_size=asked["max_mb"])
    else:
        mechanism = MST(**settings)
    estimate = FactoredInference.estimate

    def told(self: Any, measurements: list[Any], *args: Any, **kwargs: Any) -> Any:
        # The noise that MST states is that of a third of the budget together, before it is divided.
        spent = [] if asked["mechanism"] == "mst" else [0.5 / m[2] ** 2 for m in measurements]
        clock.used, clock.measured = sum(spent) / mechanism.rho, len(measurements)
        return estimate(self, measurements, *args, **kwargs)

    FactoredInference.estimate = told
    with limited(asked["seconds"]) as clock:
        mechanism.fit(rows)
    if not clock.note:
        mechanism.generate(len(rows))[list(sizes)].astype(np.int64).to_parquet(asked["output"])
    print(json.dumps(clock.report()))


if __name__ == "__main__":
    main(*sys.argv[1:])
