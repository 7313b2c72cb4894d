"""mbi's mirror descent with line search, in the environment .venv-peers: peer_estimation.py FOLDER.

Reads what `estimation.py` wrote there and prints seconds with and without the first step's compiling, of wall time and of
CPU, the loss, and the mean total variation of the marginals asked for. mirror_descent is what mbi recommends; its
accelerated method and its interior gradient ended after 250 and 300 steps with losses over thirty times higher on adult.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import jax
import numpy as np
from mbi import Domain, LinearMeasurement, estimation

STEPS = 1000


def main(folder: str) -> None:
    given = json.loads(Path(folder, "problem.json").read_text())
    noisy = list(np.load(Path(folder, "noisy.npz")).values())
    domain = Domain(tuple(given["attributes"]), tuple(given["sizes"]))
    cliques = [tuple(clique) for clique in given["cliques"]]
    measured = [
        LinearMeasurement(values.ravel(), clique, sigma)
        for values, clique, sigma in zip(noisy, cliques, given["sigmas"], strict=True)
    ]
    ends: list[tuple[float, float]] = []

    def mark(marginals: Any) -> None:
        jax.block_until_ready(marginals)
        ends.append((time.perf_counter(), time.process_time()))

    start = time.perf_counter(), time.process_time()
    model = estimation.mirror_descent(
        domain, measured, known_total=given["rows"], iters=STEPS, callback_fn=mark
    )
    cold = time.perf_counter() - start[0], time.process_time() - start[1]
    warm = np.median(np.diff(ends, axis=0), axis=0) * STEPS
    loss = 0.0
    for values, clique, sigma in zip(noisy, cliques, given["sigmas"], strict=True):
        made = np.asarray(model.project(clique).datavector(), dtype=np.float64)
        loss += float(np.square(made - values.ravel()).sum()) / (2 * sigma**2)
    apart = 0.0
    for clique, exact in zip(given["asked"], np.load(Path(folder, "exact.npz")).values(), strict=True):
        made = np.asarray(model.project(tuple(clique)).datavector(), dtype=np.float64)
        apart += float(np.abs(made - exact.ravel()).sum()) / 2 / given["rows"] / len(given["asked"])
    found = {"error": apart, "loss": loss, "cold": cold[0], "cold_cpu": cold[1]}
    print(json.dumps({**found, "warm": float(warm[0]), "warm_cpu": float(warm[1])}))


if __name__ == "__main__":
    main(sys.argv[1])
