"""A wide table, 100 columns of up to 100 values that depend on one another in a random tree: time, memory and error.

`python -m benchmarks.wide --columns 100 --values 100 --rows 200000`; no Spark: rows are counted in this process, in the
passes that the plan has for a driver and an executor of the given memory.
"""

from __future__ import annotations

import argparse
import itertools
import resource
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from benchmarks.tables import timed, title
from spark_dp.evaluation.marginals import total_variation
from spark_dp.files import Folder
from spark_dp.graphical.estimation import estimate
from spark_dp.graphical.sampling import MAX_CHUNK_ROWS, SamplingPlan, sample
from spark_dp.mechanisms.automatic import advise
from spark_dp.mechanisms.catalog import MECHANISMS
from spark_dp.mechanisms.protocol import Mechanism
from spark_dp.mechanisms.workload import Workload
from spark_dp.privacy.budget import PrivacyBudget
from spark_dp.privacy.composition import Accounting
from spark_dp.privacy.curator import Curator
from spark_dp.privacy.ledger import Ledger, open_account
from spark_dp.privacy.sensitivity import Contribution, Neighbours
from spark_dp.schema.domain import Clique, Domain
from spark_dp.spark.counting import Counted, MarginalPass, SparkMarginals
from spark_dp.spark.histograms import CountingLayout, HistogramAccumulator, counting_layout, split_vector
from spark_dp.spark.pass_plan import CountingRoom, planned_passes

EPSILON, DELTA = 1.0, 1e-9
MODEL_CELLS = 10_000_000
COMPARED = 300
Codes = dict[str, NDArray[np.uint8]]


def wide_domain(columns: int, values: int, seed: int = 0) -> Domain:
    """Returns columns of 2 to `values` values, a third of them of `values`."""
    random = np.random.default_rng(seed)
    sizes = [values if i % 3 == 0 else int(random.integers(2, values + 1)) for i in range(columns)]
    return Domain(tuple(f"c{i:03}" for i in range(columns)), tuple(sizes))


def random_tree(columns: int, seed: int = 1) -> list[tuple[int, int]]:
    """Returns the edges of a tree, each from a column to an earlier one."""
    random = np.random.default_rng(seed)
    return [(int(random.integers(0, child)), child) for child in range(1, columns)]


def wide_codes(domain: Domain, edges: list[tuple[int, int]], rows: int, seed: int = 2) -> Codes:
    """Draws rows: each column follows its parent in 3 rows of 5 by a random map, else it is skewed by itself."""
    random = np.random.default_rng(seed)
    parents = {child: parent for parent, child in edges}
    codes: Codes = {}
    for i, attribute in enumerate(domain):
        size = domain.size(attribute)
        own = (random.random(rows) ** 2 * size).astype(np.uint8)
        if i in parents:
            parent = domain.attributes[parents[i]]
            follows = random.integers(0, size, domain.size(parent)).astype(np.uint8)
            own = np.where(random.random(rows) < 0.6, follows[codes[parent]], own)
        codes[attribute] = own
    return codes


@dataclass
class Passes:
    """Counts rows in this process and remembers what each pass took."""

    codes: Codes
    rows: int
    seconds: list[float] = field(default_factory=list)
    cells: list[int] = field(default_factory=list)

    def prepare(self) -> MarginalPass:
        return MarginalPass(self.run, None, lambda: None)

    def run(self, layout: CountingLayout) -> Counted:
        start = time.process_time()
        histograms = HistogramAccumulator(layout)
        histograms.add({a: self.codes[a] for a in layout.attributes}, self.rows)
        counted = Counted(histograms.vector(), self.rows, self.rows, 0)
        self.seconds.append(time.process_time() - start)
        self.cells.append(layout.vector_cells)
        return counted


@contextmanager
def curator_over(domain: Domain, source: SparkMarginals, contribution: Contribution) -> Iterator[Curator]:
    with tempfile.TemporaryDirectory() as folder:
        url, budget = f"sqlite:///{folder}/ledger.db", PrivacyBudget(epsilon=EPSILON, delta=DELTA)
        open_account(url, "wide", EPSILON, DELTA, "row", Neighbours.ADD_REMOVE)
        account = Ledger.connect(url).begin("wide", "k", "0" * 64, budget, "row", Neighbours.ADD_REMOVE)
        yield Curator(
            domain=domain,
            contribution=contribution,
            source=source,
            account=account,
            answers=Folder.open(folder),
        )


def pair_error(domain: Domain, pairs: list[Clique], real: Codes, made: Codes) -> float:
    """Returns the mean total variation of pairs."""
    layout = counting_layout(pairs, domain, cover_cells=1)
    found = []
    for codes in (real, made):
        histograms = HistogramAccumulator(layout)
        histograms.add({a: codes[a] for a in layout.attributes}, len(codes[domain.attributes[0]]))
        found.append(split_vector(histograms.vector(), layout, pairs))
    return float(np.mean([total_variation(found[0][p], found[1][p]) for p in pairs]))


def peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6


def run(
    domain: Domain, edges: list[tuple[int, int]], codes: Codes, rows: int, name: str, driver_mb: int
) -> None:
    contribution = Contribution(max_rows=1, unit=1, neighbours=Neighbours.ADD_REMOVE)
    workload = Workload.of_degree(domain, 2)
    rho = PrivacyBudget(epsilon=EPSILON, delta=DELTA).rho_in(Accounting.GAUSSIAN)
    told = {"contribution": contribution, "workload": workload, "max_cells": MODEL_CELLS}
    mechanism: Mechanism = (
        MECHANISMS[name]
        if name != "auto"
        else advise(
            domain,
            rho=rho,
            contribution=contribution,
            workload=workload,
            max_cells=MODEL_CELLS,
            expected_rows=rows,
        ).mechanism
    )
    with timed() as planning:
        plan = mechanism.plan(domain, rho=rho, **told)  # type: ignore[arg-type]
        whole = counting_layout(plan.countable, domain)
        room = CountingRoom(driver=driver_mb * 500_000, executor=driver_mb * 500_000, tasks=1)
        layouts = planned_passes(plan.countable, whole, room)
    held = (room.driver - max(map(room.driver_bytes, layouts))) // 8
    passes = Passes(codes, rows)
    source = SparkMarginals(domain, plan.countable, passes.prepare, passes=layouts, held_cells=held)
    begun, before, turns = peak(), time.process_time(), dict[str, float]()

    def hear(said: str) -> None:
        turns[said.partition(":")[0]] = time.process_time() - before - sum(passes.seconds)

    with curator_over(domain, source, contribution) as curator, timed() as measuring:
        measured = mechanism.measure(curator, plan, hear)
    scored, chosen = turns.get("oneshot/score", 0.0), turns.get("oneshot/chosen", 0.0)
    with timed() as fitting:
        fitted = estimate(domain, measured, max_cells=MODEL_CELLS)
    with timed() as sampling:
        made = sample(SamplingPlan.from_model(fitted.model), min(rows, MAX_CHUNK_ROWS), np.random.PCG64(5))
    counting, reached = sum(passes.seconds), peak()
    kept = {m.clique for m in measured if len(m.clique) == 2}
    tree = [tuple(domain.attributes[i] for i in edge) for edge in edges]
    random = np.random.default_rng(7)
    every = list(itertools.combinations(domain.attributes, 2))
    some = [every[i] for i in random.choice(len(every), min(COMPARED, len(every)), replace=False)]
    print(
        f"\n{mechanism.name}: {len(layouts)} planned passes, {len(passes.seconds)} made, {whole.vector_cells:,} cells"
    )
    print(
        f"  plan {planning.cpu:.1f} s, counting {counting:.1f} s, the rest of measuring "
        f"{measuring.cpu - counting:.1f} s, of which {scored:.1f} s until all was scored, "
        f"{max(0.0, chosen - scored):.1f} s to choose"
    )
    print(
        f"  fit {fitting.cpu:.1f} s ({fitted.convergence.iterations} steps, {fitted.model.cells:,} cells, gap "
        f"{fitted.convergence.relative_gap:.1g} of the noise floor), sampling {sampling.cpu:.1f} s; CPU seconds"
    )
    print(
        f"  peak memory {reached:,.0f} MB, before measuring {begun:,.0f} MB, of which "
        f"{sum(c.nbytes for c in codes.values()) / 1e6:,.0f} MB are the rows; declared are {driver_mb:,} MB"
    )
    print(f"  {len(kept)} pairs measured, {len(kept & set(tree))} of the {len(tree)} in the tree")
    print(
        f"  error of pairs in the tree {pair_error(domain, tree, codes, made):.4f}, of {len(some)} random pairs "
        f"{pair_error(domain, some, codes, made):.4f}",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--columns", type=int, default=100)
    parser.add_argument("--values", type=int, default=100)
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--driver-mb", type=int, default=1024)
    parser.add_argument("--mechanisms", nargs="+", default=["auto", "independent"])
    chosen = parser.parse_args()
    domain, edges = wide_domain(chosen.columns, chosen.values), random_tree(chosen.columns)
    codes = wide_codes(domain, edges, chosen.rows)
    title(
        f"A wide table: {chosen.columns} columns of up to {chosen.values} values, {chosen.rows:,} rows, ε = {EPSILON:g}"
    )
    for name in chosen.mechanisms:
        run(domain, edges, codes, chosen.rows, name, chosen.driver_mb)


if __name__ == "__main__":
    main()
