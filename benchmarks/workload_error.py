"""What a mechanism's model is off by on a workload, from a run of the real curator on a throw-away ledger."""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from benchmarks.tables import timed
from spark_dp.evaluation.marginals import total_variation
from spark_dp.files import Folder
from spark_dp.graphical.estimation import estimate
from spark_dp.graphical.model import GraphicalModel
from spark_dp.graphical.sampling import SamplingPlan, sample
from spark_dp.mechanisms.protocol import Mechanism
from spark_dp.mechanisms.workload import Workload
from spark_dp.privacy.budget import PrivacyBudget
from spark_dp.privacy.composition import Accounting
from spark_dp.privacy.curator import Curator
from spark_dp.privacy.ledger import Ledger, open_account
from spark_dp.privacy.sensitivity import Contribution, Neighbours
from spark_dp.schema.domain import Clique, Domain

CHUNK = 1 << 16
ONE_ROW = Contribution(max_rows=1, unit=1, neighbours=Neighbours.ADD_REMOVE)
Counts = dict[Clique, NDArray[np.int64]]


class Counted:
    """A table in memory whose marginals are counted once, outside of the clock."""

    def __init__(self, domain: Domain, columns: Mapping[str, NDArray[np.int64]], rows: int) -> None:
        self.domain, self.columns, self.rows = domain, columns, rows
        self.counts: Counts = {}

    @classmethod
    def of(cls, domain: Domain, table: pa.Table) -> Counted:
        return cls(domain, {a: table[a].to_numpy().astype(np.int64) for a in domain}, table.num_rows)

    def count(self, cliques: Sequence[Clique]) -> Counts:
        return {clique: self.marginal(clique) for clique in cliques}

    def marginal(self, clique: Clique) -> NDArray[np.int64]:
        if clique not in self.counts:
            flat = np.zeros(self.rows, dtype=np.int64)
            for attribute in clique:
                flat = flat * self.domain.size(attribute) + self.columns[attribute]
            counts = np.bincount(flat, minlength=self.domain.cells(clique))
            self.counts[clique] = counts.reshape(self.domain.shape(clique)).astype(np.int64)
        return self.counts[clique]


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """One run: CPU and wall seconds of selection, measurement and estimation; mean TVD over k-way marginals."""

    cpu: float
    wall: float
    errors: tuple[float, float, float]
    cells: int
    measured: int


def run(
    mechanism: Mechanism,
    table: Counted,
    *,
    epsilon: float,
    delta: float,
    max_cells: int,
    seed: int,
    accounting: Accounting = Accounting.GAUSSIAN,
) -> Result:
    """Runs a mechanism for all triples through the curator, fits, samples as many rows and compares."""
    domain, budget = table.domain, PrivacyBudget(epsilon=epsilon, delta=delta)
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{folder}/ledger.db"
        open_account(url, "bench", epsilon, delta, "row", Neighbours.ADD_REMOVE, accounting=accounting)
        account = Ledger.connect(url).begin("bench", "k", "0" * 64, budget, "row", Neighbours.ADD_REMOVE)
        curator = Curator(
            domain=domain, contribution=ONE_ROW, source=table, account=account, answers=Folder.open(folder)
        )
        workload = Workload.of_degree(domain, 3)
        plan = mechanism.plan(
            domain, rho=account.rho, contribution=ONE_ROW, workload=workload, max_cells=max_cells
        )
        table.count(plan.countable)
        with timed() as clock:
            measured = mechanism.measure(curator, plan, lambda _: None)
            fitted = estimate(domain, measured, max_cells=max_cells)
        account.release()
    return Result(
        cpu=clock.cpu,
        wall=clock.wall,
        errors=errors(table, fitted.model, seed),
        cells=fitted.model.cells,
        measured=len(measured),
    )


def errors(table: Counted, model: GraphicalModel, seed: int) -> tuple[float, float, float]:
    """Returns the mean total variation over all 1-, 2- and 3-way marginals of rows sampled from a model."""
    plan, rows = SamplingPlan.from_model(model), max(round(model.total), 1)
    streams = [np.random.SeedSequence(seed, spawn_key=(i,)) for i in range(-(-rows // CHUNK))]
    parts = [
        sample(plan, min(CHUNK, rows - i * CHUNK), np.random.PCG64(stream))
        for i, stream in enumerate(streams)
    ]
    columns = {a: np.concatenate([p[a] for p in parts]).astype(np.int64) for a in table.domain}
    made = Counted(table.domain, columns, rows)
    return errors_of(table, made)


def errors_of(table: Counted, made: Counted) -> tuple[float, float, float]:
    """Returns the mean total variation over all 1-, 2- and 3-way marginals of rows that were made."""
    one, two, three = (_mean_error(table, made, degree) for degree in (1, 2, 3))
    return one, two, three


def _mean_error(real: Counted, made: Counted, degree: int) -> float:
    found = []
    for clique in itertools.combinations(real.domain.attributes, degree):
        found.append(total_variation(real.marginal(clique), made.marginal(clique)))
        made.counts.clear()
    return float(np.mean(found))
