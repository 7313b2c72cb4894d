"""Error bars against the truth: how often intervals and bounds hold, and how wide they are, on four public tables.

For a part of the table: python -m benchmarks.calibration --tables titanic --mechanisms oneshot --runs 20 --degree 2
"""

from __future__ import annotations

import argparse
import itertools
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from benchmarks.tables import load, title
from benchmarks.workload_error import ONE_ROW, Counted
from spark_dp.files import Folder
from spark_dp.graphical.estimation import estimate
from spark_dp.graphical.model import GraphicalModel
from spark_dp.graphical.references import unmeasured_errors
from spark_dp.graphical.uncertainty import Basis, ErrorBars, error_bars
from spark_dp.graphical.unmeasured import Unmeasured
from spark_dp.mechanisms.catalog import MECHANISMS, mechanism_named
from spark_dp.mechanisms.schedules import schedule_of
from spark_dp.mechanisms.workload import Workload
from spark_dp.pipeline.expected_error import ExpectedRows, expected_errors
from spark_dp.privacy.answers import Blobs
from spark_dp.privacy.budget import PrivacyBudget
from spark_dp.privacy.choices import choices_of
from spark_dp.privacy.composition import Accounting
from spark_dp.privacy.curator import Curator
from spark_dp.privacy.entropy import OS_ENTROPY, Entropy
from spark_dp.privacy.ledger import Ledger, open_account
from spark_dp.privacy.measurement import Measurement
from spark_dp.privacy.sensitivity import Neighbours
from spark_dp.privacy.transcript import Transcript
from spark_dp.schema.domain import Clique

DELTA: Final = 1e-9
TABLES: Final = ("adult", "msnbc", "nltcs", "titanic")
CHOOSING: Final = frozenset({"measure", "select", "score"})


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Release:
    """What a run released, and what its plan had said of single columns, in TVD."""

    model: GraphicalModel
    measurements: tuple[Measurement, ...]
    revealed: tuple[Unmeasured, ...]
    planned: dict[Clique, float]

    def bars(self, clique: Clique, confidence: float) -> ErrorBars:
        return error_bars(
            self.model,
            self.measurements,
            clique,
            confidence=confidence,
            schedule=schedule_of(self.measurements),
            revealed=self.revealed,
        )


def release(
    name: str, table: Counted, *, epsilon: float, degree: int, max_cells: int, entropy: Entropy = OS_ENTROPY
) -> Release:
    """Runs a mechanism through the real curator on a throw-away ledger and keeps what a run would release."""
    mechanism, domain = mechanism_named(name), table.domain
    budget = PrivacyBudget(epsilon=epsilon, delta=DELTA)
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{folder}/ledger.db"
        open_account(
            url, "bench", epsilon, DELTA, "row", Neighbours.ADD_REMOVE, accounting=Accounting.GAUSSIAN
        )
        account = Ledger.connect(url).begin("bench", "k", "0" * 64, budget, "row", Neighbours.ADD_REMOVE)
        answers: Blobs = Folder.open(folder)
        transcript = Transcript(account, answers)
        curator = Curator(
            domain=domain,
            contribution=ONE_ROW,
            source=table,
            account=account,
            answers=answers,
            entropy=entropy,
            transcript=transcript,
        )
        plan = mechanism.plan(
            domain,
            rho=account.rho,
            contribution=ONE_ROW,
            workload=Workload.of_degree(domain, degree),
            max_cells=max_cells,
        )
        measured = mechanism.measure(curator, plan, lambda _: None)
        model = estimate(domain, measured, max_cells=max_cells).model
        choices = choices_of(
            transcript.answered(CHOOSING), unit=ONE_ROW.unit, law=account.accounting.noise
        )
        revealed = unmeasured_errors(
            model, [m.clique for m in measured], choices, answers.read, unit=ONE_ROW.unit
        )
        account.release()
    expected = ExpectedRows(rows=table.rows, source="input.expected_rows")
    planned = {e.clique: e.tvd or 0.0 for ways in (1, 2) for e in expected_errors(plan, expected, ways=ways)}
    return Release(model=model, measurements=measured, revealed=revealed, planned=planned)


