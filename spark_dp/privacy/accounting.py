"""Conversions between what was spent (rho, mu) and what is promised (epsilon, delta).

Every float returned lies on the safe side of the true value: a delta or an epsilon never below it, a rho or a
mu never above. Formulas hold for every parameter a > 1 over which they are minimised, so that a
minimiser which is a little off costs accuracy and not validity; rounding errors are bounded and added.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Final

from scipy.special import log_ndtr

from spark_dp.errors import InternalError

# Each term below is a handful of roundings of 2^-53; scipy's log_ndtr is good to some 2^-50.
_ZCDP_ERROR: Final = 2.0**-49
_GAUSSIAN_ERROR: Final = 2.0**-46
_GRID_BITS: Final = 51


def zcdp_delta(rho: float | Fraction, epsilon: float) -> float:
    """Returns a delta such that every rho-zCDP mechanism is (epsilon, delta)-DP.

    delta = min over a > 1 of exp((a - 1)(a rho - epsilon)) / (a - 1) * (1 - 1/a)^a.

    Guarantees: never below the true minimum; above it by less than 1e-6 of itself.

    Args:
        rho: at least 0.
        epsilon: at least 0.

    Source: Canonne, Kamath, Steinke 2020, Proposition 12, through the Renyi divergence of zCDP.
    """
    spent = _upwards(rho)
    _require(spent >= 0 and epsilon >= 0, f"rho = {rho}, epsilon = {epsilon}")
    if spent == 0:
        return 0.0

    # With b = a - 1, the exponent b((b + 1) rho - epsilon) + b log b - (b + 1) log(1 + b) is convex in b.
    def slope(b: float) -> float:
        return (2 * b + 1) * spent - epsilon - math.log1p(1 / b)

    b = _root(slope)
    terms = (b * (b + 1) * spent, -b * epsilon, b * math.log(b), -(b + 1) * math.log1p(b))
    exponent = math.fsum(terms) + _ZCDP_ERROR * (math.fsum(map(abs, terms)) + 1)
    return min(1.0, _above(math.exp(exponent))) if exponent < 0 else 1.0


def zcdp_epsilon(rho: float | Fraction, delta: float) -> float:
    """Returns an epsilon such that every rho-zCDP mechanism is (epsilon, delta)-DP.

    Guarantees: never below the smallest epsilon that the formula of `zcdp_delta` gives.

    Args:
        rho: at least 0.
        delta: in (0, 1).

    Source: Canonne, Kamath, Steinke 2020, Proposition 12, solved for epsilon at each a.
    """
    spent = _upwards(rho)
    _require(spent >= 0 and 0 < delta < 1, f"rho = {rho}, delta = {delta}")
    if spent == 0:
        return 0.0
    surprise = -math.log(delta)

    # epsilon(b) = (b + 1) rho + log(b / (1 + b)) + (log(1/delta) - log(1 + b)) / b, whose slope is
    # rho - (log(1/delta) - log(1 + b)) / b^2.
    def slope(b: float) -> float:
        return b * b * spent + math.log1p(b) - surprise

    b = _root(slope)
    terms = ((b + 1) * spent, -math.log1p(1 / b), surprise / b, -math.log1p(b) / b)
    epsilon = math.fsum(terms) + _ZCDP_ERROR * math.fsum(map(abs, terms))
    return max(0.0, _above(epsilon))


def zcdp_rho(epsilon: float, delta: float) -> Fraction:
    """Returns the rho that (epsilon, delta) pays for.

    Guarantees: zcdp_delta(rho, epsilon) <= delta, checked on the very value that is returned; it is dyadic,
    on a grid of at most 2^-50 of itself, and below the largest such rho by less than 1e-9 of it.

    Args:
        epsilon: positive and finite.
        delta: in (0, 1).
    """
    _require(0 < epsilon < math.inf and 0 < delta < 1, f"epsilon = {epsilon}, delta = {delta}")
    return _largest_dyadic(lambda rho: zcdp_delta(rho, epsilon) <= delta)


def gaussian_delta(mu: float, epsilon: float) -> float:
    """Returns the delta of the continuous Gaussian mechanism of sensitivity over sigma = mu.

    delta = Phi(mu/2 - epsilon/mu) - e^epsilon Phi(-mu/2 - epsilon/mu).

    Guarantees: never below the true value. It holds for continuous Gaussian noise and for what is computed
    from it, such as correctly rounded Gaussian noise on integer counts. It does NOT hold for the discrete
    Gaussian, whose accounts never use it (`composition`).

    Source: Balle and Wang 2018, Theorem 8; Dong, Roth, Su 2019, Corollary 2.13.
    """
    _require(mu >= 0 and epsilon >= 0, f"mu = {mu}, epsilon = {epsilon}")
    if mu == 0:
        return 0.0
    near = float(log_ndtr(mu / 2 - epsilon / mu))
    far = float(log_ndtr(-mu / 2 - epsilon / mu))
    # An argument's rounding moves log Phi by about the argument times that.
    wobble = _GAUSSIAN_ERROR * (abs(near) + abs(far) + epsilon + (mu + epsilon / mu) ** 2 + 1)
    ratio = epsilon + far - near - wobble
    return min(1.0, _above(-math.exp(near + wobble) * math.expm1(min(ratio, 0.0))))


def gaussian_epsilon(mu: float, delta: float) -> float:
    """Returns an epsilon with gaussian_delta(mu, epsilon) <= delta, to 1e-12 of the smallest.

    One of few digits, where one that near will do: what was declared is then not said to be a hair more.
    """
    _require(mu >= 0 and 0 < delta < 1, f"mu = {mu}, delta = {delta}")
    if gaussian_delta(mu, 0.0) <= delta:
        return 0.0
    high = 1.0
    while gaussian_delta(mu, high) > delta:
        high *= 2
    low = 0.0
    while high - low > 1e-13 * high and low < (middle := (low + high) / 2) < high:
        low, high = (low, middle) if gaussian_delta(mu, middle) <= delta else (middle, high)
    short = float(f"{high:.12g}")
    return short if short < high and gaussian_delta(mu, short) <= delta else high


def gaussian_mu(epsilon: float, delta: float) -> float:
    """Returns a mu with gaussian_delta(mu, epsilon) <= delta, to 1e-12 of the largest."""
    _require(0 <= epsilon < math.inf and 0 < delta < 1, f"epsilon = {epsilon}, delta = {delta}")
    return _largest(lambda mu: gaussian_delta(mu, epsilon) <= delta)


def gaussian_rho(epsilon: float, delta: float) -> Fraction:
    """Returns half of the mu^2 that (epsilon, delta) pays for by the exact Gaussian trade-off.

    Guarantees: gaussian_delta(mu_of_rho(rho), epsilon) <= delta, checked on the very value that is returned; it is
    dyadic, on a grid of at most 2^-50 of itself, and below the largest such value by less than 1e-9 of it.

    Args:
        epsilon: positive and finite.
        delta: in (0, 1).
    """
    _require(0 < epsilon < math.inf and 0 < delta < 1, f"epsilon = {epsilon}, delta = {delta}")
    return _largest_dyadic(lambda rho: gaussian_delta(mu_of_rho(rho), epsilon) <= delta)


def mu_of_rho(rho: float | Fraction) -> float:
    """Returns the mu of which rho is half the square, rounded up."""
    spent = _upwards(rho)
    _require(spent >= 0, f"rho = {rho}")
    return _above(math.sqrt(2 * spent)) if spent else 0.0


def _largest_dyadic(holds: Callable[[float | Fraction], bool]) -> Fraction:
    """Finds the largest rho at which a monotone condition holds, to 1e-9 of it, and checks it on what it returns."""
    mantissa, exponent = math.frexp(_largest(holds))
    steps = math.floor(math.ldexp(mantissa, _GRID_BITS))
    rho = Fraction(steps) * Fraction(2) ** (exponent - _GRID_BITS)
    while not holds(rho):
        steps -= 1
        rho = Fraction(steps) * Fraction(2) ** (exponent - _GRID_BITS)
    return rho


def _root(increasing: Callable[[float], float]) -> float:
    """Finds where an increasing function of b > 0 crosses 0, by bisection on log b."""
    low, high = -70.0, 70.0
    for _ in range(80):
        middle = (low + high) / 2
        low, high = (middle, high) if increasing(math.exp(middle)) < 0 else (low, middle)
    return math.exp((low + high) / 2)


def _largest(holds: Callable[[float], bool]) -> float:
    """Finds the largest positive float, to 1e-13 of it, at which a monotone condition still holds."""
    low = 1.0
    while not holds(low):
        low /= 2
        if low < 1e-300:
            raise InternalError("No positive cost fits this epsilon and delta. Nothing was spent.")
    high = 2 * low
    while holds(high):
        low, high = high, 2 * high
    while high - low > 1e-14 * low and low < (middle := (low + high) / 2) < high:
        low, high = (middle, high) if holds(middle) else (low, middle)
    return low


def _upwards(rho: float | Fraction) -> float:
    """Returns the nearest float that is not below."""
    value = float(rho)
    return value if not isinstance(rho, Fraction) or Fraction(value) >= rho else _above(value)


def _above(value: float) -> float:
    return math.nextafter(value, math.inf)


def _require(valid: bool, given: str) -> None:
    if not valid:
        raise InternalError(
            f"A privacy conversion was asked for outside its range: {given}. Nothing was spent."
        )
