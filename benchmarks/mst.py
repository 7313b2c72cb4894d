"""MST on adult, unit = row, δ = 1e-9: selection, measurement and estimation beside mbi's engine, in one run."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from benchmarks.tables import DATA, load, timed, title
from spark_dp.evaluation.marginals import total_variation
from spark_dp.files import Folder
from spark_dp.graphical.estimation import estimate
from spark_dp.graphical.sampling import SamplingPlan, sample
from spark_dp.mechanisms.catalog import mechanism_named
from spark_dp.mechanisms.workload import Workload
from spark_dp.privacy.budget import PrivacyBudget
from spark_dp.privacy.curator import Curator
from spark_dp.privacy.ledger import Ledger, open_account
from spark_dp.privacy.sensitivity import Contribution, Neighbours
from spark_dp.schema.domain import Clique, Domain
from spark_dp.spark.histograms import HistogramAccumulator, counting_layout, split_vector

PEER = Path(".venv-peers/bin/python")
EPSILON, DELTA = 1.0, 1e-9
RUNS = 5
CHUNK = 1 << 16


class CountedBefore:
    """Marginals that were counted outside of the clock."""

    def __init__(self, domain: Domain, cliques: Sequence[Clique], table: pa.Table) -> None:
        self.counts = marginals(domain, cliques, table)

    def count(self, cliques: Sequence[Clique]) -> Mapping[Clique, NDArray[np.int64]]:
        return {clique: self.counts[clique] for clique in cliques}


def marginals(domain: Domain, cliques: Sequence[Clique], table: pa.Table) -> dict[Clique, NDArray[np.int64]]:
    layout = counting_layout(cliques, domain, cover_cells=1)
    histograms = HistogramAccumulator(layout)
    histograms.add({a: table[a].to_numpy() for a in domain}, table.num_rows)
    return split_vector(histograms.vector(), layout, cliques)


def errors(domain: Domain, real: pa.Table, made: pa.Table) -> list[float]:
    """Returns the mean total variation over all 1-, 2- and 3-way marginals."""
    found = []
    for degree in (1, 2, 3):
        cliques = list(itertools.combinations(domain.attributes, degree))
        a, b = marginals(domain, cliques, real), marginals(domain, cliques, made)
        found.append(float(np.mean([total_variation(a[c], b[c]) for c in cliques])))
    return found


def run_ours(
    domain: Domain, table: pa.Table, source: CountedBefore, folder: str
) -> tuple[float, float, list[float]]:
    url, budget = f"sqlite:///{folder}/ledger.db", PrivacyBudget(epsilon=EPSILON, delta=DELTA)
    open_account(url, "bench", EPSILON, DELTA, "row", Neighbours.ADD_REMOVE)
    account = Ledger.connect(url).begin("bench", "k", "0" * 64, budget, "row", Neighbours.ADD_REMOVE)
    one_row = Contribution(max_rows=1, unit=1, neighbours=Neighbours.ADD_REMOVE)
    curator = Curator(
        domain=domain, contribution=one_row, source=source, account=account, answers=Folder.open(folder)
    )
    mst = mechanism_named("mst")
    with timed() as clock:
        plan = mst.plan(
            domain,
            rho=account.rho,
            contribution=one_row,
            workload=Workload.of_degree(domain, 3),
            max_cells=10**7,
        )
        measured = mst.measure(curator, plan, lambda _: None)
        fitted = estimate(domain, measured, max_cells=10**7)
    assert fitted.convergence.converged
    model, rows = SamplingPlan.from_model(fitted.model), round(fitted.model.total)
    parts = [
        sample(model, min(CHUNK, rows - start), np.random.PCG64(np.random.SeedSequence(0, spawn_key=(i,))))
        for i, start in enumerate(range(0, rows, CHUNK))
    ]
    made = pa.table({a: np.concatenate([p[a] for p in parts]).astype(np.int64) for a in domain})
    return clock.cpu, clock.wall, errors(domain, table, made)


def main() -> None:
    if not PEER.exists():
        sys.exit("The peer is not installed here. Run: make bench")
    table, domain = load("adult")
    cliques = [(a,) for a in domain] + list(itertools.combinations(domain.attributes, 2))
    source = CountedBefore(domain, cliques, table)
    title(f"MST on adult, ε = {EPSILON}, δ = {DELTA}, unit = row")
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "peer.parquet"
        rho = float(PrivacyBudget(epsilon=EPSILON, delta=DELTA).rho)
        command = [str(PEER), "benchmarks/peer_mst.py", str(DATA / "adult.parquet"), repr(rho), str(output)]
        peer = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        theirs = errors(domain, table, pq.read_table(output))
    ours = []
    for _ in range(RUNS):
        with tempfile.TemporaryDirectory() as folder:
            ours.append(run_ours(domain, table, source, folder))
    cpu, wall = float(np.median([o[0] for o in ours])), float(np.median([o[1] for o in ours]))
    error = np.mean([o[2] for o in ours], axis=0)
    spread = np.std([o[2] for o in ours], axis=0)
    print(f"{'':28} {'CPU s':>8} {'wall s':>8} {'TVD 1':>8} {'TVD 2':>8} {'TVD 3':>8}")
    print(
        f"{'mbi, published MST (1 run)':28} {peer['cpu']:8.1f} {peer['wall']:8.1f} "
        + " ".join(f"{e:8.4f}" for e in theirs)
    )
    print(f"{f'ours ({RUNS} runs)':28} {cpu:8.2f} {wall:8.2f} " + " ".join(f"{e:8.4f}" for e in error))
    print(f"{'  standard deviation':28} {'':8} {'':8} " + " ".join(f"{e:8.4f}" for e in spread))
    ratios = " ".join(f"{a / b:8.2f}" for a, b in zip(error, theirs, strict=True))
    print(f"{'ratio (time: theirs/ours)':28} {peer['cpu'] / cpu:8.0f} {peer['wall'] / wall:8.0f} {ratios}")


if __name__ == "__main__":
    main()
