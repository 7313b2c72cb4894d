"""What a mechanism releases of a table in memory, through the real curator on a throw-away ledger, for error bars."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spark_dp.files import Folder
from spark_dp.graphical.estimation import estimate
from spark_dp.graphical.model import GraphicalModel
from spark_dp.graphical.references import unmeasured_errors
from spark_dp.graphical.uncertainty import Basis, ErrorBars, error_bars
from spark_dp.graphical.unmeasured import Unmeasured
from spark_dp.mechanisms.catalog import mechanism_named
from spark_dp.mechanisms.schedules import schedule_of
from spark_dp.mechanisms.workload import Workload
from spark_dp.pipeline.expected_error import ExpectedRows, expected_errors
from spark_dp.privacy.budget import PrivacyBudget
from spark_dp.privacy.choices import Choices, choices_of
from spark_dp.privacy.composition import Accounting
from spark_dp.privacy.curator import Curator, MarginalSource
from spark_dp.privacy.entropy import OS_ENTROPY, Entropy
from spark_dp.privacy.ledger import Ledger, open_account
from spark_dp.privacy.measurement import Measurement
from spark_dp.privacy.sensitivity import Contribution, Neighbours
from spark_dp.privacy.transcript import Transcript
from spark_dp.schema.domain import Clique, Domain

DELTA = 1e-9
ONE_ROW = Contribution(max_rows=1, unit=1, neighbours=Neighbours.ADD_REMOVE)
CHOOSING = frozenset({"measure", "select", "score"})


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Release:
    """What a run released; `planned` is what its plan had said of single columns and pairs, in TVD."""

    model: GraphicalModel
    measurements: tuple[Measurement, ...]
    choices: Choices
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
    name: str,
    domain: Domain,
    source: MarginalSource,
    rows: int,
    *,
    epsilon: float = 1.0,
    degree: int = 2,
    max_cells: int = 1_000_000,
    entropy: Entropy = OS_ENTROPY,
    contribution: Contribution = ONE_ROW,
) -> Release:
    """Runs a mechanism and keeps what a run would release."""
    mechanism, budget = mechanism_named(name), PrivacyBudget(epsilon=epsilon, delta=DELTA)
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{folder}/ledger.db"
        neighbours = contribution.neighbours
        open_account(url, "t", epsilon, DELTA, "row", neighbours, accounting=Accounting.GAUSSIAN)
        account = Ledger.connect(url).begin("t", "k", "0" * 64, budget, "row", neighbours)
        answers = Folder.open(folder)
        transcript = Transcript(account, answers)
        curator = Curator(
            domain=domain,
            contribution=contribution,
            source=source,
            account=account,
            answers=answers,
            entropy=entropy,
            transcript=transcript,
        )
        plan = mechanism.plan(
            domain,
            rho=account.rho,
            contribution=contribution,
            workload=Workload.of_degree(domain, degree),
            max_cells=max_cells,
        )
        measured = mechanism.measure(curator, plan, lambda _: None)
        model = estimate(domain, measured, max_cells=max_cells).model
        unit = contribution.unit
        choices = choices_of(transcript.answered(CHOOSING), unit=unit, law=account.accounting.noise)
        revealed = unmeasured_errors(model, [m.clique for m in measured], choices, answers.read, unit=unit)
        account.release()
    expected = ExpectedRows(rows=rows, source="input.expected_rows")
    planned = {e.clique: e.tvd or 0.0 for ways in (1, 2) for e in expected_errors(plan, expected, ways=ways)}
    return Release(model=model, measurements=measured, choices=choices, revealed=revealed, planned=planned)


@dataclass(slots=True)
class Tally:
    """What is counted over marginals and runs: how many cells and bounds hold, and sums of L1 errors in rows.

    Attributes:
        occupied: cells that a row is in; by_mean and by_model how many of these lie within the interval, and within one
            of the same width around the model.
    """

    cells: int = 0
    covered: int = 0
    occupied: int = 0
    by_mean: int = 0
    by_model: int = 0
    measured: int = 0
    measured_holds: int = 0
    marginals: int = 0
    holds: int = 0
    truth: float = 0.0
    bound: float = 0.0
    expected: float = 0.0
    planned: float = 0.0
    kept: float = 0.0

    def add(
        self, bars: ErrorBars, exact: NDArray[np.int64], model: NDArray[np.float64], planned: float | None
    ) -> None:
        if bars.bound is None or bars.expected is None:
            return
        off = float(np.abs(model - exact).sum())
        self.marginals += 1
        self.holds += off <= bars.bound
        self.truth += off
        self.bound += bars.bound
        self.expected += bars.expected
        if planned is not None:
            self.planned += 2 * planned * float(exact.sum())
            self.kept += off
        if bars.low is not None and bars.high is not None and bars.centre is not None:
            inside = (bars.low <= exact) & (exact <= bars.high)
            there = exact > 0
            half = float((bars.high - bars.centre).flat[bars.centre.argmax()])  # where nothing is cut at 0
            self.cells += exact.size
            self.covered += int(inside.sum())
            self.occupied += int(there.sum())
            self.by_mean += int(inside[there].sum())
            self.by_model += int((np.abs(model - exact) <= half)[there].sum())
            self.measured += 1
            self.measured_holds += bool(np.abs(bars.centre - exact).sum() <= (bars.measured_l1 or 0.0))

    def __iadd__(self, other: Tally) -> Tally:
        for name in Tally.__slots__:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        return self


def no_tallies() -> dict[Basis, Tally]:
    return {Basis.MEASURED: Tally(), Basis.REVEALED: Tally()}
