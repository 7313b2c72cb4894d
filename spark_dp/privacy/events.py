"""What was done to the exact counts, apart from what it costs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

from spark_dp.errors import InternalError, LedgerError


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

    def to_json(self) -> dict[str, str]:
        return {"kind": "gaussian", "mu_squared": str(self.mu_squared)}


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

    def to_json(self) -> dict[str, str]:
        return {"kind": "selection", "epsilon": str(self.epsilon)}


@dataclass(frozen=True, slots=True, kw_only=True)
class ThresholdEvent:
    """Noisy counts of values that were seen in the table, those below a threshold forgotten.

    Attributes:
        mu_squared: squared L2 sensitivity over the variance parameter, positive.
        delta: the probability that a value of one unit alone passes, positive; it adds to all other deltas.
    """

    mu_squared: Fraction
    delta: Fraction

    def __post_init__(self) -> None:
        _require_positive("mu_squared", self.mu_squared)
        _require_positive("delta", self.delta)

    @property
    def rho(self) -> Fraction:
        """mu^2 / 2: it is delta-approximate rho-zCDP (proved in docs/privacy.md)."""
        return self.mu_squared / 2

    def to_json(self) -> dict[str, str]:
        return {"kind": "threshold", "mu_squared": str(self.mu_squared), "delta": str(self.delta)}


Event = GaussianEvent | SelectionEvent | ThresholdEvent


def event_from_json(record: Mapping[str, object]) -> Event:
    """Reads what `to_json` wrote.

    Raises:
        LedgerError: the record is not one of a known kind with positive rationals "p/q".
    """
    match dict(record):
        case {"kind": "gaussian", "mu_squared": str(value), **rest} if not rest:
            return GaussianEvent(mu_squared=parse_fraction(value))
        case {"kind": "selection", "epsilon": str(value), **rest} if not rest:
            return SelectionEvent(epsilon=parse_fraction(value))
        case {"kind": "threshold", "mu_squared": str(value), "delta": str(delta), **rest} if not rest:
            return ThresholdEvent(mu_squared=parse_fraction(value), delta=parse_fraction(delta))
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
