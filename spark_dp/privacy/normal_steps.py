"""The whole steps of a half-normal: integers j >= 0 with probabilities in proportion to exp(-(j / 32)^2 / 2).

Inversion of a uniform real of which 32 bits are drawn at first. A table of integers decides nearly always; where the bits
drawn so far leave two answers, more are drawn and compared with rigorous bounds of the cumulative law.
"""

from __future__ import annotations

import functools
from bisect import bisect_right
from fractions import Fraction
from typing import Final

import numpy as np
from numpy.typing import NDArray

from spark_dp.errors import InternalError
from spark_dp.privacy.bernoulli import exp_bounds
from spark_dp.privacy.entropy import Entropy

STEPS: Final = 32
"""Steps in one standard deviation."""

_BITS: Final = 32  # of a uniform real, to begin with
_GUARD: Final = 32
_MOST_BITS: Final = 512  # reached with probability 2^-470: only broken randomness gets here


def normal_steps(words: NDArray[np.uint32], entropy: Entropy) -> NDArray[np.int16]:
    """Draws one step for each word.

    Guarantees: the law is exactly the one above, without an end.

    Args:
        words: uniform; the first 32 bits of a uniform real each.
        entropy: of further bits.

    Returns:
        int16, the shape of `words`.

    Raises:
        InternalError: the entropy is broken. Nothing was released.
    """
    steps: NDArray[np.int16] = _guide()[words >> 16]
    for index in np.flatnonzero(steps < 0):
        steps[index] = _step(int(words[index]), entropy)
    return steps


@functools.cache
def cumulative_bounds(bits: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Returns integers low[j - 1] <= 2^bits P(step < j) <= high[j - 1] for j = 1, 2, ...

    They end where a step is less likely than 2^-(bits + 24): a real above the last is decided with more bits.
    """
    precision = bits + _GUARD
    lows, highs = [0], [0]
    step = 0
    while True:
        low, high = exp_bounds(Fraction(step * step, 2 * STEPS * STEPS), precision)
        if high <= 1 << (_GUARD - 24):
            break
        lows.append(lows[-1] + low)
        highs.append(highs[-1] + high)
        step += 1
    # From here on each weight is at most r = exp(-step / 32^2) times the one before it, so that what is left adds up
    # to at most high / (1 - r) <= high * (1 + 32^2 / step).
    least, most = lows[-1], highs[-1] + high * (2 + STEPS * STEPS // step)
    return (
        tuple((low << bits) // most for low in lows[1:]),
        tuple(-((-high << bits) // least) for high in highs[1:]),
    )


@functools.cache
def _guide() -> NDArray[np.int16]:
    """Returns what the first 16 bits decide: int16, shape (2^16,), the step, or -1 where it takes more bits."""
    low, high = (np.array(bounds, dtype=np.int64) for bounds in cumulative_bounds(16))
    cells = np.arange(2**16)
    # A real in [cell, cell + 1) / 2^16 is surely at or above the bounds that are at most `cell`, and surely below those
    # that are at least cell + 1.
    passed = np.searchsorted(high, cells, side="right")
    below = np.append(low, 0)[passed] >= cells + 1
    guide: NDArray[np.int16] = np.where(below, passed, -1).astype(np.int16)
    return guide


def _step(word: int, entropy: Entropy) -> int:
    """Returns the step of the uniform real that starts with these 32 bits."""
    digits, bits = word, _BITS
    while bits < _MOST_BITS:
        low, high = cumulative_bounds(bits)
        passed = bisect_right(high, digits)
        if passed < len(low) and digits + 1 <= low[passed]:
            return passed
        digits = (digits << 64) | int(entropy.words(1)[0])
        bits += 64
    raise InternalError(
        "The source of randomness returned the same words again and again. Nothing was released."
    )
