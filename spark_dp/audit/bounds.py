"""What an attack proves: the least mu and epsilon that can explain how well it tells two cases apart.

An attack gives each canary a score and says "in" above a threshold. Its error rates at one threshold refute every
promise whose trade-off they beat. Thresholds are declared, and not read off the scores: over all of them, all
attacks and both error rates the chance of a wrong limit is divided (Bonferroni), so that the best may be reported.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri
from scipy.stats import beta

THRESHOLDS: Final = tuple(step / 2 for step in range(-4, 5))
"""In standard deviations of the score from the middle between its two means, both as claimed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What is refuted, with a stated confidence: every mu below `mu`, and every epsilon below `epsilon`."""

    mu: float
    epsilon: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Errors:
    """How often one test was wrong, of how often it could be.

    Attributes:
        false_in: said "in" of canaries that were out.
        out: canaries that were out.
        false_out: said "out" of canaries that were in.
        inside: canaries that were in.
    """

    false_in: int
    out: int
    false_out: int
    inside: int


def rate_above(wrong: int, of: int, chance: float) -> float:
    """Returns a rate that the true one exceeds with at most this chance (Clopper and Pearson 1934).

    Args:
        wrong: events seen, in [0, of].
        of: independent trials; where there were none, nothing is known, and the limit is 1.
        chance: in (0, 1).
    """
    if wrong >= of:
        return 1.0
    return float(beta.ppf(1 - chance, wrong + 1, of - wrong))


def limits_of(seen: Sequence[Errors], *, confidence: float, delta: float) -> Limits:
    """Returns the largest limits that any of the tests gives, all of them true with the confidence.

    mu_lb = Phi^-1(1 - FP) - Phi^-1(FN) and epsilon_lb = log((1 - FN - delta) / FP), or the same with FP and FN
    exchanged, at the upper limits FP and FN of both rates (Dong, Roth, Su 2019, Definition 2.6; Kairouz, Oh,
    Viswanath 2015, Theorem 2.1).

    Args:
        seen: the tests, declared before; each trial of one test is independent of its others.
        confidence: that both limits are true, in (0, 1).
        delta: of the promise that epsilon is for.
    """
    chance = (1 - confidence) / (2 * len(seen))
    mu = epsilon = 0.0
    for errors in seen:
        false_in = rate_above(errors.false_in, errors.out, chance)
        false_out = rate_above(errors.false_out, errors.inside, chance)
        if false_in < 1 and false_out < 1:
            mu = max(mu, float(-ndtri(false_in) - ndtri(false_out)))
        for one, other in ((false_in, false_out), (false_out, false_in)):
            if 1 - other - delta > one:
                epsilon = max(epsilon, math.log((1 - other - delta) / one))
    return Limits(mu=mu, epsilon=epsilon)


def errors_at(scores: NDArray[np.float64], inside: NDArray[np.bool_], threshold: float) -> Errors:
    """Returns how often "in, where the score is above the threshold" is wrong.

    Args:
        scores: of each canary.
        inside: whether it was in; same shape.
        threshold: in the scores' unit.
    """
    above = scores > threshold
    return Errors(
        false_in=int((above & ~inside).sum()),
        out=int((~inside).sum()),
        false_out=int((~above & inside).sum()),
        inside=int(inside.sum()),
    )