@dataclass(slots=True)
class Tally:
    """What is counted over marginals and runs."""

    cells: int = 0
    cells_covered: int = 0
    marginals: int = 0
    raw_covered: int = 0
    bound_holds: int = 0
    truth: float = 0.0
    bound: float = 0.0
    expected: float = 0.0
    planned: float = 0.0
    kept: float = 0.0

    def add(self, bars: ErrorBars, exact: NDArray[np.int64], model: NDArray[np.float64], planned: float | None) -> None:
        if bars.bound is None or bars.expected is None:
            return
        off = float(np.abs(model - exact).sum())
        self.marginals += 1
        self.bound_holds += off <= bars.bound
        self.truth += off
        self.bound += bars.bound
        self.expected += bars.expected
        if planned is not None:
            self.planned += 2 * planned * float(exact.sum())
            self.kept += off
        if bars.low is not None and bars.high is not None and bars.centre is not None:
            self.cells += exact.size
            self.cells_covered += int(((bars.low <= exact) & (exact <= bars.high)).sum())
            self.raw_covered += bool(np.abs(bars.centre - exact).sum() <= (bars.measured_l1 or 0.0))


def tally(found: Release, table: Counted, cliques: Sequence[Clique], confidence: float) -> dict[Basis, Tally]:
    """Compares the error bars of marginals with what the table has."""
    tallies = {Basis.MEASURED: Tally(), Basis.REVEALED: Tally()}
    for clique in cliques:
        bars = found.bars(clique, confidence)
        if bars.basis in tallies:
            exact = table.marginal(clique)
            tallies[bars.basis].add(bars, exact, found.model.marginal(clique), found.planned.get(clique))
    return tallies


def main() -> None:
    asked = _arguments()
    title(f"Error bars of {asked.confidence:.0%}: how often they hold, over {asked.runs} runs")
    print(
        f"{'':34} {'marginals':>9} {'cells':>8} {'raw L1':>8} {'bound':>8} {'L1/N':>7} {'bound/L1':>8} "
        f"{'exp./L1':>8} {'plan/L1':>8}"
    )
    for name in asked.tables:
        data, domain = load(name)
        table = Counted.of(domain, data)
        for epsilon, mechanism, degree in itertools.product(asked.epsilons, asked.mechanisms, asked.degrees):
            sums = {Basis.MEASURED: Tally(), Basis.REVEALED: Tally()}
            for _ in range(asked.runs):
                made = release(
                    mechanism, table, epsilon=epsilon, degree=asked.degree, max_cells=asked.max_cells
                )
                cliques = list(itertools.combinations(domain.attributes, degree))
                for basis, one in tally(made, table, cliques, asked.confidence).items():
                    for field in Tally.__slots__:
                        setattr(sums[basis], field, getattr(sums[basis], field) + getattr(one, field))
            for basis, total in sums.items():
                if total.marginals:
                    label = f"{name} ε={epsilon:g} {mechanism} {degree}-way {basis}"
                    print(_line(label, total, table.rows), flush=True)


def _line(label: str, t: Tally, rows: int) -> str:
    def part(a: float, b: float) -> str:
        return f"{a / b:8.3f}" if b else f"{'–':>8}"

    return (
        f"{label:34} {t.marginals:9,} {part(t.cells_covered, t.cells)} "
        f"{part(t.raw_covered, t.marginals if t.cells else 0)} {part(t.bound_holds, t.marginals)} "
        f"{t.truth / t.marginals / rows:7.4f} {part(t.bound, t.truth)} {part(t.expected, t.truth)} "
        f"{part(t.planned, t.kept)}"
    )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--tables", nargs="+", choices=TABLES, default=list(TABLES))
    parser.add_argument("--epsilons", nargs="+", type=float, default=[0.1, 1.0, 10.0])
    parser.add_argument("--mechanisms", nargs="+", choices=list(MECHANISMS), default=list(MECHANISMS))
    parser.add_argument("--degrees", nargs="+", type=int, default=[1, 2], help="of the marginals that are asked for")
    parser.add_argument("--degree", type=int, default=2, help="of the workload")
    parser.add_argument("--runs", type=int, default=10)
    parser.add_argument("--confidence", type=float, default=0.95)
    parser.add_argument("--max-cells", type=int, default=1_000_000)
    return parser.parse_args()


if __name__ == "__main__":
    main()
