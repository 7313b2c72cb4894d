"""What may be spent, and the filter that refuses to spend more."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

from spark_dp.errors import BudgetExceededError, ConfigurationError, InternalError
from spark_dp.privacy.composition import Accounting
from spark_dp.privacy.events import Event
from spark_dp.privacy.thresholds import delta_left, rho_beside

LARGEST_DELTA: Final = 1e-5


class RhoExceededError(BudgetExceededError):
    """A query or a run costs more than is left.

    Attributes:
        asked: the rho that was asked for.
        left: the rho that is left.
    """

    def __init__(self, message: str, *, asked: Fraction, left: Fraction) -> None:
        super().__init__(message, field="privacy.epsilon")
        self.asked = asked
        self.left = left


@dataclass(frozen=True, slots=True, kw_only=True)
class PrivacyBudget:
    """The promise of one run: (epsilon, delta).

    Attributes:
        epsilon: positive and finite. There is no default.
        delta: in (0, 1), far below one over the number of units. There is no default.
        allow_large_delta: confirms a delta above 1e-5.
        thresholds: the part of delta that is kept for private values; rho is what the rest of it pays for.

    Raises:
        ConfigurationError: with field `privacy.epsilon` or `privacy.delta`.
    """

    epsilon: float
    delta: float
    allow_large_delta: bool = False
    thresholds: Fraction = Fraction(0)

    def __post_init__(self) -> None:
        _require_positive_number("privacy.epsilon", self.epsilon)
        _require_positive_number("privacy.delta", self.delta)
        if self.delta >= 1:
            raise ConfigurationError(
                f"privacy.delta = {self.delta} promises nothing. Nothing was spent. Write a probability below a tenth of "
                "one over the number of units, such as 1e-9.",
                field="privacy.delta",
            )
        if self.delta > LARGEST_DELTA and self.allow_large_delta is not True:
            raise ConfigurationError(
                f"privacy.delta = {self.delta} is above {LARGEST_DELTA}. Nothing was spent. Lower it below "
                "a tenth of one over the number of units, or confirm it: privacy.confirm_large_delta, or "
                "--confirm-large-delta for an account.",
                field="privacy.delta",
            )
        if not self.thresholds >= 0 or delta_left(float(self.delta), self.thresholds) <= 0:
            raise ConfigurationError(
                f"privacy.delta = {self.delta} is not above the delta = {float(self.thresholds):g} of private values "
                "together: nothing is left for the noise. Nothing was spent. Lower their delta, to a tenth of it in all.",
                field="privacy.delta",
            )

    @property
    def rho(self) -> Fraction:
        """What the run may spend in zCDP, rounded down: no accounting lets it spend less."""
        return self.rho_in(Accounting.ZCDP)

    def rho_in(self, accounting: Accounting) -> Fraction:
        """Returns what the run may spend in this accounting, rounded down (`Accounting.rho`)."""
        return rho_beside(accounting, float(self.epsilon), float(self.delta), self.thresholds)


class RhoFilter:
    """Adds up what queries cost and refuses the one that would exceed the total.

    Guarantees: whatever is asked, and however it depends on earlier answers, what was accepted is together
    `total`-zCDP, and sqrt(2 total)-Gaussian-DP as well in the Gaussian accounting. (Composition: Bun and Steinke 2016,
    Lemma 1.7. Adaptively chosen costs under a filter: Rogers et al. 2016; Feldman and Zrnic 2021; Whitehouse et al.
    2023; for Gaussian DP Smith and Thakurta 2022, Koskela et al. 2023; all proved in docs/privacy.md.) Sums are
    exact.

    Args:
        total: that may be spent.
        accounting: in what; declared before the first query.
    """

    __slots__ = ("_accounting", "_spent", "_total")

    def __init__(self, total: Fraction, accounting: Accounting) -> None:
        if not isinstance(total, Fraction) or total < 0:
            raise InternalError(f"A filter's total is a Fraction of at least 0, and not {total!r}.")
        self._total = total
        self._accounting = Accounting(accounting)
        self._spent = Fraction(0)

    @property
    def total(self) -> Fraction:
        return self._total

    @property
    def spent(self) -> Fraction:
        return self._spent

    @property
    def remaining(self) -> Fraction:
        return self._total - self._spent

    def require(self, name: str, event: Event) -> None:
        """Refuses a query that would exceed the total; charges nothing.

        Raises:
            RhoExceededError: its cost is above what remains.
            InternalError: the accounting has no cost for it.
        """
        cost = self._accounting.cost(event)
        if cost > self.remaining:
            raise RhoExceededError(
                f"Query {name!r} needs rho = {float(cost):.6g}, but only {float(self.remaining):.6g} of "
                f"{float(self._total):.6g} is left. Nothing was spent on it and nothing was released. "
                "Lower its share in mechanism, or raise privacy.epsilon in a new run.",
                asked=cost,
                left=self.remaining,
            )

    def charge(self, name: str, event: Event) -> None:
        """Charges a query, or refuses it and charges nothing.

        Raises:
            RhoExceededError: its cost is above what remains.
            InternalError: the accounting has no cost for it.
        """
        self.require(name, event)
        self._spent += self._accounting.cost(event)


def _require_positive_number(name: str, value: object) -> None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not math.isfinite(value) or value <= 0:  # type: ignore[arg-type, operator]
        raise ConfigurationError(
            f"{name} is {value!r}. Nothing was spent. Write a positive, finite number; there is no default.",
            field=name,
        )
