"""Exact coins of probability exp(-gamma), and exact uniform integers.

Both are the bricks of the discrete Gaussian (`noise`) and of the exponential mechanism (`selection`). Floats
only decide what they can decide with certainty; the rest is decided with integers.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Final

import numpy as np
from numpy.typing import NDArray

from spark_dp.errors import InternalError
from spark_dp.privacy.entropy import Entropy

# A coin compares a uniform U with p = exp(-gamma). Callers promise an absolute error of at most 2^-42 in the
# float gamma wherever gamma <= 64, which is a relative error of 2^-42 in p. numpy's exp is within 4 ulp
# (2^-50), and the product and the conversion of the 64-bit word cost 2^-52 each. Together that is below
# 2^-41, so 2^-36 leaves a factor of 32. Above gamma = 64, p < 2^-92 and the absolute slack alone decides.
RELATIVE_MARGIN: Final = 2.0**-36
_SLACK: Final = 4.0  # in units of 2^-64: the word's own width, and what is left of p beyond gamma = 64
_ONE: Final = 2.0**64


def bernoulli_exp(
    gamma: NDArray[np.float64],
    exact: Callable[[int], Fraction],
    entropy: Entropy,
    *,
    margin: float = RELATIVE_MARGIN,
) -> NDArray[np.bool_]:
    """Tosses one coin of probability exp(-gamma[i]) for each i, independently.

    The top 64 bits of a uniform real decide wherever they lie outside `margin` of the float exp(-gamma).
    Elsewhere (probability 2^-35 a coin) more bits are drawn and compared with integer bounds of
    exp(-exact(i)), to whatever precision it takes.

    Guarantees: the law is exactly Bernoulli(exp(-exact(i))): a wider margin only moves coins to the slow way,
    where the same words give the same results.

    Args:
        gamma: shape (n,), at least 0, within 2^-42 of exact(i) wherever that is at most 64, and within a
            factor of 1 +- 2^-42 above.
        exact: gives the rational gamma of coin i.
        entropy: one word a coin, and a few more in the slow way.
        margin: relative; at least RELATIVE_MARGIN.

    Returns:
        bool, shape (n,).
    """
    if not margin >= RELATIVE_MARGIN:
        raise InternalError(
            f"A coin's margin is at least {RELATIVE_MARGIN}, and not {margin}. Nothing was drawn."
        )
    words = entropy.words(gamma.size)
    position = words.astype(np.float64)
    threshold = np.exp(-gamma) * _ONE
    heads: NDArray[np.bool_] = position < threshold * (1.0 - margin) - _SLACK
    # Written as "not surely above", so that a NaN would be decided exactly rather than as tails.
    undecided = ~heads & ~(position > threshold * (1.0 + margin) + _SLACK)
    for index in np.flatnonzero(undecided):
        heads[index] = _is_below_exp(int(words[index]), exact(int(index)), entropy)
    return heads


def uniform_below(bound: int, size: int, entropy: Entropy) -> NDArray[np.int64]:
    """Draws `size` integers uniformly from [0, bound).

    Guarantees: exactly uniform: words from the incomplete last multiple of `bound` are rejected.

    Args:
        bound: in [1, 2^62].
        size: at least 0.

    Returns:
        int64, shape (size,).
    """
    if not 1 <= bound <= 2**62:
        raise InternalError(
            f"A uniform integer's bound lies in [1, 2^62], and is not {bound}. Nothing was drawn."
        )
    largest = np.uint64((2**64 // bound) * bound - 1)
    words = entropy.words(size)
    while (rejected := words > largest).any():
        words = words.copy()
        words[rejected] = entropy.words(int(rejected.sum()))
    return (words % np.uint64(bound)).astype(np.int64)


def _is_below_exp(word: int, gamma: Fraction, entropy: Entropy) -> bool:
    """Whether the uniform real that starts with these 64 bits is below exp(-gamma)."""
    if gamma == 0:
        return True
    digits, bits = word, 64
    while True:
        low, high = exp_bounds(gamma, bits)
        if digits + 1 <= low:
            return True
        if digits >= high:
            return False
        digits = (digits << 64) | int(entropy.words(1)[0])
        bits += 64


def exp_bounds(gamma: Fraction, bits: int) -> tuple[int, int]:
    """Returns integers low <= 2^bits * exp(-gamma) <= high, close to each other.

    gamma is halved until it is below 1, the alternating series is summed in fixed point, and the result is
    squared back, each step rounded outwards.

    Args:
        gamma: at least 0.
        bits: of the fixed point of the result.
    """
    halvings = int(gamma).bit_length()
    guard = halvings + 32
    precision = bits + guard
    reduced = (gamma.numerator << precision) // (gamma.denominator << halvings)
    # `reduced` is short of the true value by less than one unit, which moves exp(-x) by less than one. Each
    # term is short by at most 3 units (e' <= (e + 1) / (i + 1) + 1), and the series stops at a term of 0,
    # whose true value is then at most 4 with a tail of at most 8.
    term, total, terms = 1 << precision, 1 << precision, 0
    while term:
        terms += 1
        term = ((term * reduced) >> precision) // terms
        total += -term if terms % 2 else term
    error = 4 * terms + 16
    low, high = max(total - error, 0), total + error
    for _ in range(halvings):
        low = (low * low) >> precision
        high = -((-high * high) >> precision)
    return low >> guard, -((-high) >> guard)
