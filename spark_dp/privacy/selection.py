"""Exact exponential mechanism."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Final

import numpy as np

from spark_dp.errors import InternalError
from spark_dp.privacy.bernoulli import RELATIVE_MARGIN, bernoulli_exp, uniform_below
from spark_dp.privacy.entropy import OS_ENTROPY, Entropy

_LARGEST_FLOAT_GAMMA: Final = Fraction(10**6)  # beyond, exp(-gamma) is 0 in floats, and gamma may overflow
_EPSILON_BITS: Final = 60


def exponential_mechanism(
    scores: Sequence[int | Fraction],
    epsilon: Fraction,
    sensitivity: Fraction,
    entropy: Entropy = OS_ENTROPY,
    *,
    margin: float = RELATIVE_MARGIN,
) -> int:
    """Picks a candidate with probability proportional to exp(epsilon * score / (2 * sensitivity)).

    Proposes candidates uniformly and accepts i with an exact coin of probability
    exp(-epsilon * (best - score_i) / (2 * sensitivity)). The best is always accepted, so that n proposals are
    expected to be enough.

    Guarantees: the law is exactly the one above: no float decides. It is epsilon-DP (McSherry and Talwar
    2007, Theorem 6), of epsilon-bounded range (Durfee and Rogers 2019) and hence epsilon^2/8-zCDP (Cesar
    and Rogers 2021; proved in docs/privacy.md), provided that one unit moves no score by more than
    `sensitivity`.

    Args:
        scores: exact, at least one; higher is better.
        epsilon: positive.
        sensitivity: at least 0; at 0 no score depends on the table, and all have to be equal.
        entropy: the operating system's, except in tests.
        margin: of the coins' float comparison; may only be widened, which changes speed and not the law.

    Returns:
        The index of the chosen candidate.

    Raises:
        InternalError: an argument breaks the above. Nothing was drawn.
    """
    _require_valid(scores, epsilon, sensitivity)
    best = Fraction(max(scores))
    if sensitivity == 0:
        return int(uniform_below(len(scores), 1, entropy)[0])
    rate = epsilon / (2 * sensitivity)
    gammas = [rate * (best - score) for score in scores]
    approximate = np.array([float(min(gamma, _LARGEST_FLOAT_GAMMA)) for gamma in gammas], dtype=np.float64)
    while True:
        # One batch of n proposals is a run of independent trials; the first accepted has the law.
        proposed = uniform_below(len(scores), len(scores), entropy)
        accepted = _accept(proposed.tolist(), approximate[proposed], gammas, entropy, margin)
        if accepted is not None:
            return accepted


def _accept(
    proposed: list[int],
    approximate: np.ndarray[tuple[int], np.dtype[np.float64]],
    gammas: list[Fraction],
    entropy: Entropy,
    margin: float,
) -> int | None:
    coins = bernoulli_exp(approximate, lambda trial: gammas[proposed[trial]], entropy, margin=margin)
    first = np.flatnonzero(coins)
    return proposed[int(first[0])] if first.size else None


def epsilon_of_rho(rho: Fraction) -> Fraction:
    """Returns a rational epsilon with epsilon^2 / 8 <= rho, short of the largest by at most 2^-59 of it."""
    if rho <= 0:
        raise InternalError(f"A selection needs a positive rho, and not {rho}. Nothing was charged.")
    squared = 8 * Fraction(rho)
    # Scaled so that the integer root has at least _EPSILON_BITS bits.
    shift = max(
        0, _EPSILON_BITS + 1 + (squared.denominator.bit_length() - squared.numerator.bit_length() + 1) // 2
    )
    root = math.isqrt((squared.numerator << (2 * shift)) // squared.denominator)
    return Fraction(root, 1 << shift)


def _require_valid(scores: Sequence[int | Fraction], epsilon: Fraction, sensitivity: Fraction) -> None:
    if not scores:
        raise InternalError("A selection needs at least one candidate. Nothing was drawn.")
    if any(type(score) is not int and not isinstance(score, Fraction) for score in scores):
        raise InternalError("A selection's scores are integers or Fractions. Nothing was drawn.")
    if not isinstance(epsilon, Fraction) or epsilon <= 0:
        raise InternalError(
            f"A selection's epsilon is a positive Fraction, and not {epsilon!r}. Nothing was drawn."
        )
    if not isinstance(sensitivity, Fraction) or sensitivity < 0:
        raise InternalError(
            f"A selection's sensitivity is a Fraction of at least 0, and not {sensitivity!r}."
        )
    if sensitivity == 0 and min(scores) != max(scores):
        raise InternalError(
            "Scores of sensitivity 0 have to be equal: a difference between them could only come from the "
            "table. Nothing was drawn."
        )
