"""Estimation alone: the same noisy marginals to mbi's mirror descent and to ours; then a model of 80 MB."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from benchmarks.tables import load, timed, title
from spark_dp.graphical.estimation import Estimate, estimate
from spark_dp.graphical.junction_tree import GrowingTree, build_junction_tree
from spark_dp.privacy.measurement import Measurement
from spark_dp.schema.domain import Clique, Domain

PEER = Path(".venv-peers/bin/python")
# table, cliques beside the one-way marginals, cells of the model, noise in rows
PROBLEMS = (
    ("adult", 13, 10**5, 20.0),
    ("adult", 20, 10**6, 10.0),
    ("adult", 20, 10**6, 50.0),
    ("msnbc", 12, 10**6, 20.0),
)
UNIT = 1 << 10
TOLERANCES = (0.1, 0.01)


def counts(table: pa.Table, domain: Domain, clique: Clique) -> NDArray[np.int64]:
    shape = domain.shape(clique)
    flat = np.ravel_multi_index([table[a].to_numpy().astype(np.int64) for a in clique], shape)
    return np.bincount(flat, minlength=int(np.prod(shape))).reshape(shape)


def problem(name: str, extra: int, cells: int, sigma: float) -> tuple[Domain, pa.Table, list[Measurement]]:
    """Measures every attribute and random pairs and triples, as many as the model's size allows."""
    table, domain = load(name)
    random = np.random.default_rng(0)
    chosen: list[Clique] = [(a,) for a in domain]
    candidates = [
        c for n in (2, 3) for c in itertools.combinations(domain.attributes, n) if domain.cells(c) <= 20_000
    ]
    for i in random.permutation(len(candidates)):
        if (
            len(chosen) < extra + len(domain)
            and GrowingTree(domain, chosen).cells_with(candidates[i]) <= cells
        ):
            chosen.append(candidates[i])
    measured = []
    for clique in chosen:
        exact = counts(table, domain, clique)
        noisy = np.rint((exact + random.normal(0, sigma, exact.shape)) * UNIT).astype(np.int64)
        variance = (Fraction(sigma) * UNIT) ** 2
        measured.append(
            Measurement(clique=clique, noisy=noisy, sigma_squared=variance, unit=UNIT, query="made up")
        )
    return domain, table, measured


def peer(
    domain: Domain,
    measured: Sequence[Measurement],
    rows: float,
    asked: Sequence[Clique],
    exact: Sequence[NDArray[np.int64]],
) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder:
        np.savez(f"{folder}/noisy.npz", *[m.values for m in measured])
        np.savez(f"{folder}/exact.npz", *exact)
        described = {
            "attributes": domain.attributes,
            "sizes": domain.sizes,
            "cliques": [m.clique for m in measured],
            "sigmas": [m.stddev for m in measured],
            "rows": rows,
            "asked": asked,
        }
        Path(f"{folder}/problem.json").write_text(json.dumps(described))
        done = subprocess.run(
            [str(PEER), "benchmarks/peer_estimation.py", folder], check=True, capture_output=True, text=True
        )
    found: dict[str, float] = json.loads(done.stdout)
    return found


def error(found: Estimate, table: pa.Table, cliques: Sequence[Clique]) -> float:
    """Returns the mean total variation of the model's marginals."""
    made = found.model.marginals(cliques)
    apart = [
        np.abs(made[c] - counts(table, found.model.domain, c)).sum() / 2 / table.num_rows for c in cliques
    ]
    return float(np.mean(apart))


def beside_the_peer() -> None:
    title("Estimation: the same measurements to both")
    for name, extra, cells, sigma in PROBLEMS:
        domain, table, measured = problem(name, extra, cells, sigma)
        triples = list(itertools.combinations(domain.attributes, 3))[::12]
        exact = [counts(table, domain, clique) for clique in triples]
        theirs = peer(domain, measured, float(table.num_rows), triples, exact)
        size = build_junction_tree(domain, [m.clique for m in measured], max_cells=10**8).cells
        held = sum(m.noisy.size for m in measured)
        print(f"\n{name}, {len(measured)} marginals of {held} cells, sigma {sigma:g}, model of {size} cells")
        print(
            f"  mbi, 1,000 steps: {theirs['warm']:.1f} s wall, {theirs['warm_cpu']:.1f} s CPU; with compiling "
            f"{theirs['cold']:.1f} s wall, {theirs['cold_cpu']:.1f} s CPU; loss {theirs['loss']:.0f}",
            flush=True,
        )
        for tolerance in TOLERANCES:
            when = Reached(theirs["loss"])
            with timed() as clock:
                found = estimate(
                    domain,
                    measured,
                    max_cells=10**8,
                    total=float(table.num_rows),
                    tolerance=tolerance,
                    progress=when,
                )
            state = "proven" if found.convergence.converged else "NOT CONVERGED"
            print(
                f"  ours, {tolerance:g} {state}: {clock.wall:.2f} s wall, {clock.cpu:.2f} s CPU, "
                f"{found.convergence.iterations} steps, loss {found.convergence.loss:.0f}; mbi's loss after "
                f"{when.wall:.2f} s wall, {when.cpu:.2f} s CPU: by CPU {theirs['warm_cpu'] / when.cpu:.0f}x faster, with "
                f"compiling {theirs['cold_cpu'] / when.cpu:.0f}x; mean error of triples: mbi {theirs['error']:.4f}, "
                f"ours {error(found, table, triples):.4f}",
                flush=True,
            )


class Reached:
    """Listens to an estimate's progress, and keeps when its loss first came down to a given one."""

    def __init__(self, loss: float) -> None:
        self.loss, self.wall, self.cpu = loss, float("nan"), float("nan")
        self._start = time.perf_counter(), time.process_time()

    def __call__(self, line: str) -> None:
        if np.isnan(self.wall) and float(line.split("loss ")[1].split(",")[0]) <= self.loss:
            self.wall, self.cpu = time.perf_counter() - self._start[0], time.process_time() - self._start[1]


def large_model() -> None:
    title("A model of 80 MB: a cold and a warm start, all marginals of three")
    domain, _, measured = problem("adult", 40, 10**7, 20.0)
    before = estimate(domain, measured[:-1], max_cells=10**7, tolerance=0.1)
    for name, start in (("cold", None), ("warm", before)):
        with timed() as clock:
            after = estimate(domain, measured, max_cells=10**7, tolerance=0.1, warm_start=start)
        print(f"{name}: {clock.wall:.1f} s wall, {clock.cpu:.1f} s CPU, {after.convergence.iterations} steps")
    triples = list(itertools.combinations(domain.attributes, 3))
    with timed() as clock:
        after.model.marginals(triples)
    print(f"{len(triples)} triples: {clock.wall:.2f} s wall, {clock.cpu:.2f} s CPU")


if __name__ == "__main__":
    if not PEER.exists():
        sys.exit("The peer is not installed here. Run: make bench")
    beside_the_peer()
    large_model()
