"""Exact, correctly rounded Gaussian noise, vectorised."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

import numpy as np
from numpy.typing import NDArray

from spark_dp.errors import InternalError
from spark_dp.privacy.bernoulli import RELATIVE_MARGIN, exp_bounds
from spark_dp.privacy.entropy import OS_ENTROPY, Entropy
from spark_dp.privacy.noise import check_sigma_squared
from spark_dp.privacy.normal_steps import STEPS, normal_steps

_BATCH: Final = 2**15  # proposals at a time: what stays in a core's cache
_PROPOSALS_PER_DRAW: Final = 1.02  # the acceptance rate is 1 / (1 + 1 / (32 sqrt(2 pi))) = 0.9877
_DIGITS: Final = 63  # of the fraction of a step, to begin with
_COIN_BITS: Final = 32  # of a coin, to begin with
_COIN_SLACK: Final = 2.0  # in units of 2^-32: the coin's own width, and a rounding

# In floats, sigma is off by 2^-52 of itself, the position by 2^-52, their product by 2^-53 and the sum with 1/2 by
# 2^-53: together below 2^-50 of the sum. The digits that are not drawn yet are worth 2^-68 of sigma. 2^-48 and 2^-62
# leave a factor of four and of 64.
_ROUNDING_MARGIN: Final = 2.0**-48
_DIGITS_MARGIN: Final = 2.0**-62


def rounded_gaussian(
    sigma_squared: Fraction,
    size: int,
    entropy: Entropy = OS_ENTROPY,
    *,
    margin: float = RELATIVE_MARGIN,
) -> NDArray[np.int64]:
    """Draws integers round(sigma Z), with Z of the standard normal law.

    |Z| = (step + fraction) / 32. Proposals have an exact integer step of probability in proportion to
    exp(-(step / 32)^2 / 2) and a uniform fraction; an exact coin of probability exp(-fraction (2 step + fraction) / 2048)
    keeps them, so that the density of what is kept is in proportion to exp(-Z^2 / 2) everywhere. The fraction is a
    real number whose digits are drawn as they are needed: 63 at first, and more where these leave the coin or the
    rounding undecided. All kept proposals are independent and of one law, so that a batch may be cut.

    Guarantees: the law is exactly that of the real number sigma Z, rounded to the nearest integer (ties have
    probability 0). Floats decide only where a bound of their error shows them to be right, and integers elsewhere. Added
    to an integer query it is what rounding makes of the answer of the Gaussian mechanism, round(n + sigma Z) =
    n + round(sigma Z). At the L2 sensitivity D it is therefore (D / sigma)-Gaussian-DP and D^2 / (2 sigma^2)-zCDP
    (proved in docs/privacy.md).

    Args:
        sigma_squared: the variance before rounding, in squared units of the query, in [2^-40, 2^90).
        size: how many.
        entropy: the operating system's, except in tests.
        margin: of the float comparisons; may only be widened, which changes speed and not the law.

    Returns:
        int64, shape (size,).

    Raises:
        InternalError: sigma_squared is not a rational in the range, or size is negative. Nothing was drawn.

    Source: Karney 2016, Sampling Exactly from the Normal Distribution, Algorithm N, with steps of 1/32 for his of 1,
    by inversion for his counting, and 63 digits at a time for his one.
    """
    check_sigma_squared(sigma_squared)
    if size < 0:
        raise InternalError(f"Noise was asked for {size} cells. Nothing was drawn.")
    if not margin >= RELATIVE_MARGIN:
        raise InternalError(f"The margin is at least {RELATIVE_MARGIN}, and not {margin}. Nothing was drawn.")
    noise = np.empty(size, dtype=np.int64)
    filled = 0
    while filled < size:
        proposals = min(_BATCH, int(_PROPOSALS_PER_DRAW * (size - filled)) + 16)
        drawn = _draw(sigma_squared, proposals, entropy, margin)[: size - filled]
        noise[filled : filled + drawn.size] = drawn
        filled += drawn.size
    return noise


def _draw(sigma_squared: Fraction, proposals: int, entropy: Entropy, margin: float) -> NDArray[np.int64]:
    """Draws one integer for each proposal that is kept."""
    words = entropy.words(2 * proposals)
    halves = words[:proposals].view(np.uint32)
    steps, coins = normal_steps(halves[:proposals], entropy), halves[proposals:]
    negative = (words[proposals:] & np.uint64(1)).astype(np.bool_)
    digits = words[proposals:] >> np.uint64(1)
    fraction = digits * 2.0**-_DIGITS  # off by 2^-53 of itself, and by 2^-63
    reals = _Reals(steps, digits)

    # Off by less than 2^-50 wherever it is below 1, far beyond which no step is drawn.
    gamma = fraction * (2 * steps + fraction) / (2 * STEPS**2)
    threshold = np.exp(-gamma) * 2.0**_COIN_BITS
    kept: NDArray[np.bool_] = coins < threshold * (1.0 - margin) - _COIN_SLACK
    undecided = ~kept & ~(coins > threshold * (1.0 + margin) + _COIN_SLACK)
    for index in np.flatnonzero(undecided):
        kept[index] = reals.at(int(index)).is_kept(int(coins[index]), entropy)

    sigma = math.sqrt(sigma_squared)
    shifted = (steps + fraction) * (sigma / STEPS) + 0.5
    magnitude = np.floor(shifted)
    rest = shifted - magnitude
    error = shifted * (_ROUNDING_MARGIN * (margin / RELATIVE_MARGIN)) + sigma * _DIGITS_MARGIN
    whole = magnitude.astype(np.int64)
    for index in np.flatnonzero(kept & ~((rest > error) & (rest < 1.0 - error))):
        whole[index] = reals.at(int(index)).rounded(sigma_squared, entropy)
    np.negative(whole, out=whole, where=negative)
    return whole[kept]


@dataclass(slots=True)
class _Real:
    """A real number step + fraction in units of 1/32, of whose fraction some binary digits are known.

    Attributes:
        step: whole.
        digits: floor(2^bits * fraction); what is to come is uniform in [0, 1).
        bits: how many digits are known.
    """

    step: int
    digits: int
    bits: int

    def refine(self, entropy: Entropy) -> None:
        """Draws 64 more digits."""
        self.digits = (self.digits << 64) | int(entropy.words(1)[0])
        self.bits += 64

    def is_kept(self, coin: int, entropy: Entropy) -> bool:
        """Says whether the uniform real that starts with these 32 bits is below exp(-gamma) of this number."""
        bits = _COIN_BITS
        while True:
            surely, _ = exp_bounds(self._gamma(self.digits + 1), bits)
            _, perhaps = exp_bounds(self._gamma(self.digits), bits)
            if coin + 1 <= surely:
                return True
            if coin >= perhaps:
                return False
            self.refine(entropy)
            coin = (coin << 64) | int(entropy.words(1)[0])
            bits += 64

    def rounded(self, sigma_squared: Fraction, entropy: Entropy) -> int:
        """Returns sigma times the number, rounded to the nearest integer."""
        while True:
            low, high = self._rounded(sigma_squared, 0), self._rounded(sigma_squared, 1)
            if low == high:
                return low
            self.refine(entropy)

    def _gamma(self, digits: int) -> Fraction:
        return Fraction(digits * ((self.step << (self.bits + 1)) + digits), STEPS**2 << (2 * self.bits + 1))

    def _rounded(self, sigma_squared: Fraction, more: int) -> int:
        """Rounds sigma y for y = (digits + more) / 2^bits: floor(sigma y + 1/2) = floor((floor(2 sigma y) + 1) / 2)."""
        position = (self.step << self.bits) + self.digits + more
        # 2 sigma y is the root of a rational, and the floor of a root that of the floor's root.
        numerator = 4 * sigma_squared.numerator * position**2
        denominator = sigma_squared.denominator * STEPS**2 << (2 * self.bits)
        return (math.isqrt(numerator // denominator) + 1) // 2


class _Reals:
    """The reals of a batch; what was drawn of one to keep it is remembered when it is rounded."""

    __slots__ = ("_digits", "_refined", "_steps")

    def __init__(self, steps: NDArray[np.int16], digits: NDArray[np.uint64]) -> None:
        self._steps = steps
        self._digits = digits
        self._refined: dict[int, _Real] = {}

    def at(self, index: int) -> _Real:
        if index not in self._refined:
            self._refined[index] = _Real(int(self._steps[index]), int(self._digits[index]), _DIGITS)
        return self._refined[index]
