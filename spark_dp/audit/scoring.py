"""An audit of scoring: the noisy errors of all candidates at once, on two tables that differ in one unit.

The real curator is asked for the errors of a rehearsal again and again, over the table and over the table with one unit
more, each bounded and counted by Spark. The unit is the one that moves all errors together furthest. The attacker knows
both tables, and adds up the errors along the line between their exact ones: the best test there is of Gaussian noise
(Neyman and Pearson). An attack on one error would not notice that the others were not paid for.
"""

from __future__ import annotations

import math
import shutil
from fractions import Fraction
from typing import Final

import numpy as np
from numpy.typing import NDArray

from spark_dp.audit.bounds import errors_at, limits_of
from spark_dp.audit.desk import new_curator
from spark_dp.audit.findings import Finding
from spark_dp.audit.ground import DELTA, Ground, Marginals
from spark_dp.audit.rehearsal import Rehearsal
from spark_dp.privacy.accounting import mu_of_rho
from spark_dp.privacy.scoring import l1_distance, round_candidates

SCORE_RHO: Final = Fraction(9, 2)
"""mu = 3, at which a draw, that is a query of its own, says most of mu."""

PLACES: Final = (Fraction(1, 2), Fraction(1))
"""Thresholds, in parts of the way between the two tables as claimed. Noise that is too small shows at the second."""

DRAWS_OF_A_RUN: Final = 25


def audit_scoring(ground: Ground, rehearsal: Rehearsal, *, draws: int, confidence: float) -> Finding | None:
    """Attacks the first scoring of a mechanism; None where it scores nothing.

    Args:
        ground: where.
        rehearsal: of the mechanism.
        draws: of each of the two tables.
        confidence: of what is found.
    """
    if not rehearsal.scored:
        return None
    setting = rehearsal.setting
    before = _distances(rehearsal, rehearsal.exact)
    moves = {
        cell: _distances(rehearsal, rehearsal.declared_with(cell)) - before for cell in rehearsal.cells()
    }
    cell = max(moves, key=lambda cell: float((moves[cell] ** 2).sum()))
    with_unit = rehearsal.counted_with(ground, cell)
    scores = np.concatenate(
        [
            _along(ground, rehearsal, source, before, moves[cell], draws)
            for source in (rehearsal.exact, with_unit)
        ]
    )
    claimed = mu_of_rho(SCORE_RHO)
    inside = np.arange(2 * draws) >= draws
    seen = [errors_at(scores, inside, float(place) * claimed) for place in PLACES]
    limits = limits_of(seen, confidence=confidence, delta=DELTA)
    return Finding(
        what="scoring",
        mechanism=setting.mechanism,
        accounting=setting.accounting.value,
        bounding=setting.bounding,
        max_rows=setting.max_rows,
        claimed_mu=claimed,
        proved_mu=limits.mu,
        claimed_epsilon=setting.accounting.epsilon(SCORE_RHO, DELTA),
        proved_epsilon=limits.epsilon,
        delta=DELTA,
        trials=2 * draws,
        heaviest=rehearsal.heaviest(with_unit),
    )


def _distances(rehearsal: Rehearsal, source: Marginals) -> NDArray[np.float64]:
    """Returns the exact errors in rows, of estimates as the curator rounds them."""
    unit = source.contribution.unit
    rounded = round_candidates(rehearsal.scored, rehearsal.domain, unit)
    return np.array(
        [
            l1_distance(source.counted[c.clique], c.estimate) / unit
            for c in rounded
            if c.clique is not None and c.estimate is not None
        ]
    )


def _along(
    ground: Ground,
    rehearsal: Rehearsal,
    source: Marginals,
    before: NDArray[np.float64],
    move: NDArray[np.float64],
    draws: int,
) -> NDArray[np.float64]:
    """Returns each draw's place between the tables: of variance 1, 0 without the unit, and mu with it, as claimed.

    Every draw is charged, persisted and read back.
    """
    found = []
    for start in range(0, draws, DRAWS_OF_A_RUN):
        folder = ground.folder / f"{rehearsal.name}-draws"
        now = min(DRAWS_OF_A_RUN, draws - start)
        curator = new_curator(folder, rehearsal.domain, source, now * SCORE_RHO, rehearsal.setting.accounting)
        for draw in range(now):
            answer = curator.score(f"score-{draw}", rehearsal.scored, rho=SCORE_RHO)
            precision = np.array([distance.stddev**-2 for distance in answer])
            off = np.array([distance.rows for distance in answer]) - before
            found.append(float((off * move * precision).sum()) / math.sqrt((move**2 * precision).sum()))
        shutil.rmtree(folder)
    return np.array(found)
