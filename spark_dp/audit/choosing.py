"""An audit of choosing: how often the exponential mechanism picks what, on two tables that differ in one unit.

The real curator makes the choice of a rehearsal again and again, over the table and over the table with one unit more,
each bounded and counted by Spark. The unit and the choice that is looked for are those that the declared law says to be
told apart best; both are fixed before a draw is made.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Final

import numpy as np
from numpy.typing import NDArray

from spark_dp.audit.bounds import Errors, limits_of
from spark_dp.audit.desk import new_curator
from spark_dp.audit.findings import Finding
from spark_dp.audit.ground import Ground, Marginals
from spark_dp.audit.rehearsal import Cell, Rehearsal
from spark_dp.privacy.accounting import mu_of_rho
from spark_dp.privacy.composition import Accounting
from spark_dp.privacy.scoring import Candidate, round_candidates, score
from spark_dp.schema.domain import Clique, Domain

CHOICE_RHO: Final = Fraction(1, 2)
"""epsilon = 2 for the choice in zCDP; 1.6, and mu = 1, in the Gaussian accounting."""

DRAWS_OF_A_RUN: Final = 25


def audit_choosing(ground: Ground, rehearsal: Rehearsal, *, draws: int, confidence: float) -> Finding | None:
    """Attacks the first choice of a mechanism; None where it makes none.

    Args:
        ground: where.
        rehearsal: of the mechanism.
        draws: of each of the two tables.
        confidence: of what is found.
    """
    if not rehearsal.choice:
        return None
    setting = rehearsal.setting
    epsilon = setting.accounting.selection_epsilon(CHOICE_RHO)
    cell, event = _most_telling(rehearsal, epsilon)
    with_unit = rehearsal.counted_with(ground, cell)
    without, with_it = (
        int(_frequencies(ground, rehearsal, source, draws)[event]) for source in (rehearsal.exact, with_unit)
    )
    seen = Errors(false_in=without, out=draws, false_out=draws - with_it, inside=draws)
    mirrored = Errors(false_in=draws - without, out=draws, false_out=with_it, inside=draws)
    limits = limits_of([seen, mirrored], confidence=confidence, delta=0.0)
    gaussian = setting.accounting is Accounting.GAUSSIAN
    return Finding(
        what="choosing",
        mechanism=setting.mechanism,
        accounting=setting.accounting.value,
        bounding=setting.bounding,
        max_rows=setting.max_rows,
        claimed_mu=mu_of_rho(CHOICE_RHO) if gaussian else None,
        proved_mu=limits.mu if gaussian else None,
        claimed_epsilon=float(epsilon),
        proved_epsilon=limits.epsilon,
        delta=0.0,
        trials=2 * draws,
        heaviest=rehearsal.heaviest(with_unit),
    )


def _most_telling(rehearsal: Rehearsal, epsilon: Fraction) -> tuple[Cell, int]:
    """Returns the cell where one unit more moves the declared law most, and the candidate where it does."""

    def law(source: Marginals) -> NDArray[np.float64]:
        return declared_law(rehearsal.domain, rehearsal.choice, source.counted, source, epsilon)

    before = law(rehearsal.exact)
    best: tuple[float, Cell, int] = (-1.0, (), 0)
    for cell in rehearsal.cells():
        gap = np.abs(law(rehearsal.declared_with(cell)) - before)
        event = int(np.argmax(gap))
        if gap[event] > best[0]:
            best = (float(gap[event]), cell, event)
    return best[1], best[2]


def declared_law(
    domain: Domain,
    candidates: Sequence[Candidate],
    counted: Mapping[Clique, NDArray[np.int64]],
    exact: Marginals,
    epsilon: Fraction,
) -> NDArray[np.float64]:
    """Returns the probabilities that the exponential mechanism declares."""
    rounded = round_candidates(candidates, domain, exact.contribution.unit)
    scores = [score(c, None if c.clique is None else counted[c.clique]) for c in rounded]
    sensitivity = exact.contribution.score(max(c.weight for c in rounded))
    rate = epsilon / (2 * sensitivity)
    weights = np.exp([float(rate * (found - max(scores))) for found in scores])
    law: NDArray[np.float64] = weights / weights.sum()
    return law


def _frequencies(ground: Ground, rehearsal: Rehearsal, source: Marginals, draws: int) -> NDArray[np.int64]:
    """Returns how often each candidate is chosen: every draw is charged, persisted and read back."""
    cliques = [None if c.stops else c.clique for c in rehearsal.choice]
    found = np.zeros(len(cliques), np.int64)
    for start in range(0, draws, DRAWS_OF_A_RUN):
        folder = ground.folder / f"{rehearsal.name}-draws"
        now = min(DRAWS_OF_A_RUN, draws - start)
        curator = new_curator(
            folder, rehearsal.domain, source, now * CHOICE_RHO, rehearsal.setting.accounting
        )
        for draw in range(now):
            chosen = curator.select(f"choice-{draw}", rehearsal.choice, rho=CHOICE_RHO)
            found[cliques.index(chosen)] += 1
        shutil.rmtree(folder)
    return found
