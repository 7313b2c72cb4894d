"""An audit of measuring in one run: many canaries, each in or out by a coin.

Unit j has only rows of cell j of every column, more of them than k, in several files. Its presence moves that cell of
every marginal, and no other unit moves it; so each canary is a trial of its own of one run of the real stages.
Attacks see all that was released:

    answers   of one run, and of the same key run again after its measurements were deleted: the noisy counts of the
              canary's cells, added over all marginals by their precision (an attack on one marginal would not notice
              that the others were not paid for), and averaged over the repetitions
    contrast  with a second run on a table that is known: noise that comes again cancels

The first is the best test there is of Gaussian noise (Neyman and Pearson), the second is better only if noise repeats.
"""

from __future__ import annotations

import math
import secrets
import shutil
from fractions import Fraction
from typing import Final

import numpy as np
from numpy.typing import NDArray

from spark_dp.audit.bounds import THRESHOLDS, errors_at, limits_of
from spark_dp.audit.findings import Finding
from spark_dp.audit.ground import Ground, Setting
from spark_dp.pipeline import stages
from spark_dp.pipeline.artefacts import read_measurements
from spark_dp.pipeline.run import Run
from spark_dp.privacy.composition import Accounting
from spark_dp.privacy.measurement import Measurement

RHO: Final = Fraction(1, 2)
"""mu = 1."""

COLUMNS: Final = 4
SURPLUS: Final = 7
"""Rows of a canary, at k = 3: no divisor of k, so that its weights are rounded."""

MAX_ROWS: Final = 3


def audit_measuring(
    ground: Ground,
    *,
    mechanism: str,
    bounding: str,
    accounting: Accounting,
    canaries: int,
    confidence: float,
) -> Finding:
    """Attacks one run with all its canaries at once.

    Args:
        ground: where.
        mechanism: by its name in the catalog.
        bounding: 'weight' or 'sample'.
        accounting: of the account.
        canaries: how many; about half of them are in.
        confidence: of what is found.

    Source: Steinke, Nasr, Jagielski 2023, Privacy auditing with one training run; with Gaussian limits, as each
    canary's cells have noise of their own.
    """
    setting = Setting(
        mechanism=mechanism,
        bounding=bounding,
        accounting=accounting,
        max_rows=MAX_ROWS,
        columns=COLUMNS,
        cells=canaries,
        rho=RHO,
    )
    inside = np.frombuffer(secrets.token_bytes(canaries), np.uint8) % 2 == 1
    name = f"{mechanism}-{bounding}-{accounting.value}"
    for table, units in ((f"{name}-coin", np.flatnonzero(inside)), (f"{name}-known", np.arange(canaries))):
        rows = np.tile(units, SURPLUS)
        ground.write(table, np.repeat(rows[:, None], COLUMNS, axis=1), rows)

    run = ground.run(setting, f"{name}-coin", name)
    heaviest = _heaviest(ground, run, setting)
    first = _scores(_released(run), canaries)
    shutil.rmtree(ground.folder / "runs" / name / "released")
    again = _scores(_released(run), canaries)
    known = _scores(_released(ground.run(setting, f"{name}-known", f"{name}-known")), canaries)

    answers = (first + again) / 2 - setting.mu / 2
    contrast = (first - known + setting.mu / 2) / math.sqrt(2)
    seen = [errors_at(scores, inside, at) for scores in (answers, contrast) for at in THRESHOLDS]
    budget = setting.budget
    limits = limits_of(seen, confidence=confidence, delta=budget.delta)
    return Finding(
        what="measuring",
        mechanism=mechanism,
        accounting=accounting.value,
        bounding=bounding,
        max_rows=MAX_ROWS,
        claimed_mu=setting.mu,
        proved_mu=limits.mu,
        claimed_epsilon=budget.epsilon,
        proved_epsilon=limits.epsilon,
        delta=budget.delta,
        trials=canaries,
        heaviest=heaviest,
    )


def _released(run: Run) -> tuple[Measurement, ...]:
    return read_measurements(stages.measure(run))


def _scores(measured: tuple[Measurement, ...], canaries: int) -> NDArray[np.float64]:
    """Returns each canary's score, whose variance is 1 and whose two means lie mu apart, if all is as claimed."""
    score, information = np.zeros(canaries), 0.0
    for found in measured:
        if not found.clique:
            continue  # the total, which every unit moves
        cell = np.arange(canaries)
        score += found.values[(cell,) * len(found.clique)] / found.stddev**2
        information += 1 / found.stddev**2
    return score / math.sqrt(information)


def _heaviest(ground: Ground, run: Run, setting: Setting) -> float:
    """Returns the weight in rows of the heaviest unit: no two share a cell."""
    exact = ground.marginals(run, [(name,) for name in setting.names])
    unit = exact.contribution.unit
    return max(int(counts.max()) for counts in exact.counted.values()) / unit
