"""Inference alone: passes over a model of 80 MB beside streaming its memory, peak memory, sizes of candidates."""

from __future__ import annotations

import itertools
import random
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks.estimation import problem
from benchmarks.tables import title
from spark_dp.graphical.cliques import maximal_cliques
from spark_dp.graphical.estimation import estimate
from spark_dp.graphical.junction_tree import GrowingTree, build_junction_tree
from spark_dp.graphical.own import noisy_marginal
from spark_dp.graphical.passes import Passes
from spark_dp.graphical.triangulation import Triangulation
from spark_dp.schema.domain import Domain

TURNS = 21


def cpu(work: Callable[[], object]) -> float:
    """Returns CPU seconds of this thread: its clock stands while others have the processor."""
    start = time.thread_time()
    work()
    return time.thread_time() - start


def passes() -> None:
    """Beside the least that a pass over stored tables does: write their weights on the way up, read them on the way down."""
    title("A model of 80 MB: one pass, and one product with the covariance")
    domain, _, measured = problem("adult", 40, 10**7, 20.0)
    sites = maximal_cliques([domain.canonical(m.clique) for m in measured])
    tree = build_junction_tree(domain, sites, max_cells=10**8)
    logs = [np.random.default_rng(1).normal(0, 0.3, domain.shape(s)) for s in sites]
    boxed, built = Passes(tree, sites), Passes(tree, sites, dense_cell=0.0)
    table = np.empty(tree.cells)
    works: dict[str, Callable[[], object]] = {
        "written once": lambda: table.fill(1.0),
        "read once": table.sum,
        "one pass": lambda: (boxed.forward(logs), boxed.marginals(1.0)),
        "one product": lambda: boxed.tangent(logs),
        "one pass, all tables built": lambda: (built.forward(logs), built.marginals(1.0)),
        "one product, all tables built": lambda: built.tangent(logs),
    }
    found = np.array([[cpu(work) for work in works.values()] for _ in range(TURNS)])
    least, median = found.min(axis=0), np.median(found, axis=0)
    print(
        f"{tree.cells * 8 / 1e6:.0f} MB, CPU ms, least and median of {TURNS} turns; as parts of written and read once"
    )
    for i, name in enumerate(works):
        print(
            f"  {name:30} {1e3 * least[i]:6.1f} {1e3 * median[i]:6.1f} "
            f"{least[i] / least[:2].sum():6.2f} {median[i] / median[:2].sum():6.2f}"
        )


def candidates() -> None:
    title("The size of the model with one more pair, 100 columns of up to 100 values")
    draw = random.Random(1)
    domain = Domain(tuple(f"c{i}" for i in range(100)), tuple(draw.randint(2, 100) for _ in range(100)))
    tree = [(f"c{draw.randrange(i)}", f"c{i}") for i in range(1, 100)]
    pairs = draw.sample(list(itertools.combinations(domain.attributes, 2)), 200)
    for name, cliques in (
        ("a forest of 50 edges", tree[:50]),
        ("one tree of 99 edges", tree),
        ("the tree and 5 loops", tree + pairs[:5]),
        ("the tree and 15 loops", tree + pairs[:15]),
    ):
        grown = GrowingTree(domain, cliques)
        grown.cells_with(pairs[0])
        new = [pair for pair in pairs if not grown.holds(pair)]
        ours = cpu(lambda grown=grown, new=new: [grown.cells_with(pair) for pair in new]) / len(new)  # type: ignore[misc]
        scratch = cpu(
            lambda cliques=cliques, new=new: [  # type: ignore[misc]
                Triangulation(domain, [*cliques, pair]).nodes(restarts=0) for pair in new
            ]
        )
        scratch /= len(new)
        print(f"  {name:22} {1e3 * ours:.3f} ms, from scratch {1e3 * scratch:.3f} ms: {scratch / ours:.1f}x")


def memory() -> None:
    title("Peak memory of an estimate, each in a process of its own")
    for kind in ("adult", "measured"):
        command = [sys.executable, "-m", "benchmarks.inference", "--memory", kind]
        print(subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip(), flush=True)


def memory_of(kind: str) -> None:
    """Prints by how much an estimate raises the resident memory, beside its model and the noisy counts."""
    if kind == "adult":
        domain, _, measured = problem("adult", 40, 10**7, 20.0)
    else:
        domain = Domain(tuple("abcdefg"), (150, 150, 150, 150, 150, 150, 150))
        random = np.random.default_rng(0)
        measured = [
            noisy_marginal(c, random.normal(0.01, 5, domain.shape(c)), stddev=5.0)
            for c in (("a", "b", "c"), ("c", "d", "e"), ("e", "f", "g"))
        ]
    tree = build_junction_tree(domain, [m.clique for m in measured], max_cells=10**8)
    model, counts = tree.cells * 8 / 1e6, sum(m.noisy.nbytes for m in measured) / 1e6
    before = _resident("VmRSS")
    estimate(domain, measured, max_cells=10**8, tolerance=0.1, max_iterations=5)
    added = _resident("VmHWM") - before
    print(
        f"{kind}: model {model:.0f} MB, counts {counts:.0f} MB, {before:.0f} MB resident before, {added:.0f} MB more at "
        f"the peak: {added / model:.2f} times the model"
    )


def _resident(field: str) -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1e3 for line in lines if line.startswith(f"{field}:"))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--memory"]:
        memory_of(sys.argv[2])
        sys.exit()
    passes()
    candidates()
    memory()
