"""What was done to the exact counts, and what each of it costs in either accounting (`composition`).

`rho` is the cost in zero-concentrated differential privacy. `gaussian_rho` is half of the mu^2 with which it is
Gaussian-DP, and None where no mu is proved; it is never below `rho`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

from spark_dp.errors import InternalError, LedgerError

PI_ABOVE: Final = Fraction(355, 113)
"""A rational just above pi."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GaussianEvent:
    """Discrete Gaussian noise on an integer query.

    Attributes:
        mu_squared: squared L2 sensitivity over the variance parameter, positive.
    """

    mu_squared: Fraction

    def __post_init__(self) -> None:
        _require_positive("mu_squared", self.mu_squared)

    @property
    def rho(self) -> Fraction:
        """mu^2 / 2 (Canonne, Kamath, Steinke 2020, Theorem 14; Bun and Steinke 2016, Proposition 1.6)."""
        return self.mu_squared / 2

    @property
    def gaussian_rho(self) -> None:
        """None: the discrete Gaussian is not known to be Gaussian-DP at any useful mu."""
        return None

    def to_json(self) -> dict[str, str]:
        return {"kind": "gaussian", "mu_squared": str(self.mu_squared)}


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundedGaussianEvent:
    """Correctly rounded Gaussian noise on an integer query.

    Attributes:
        mu_squared: squared L2 sensitivity over the variance before rounding, positive.
    """

    mu_squared: Fraction

    def __post_init__(self) -> None:
        _require_positive("mu_squared", self.mu_squared)

    @property
    def rho(self) -> Fraction:
        """mu^2 / 2 (Bun and Steinke 2016, Proposition 1.6), and rounding is post-processing."""
        return self.mu_squared / 2

    @property
    def gaussian_rho(self) -> Fraction:
        """mu^2 / 2: it is mu-Gaussian-DP (Dong, Roth, Su 2019, Theorem 2.7; proved in docs/privacy.md)."""
        return self.mu_squared / 2

    def to_json(self) -> dict[str, str]:
        return {"kind": "rounded_gaussian", "mu_squared": str(self.mu_squared)}


@dataclass(frozen=True, slots=True, kw_only=True)
class SelectionEvent:
    """One draw of the exponential mechanism exp(epsilon * q / (2 S)).

    Attributes:
        epsilon: positive.
    """

    epsilon: Fraction

    def __post_init__(self) -> None:
        _require_positive("epsilon", self.epsilon)

    @property
    def rho(self) -> Fraction:
        """epsilon^2 / 8: the mechanism has epsilon-bounded range (Durfee and Rogers 2019), which is
        epsilon^2 / 8-zCDP (Cesar and Rogers 2021; proved in docs/privacy.md)."""
        return self.epsilon**2 / 8

    @property
    def gaussian_rho(self) -> Fraction:
        """pi / 2 times as much: a mechanism of epsilon-bounded range is sqrt(pi / 8) epsilon-Gaussian-DP (proved in
        docs/privacy.md), with pi rounded up."""
        return PI_ABOVE / 2 * self.rho

    def to_json(self) -> dict[str, str]:
        return {"kind": "selection", "epsilon": str(self.epsilon)}


@dataclass(frozen=True, slots=True, kw_only=True)
class ThresholdEvent:
    """Noisy counts of values that were seen in the table, those below a threshold forgotten.

    Attributes:
        mu_squared: squared L2 sensitivity over the variance parameter, positive.
        delta: the probability that a value of one unit alone passes, positive; it adds to all other deltas.
        rounded: whether the noise is the rounded Gaussian, and not the discrete one.
    """

    mu_squared: Fraction
    delta: Fraction
    rounded: bool

    def __post_init__(self) -> None:
        _require_positive("mu_squared", self.mu_squared)
        _require_positive("delta", self.delta)

    @property
    def rho(self) -> Fraction:
        """mu^2 / 2: it is delta-approximate rho-zCDP (proved in docs/privacy.md)."""
        return self.mu_squared / 2

    @property
    def gaussian_rho(self) -> Fraction | None:
        """mu^2 / 2 where the noise is rounded: it is mu-Gaussian-DP but for events of probability delta."""
        return self.mu_squared / 2 if self.rounded else None

    def to_json(self) -> dict[str, str]:
        kind = "rounded_threshold" if self.rounded else "threshold"
        return {"kind": kind, "mu_squared": str(self.mu_squared), "delta": str(self.delta)}


Event = GaussianEvent | RoundedGaussianEvent | SelectionEvent | ThresholdEvent


def event_from_json(record: Mapping[str, object]) -> Event:
    """Reads what `to_json` wrote.

    Raises:
        LedgerError: the record is not one of a known kind with positive rationals "p/q".
    """
    match dict(record):
        case {"kind": "gaussian", "mu_squared": str(value), **rest} if not rest:
            return GaussianEvent(mu_squared=parse_fraction(value))
        case {"kind": "rounded_gaussian", "mu_squared": str(value), **rest} if not rest:
            return RoundedGaussianEvent(mu_squared=parse_fraction(value))
        case {"kind": "selection", "epsilon": str(value), **rest} if not rest:
            return SelectionEvent(epsilon=parse_fraction(value))
        case {
            "kind": "threshold" | "rounded_threshold" as kind,
            "mu_squared": str(value),
            "delta": str(delta),
            **rest,
        } if not rest:
            return ThresholdEvent(
                mu_squared=parse_fraction(value), delta=parse_fraction(delta), rounded=kind != "threshold"
            )
    raise LedgerError("An event in the ledger is of no known kind or was altered. Nothing was drawn.")


def parse_fraction(text: str) -> Fraction:
    """Reads a positive rational as `str(Fraction)` writes it.

    Raises:
        LedgerError: it is not one, or not in lowest terms.
    """
    try:
        value = Fraction(text)
    except (ValueError, ZeroDivisionError):
        value = Fraction(0)
    if value <= 0 or str(value) != text:
        raise LedgerError(
            f"The ledger holds {text!r} where a positive fraction belongs: it was altered. Nothing was spent or drawn. "
            "Restore it from a copy."
        )
    return value


def _require_positive(name: str, value: object) -> None:
    if not isinstance(value, Fraction) or value <= 0:
        raise InternalError(
            f"An event's {name} is a positive Fraction, and not {value!r}. Nothing was charged."
        )
