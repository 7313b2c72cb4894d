"""The published MST on mbi's estimator (Private-PGM), in the environment .venv-peers: peer_mst.py TABLE RHO OUTPUT.

mbi's package holds the engine and not the mechanism, so the mechanism's three steps stand here as they are published
(McKenna, Miklau, Sheldon 2021): a third of rho each for the one-way marginals, for the edges of a spanning tree by
the exponential mechanism on L1 errors of the independent model, and for measuring them. Marginals are counted by numpy,
values are not merged, and noise is numpy's: all of which only favours the peer's time. Prints the CPU and wall
seconds, imports and counting left out, as JSON; writes the synthetic rows as Parquet.
"""

from __future__ import annotations

import itertools
import json
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from mbi import Domain, LinearMeasurement, estimation


def main(table: str, rho: str, output: str) -> None:
    sizes = json.loads(Path(table.replace(".parquet", ".domain.json")).read_text())
    names, share = list(sizes), float(rho) / 3
    rows = pq.read_table(table)
    codes = {name: rows[name].to_numpy().astype(np.int64) for name in names}
    cliques = [(name,) for name in names] + list(itertools.combinations(names, 2))
    exact = {}
    for clique in cliques:
        shape = tuple(sizes[name] for name in clique)
        flat = np.ravel_multi_index([codes[name] for name in clique], shape)
        exact[clique] = np.bincount(flat, minlength=int(np.prod(shape))).astype(float)
    rng = np.random.default_rng()
    domain = Domain(tuple(names), tuple(sizes.values()))

    def measured(chosen: list[tuple[str, ...]]) -> list[LinearMeasurement]:
        sigma = np.sqrt(len(chosen) / (2 * share))
        return [LinearMeasurement(exact[c] + rng.normal(0, sigma, exact[c].size), c, sigma) for c in chosen]

    cpu, wall = time.process_time(), time.perf_counter()
    noisy = measured([(name,) for name in names])
    model = estimation.mirror_descent(domain, noisy, iters=1000)
    score = {
        p: np.abs(np.asarray(model.project(p).datavector()) - exact[p]).sum() for p in cliques if len(p) == 2
    }
    tree = {name: name for name in names}
    chosen: list[tuple[str, ...]] = []
    epsilon = np.sqrt(8 * share / (len(names) - 1))
    while len(chosen) < len(names) - 1:
        allowed = [p for p in score if tree[p[0]] != tree[p[1]]]
        gumbel = rng.gumbel(size=len(allowed))
        best = allowed[int(np.argmax(gumbel + epsilon / 2 * np.array([score[p] for p in allowed])))]
        chosen.append(best)
        old, new = tree[best[0]], tree[best[1]]
        tree = {name: new if root == old else root for name, root in tree.items()}
    model = estimation.mirror_descent(domain, noisy + measured(chosen), iters=5000)
    spent = {"cpu": time.process_time() - cpu, "wall": time.perf_counter() - wall}
    made = model.synthetic_data()
    pq.write_table(pa.table({name: np.asarray(made.to_dict()[name]) for name in names}), output)
    print(json.dumps(spent))


if __name__ == "__main__":
    main(*sys.argv[1:])
