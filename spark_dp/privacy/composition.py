"""In which currency an account adds up what queries cost, and what the sum promises.

An account declares its accounting when it is opened, before anything is drawn on it, and all of its runs keep to it. That
is what makes the filter a filter: no answer decides which of two sums has to stay below its total.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction
from functools import lru_cache
from typing import Final

from spark_dp.errors import InternalError, LedgerError
from spark_dp.privacy.accounting import (
    gaussian_delta,
    gaussian_epsilon,
    gaussian_rho,
    mu_of_rho,
    zcdp_delta,
    zcdp_epsilon,
    zcdp_rho,
)
from spark_dp.privacy.events import PI_ABOVE, Event, parse_fraction
from spark_dp.privacy.noise_law import NoiseLaw
from spark_dp.privacy.selection import epsilon_of_rho

ZCDP_METHOD: Final = "zCDP, tight conversion"
GAUSSIAN_METHOD: Final = "Gaussian DP, exact trade-off"

DELTAS: Final = (1e-5, 1e-6, 1e-7, 1e-8, 1e-9, 1e-10, 1e-12)
"""Those at which a promise is stated, beside its own."""


class Accounting(StrEnum):
    """In what an account adds up.

    Guarantees: events whose costs add up to at most rho, however each was chosen after the answers before it, are
    together rho-zCDP; in the Gaussian accounting they are sqrt(2 rho)-Gaussian-DP as well (proved in
    docs/privacy.md).

    Attributes:
        ZCDP: for every event; noise is the discrete Gaussian.
        GAUSSIAN: half the mu^2 of Gaussian DP, for events of which one is proved; noise is the rounded Gaussian. The same
            epsilon and delta pay for a larger rho, and a selection costs pi / 2 times as much.
    """

    ZCDP = "zcdp"
    GAUSSIAN = "gaussian"

    @property
    def noise(self) -> NoiseLaw:
        """The law of the noise that is drawn."""
        return NoiseLaw.ROUNDED if self is Accounting.GAUSSIAN else NoiseLaw.DISCRETE

    def cost(self, event: Event) -> Fraction:
        """Returns what an event is charged.

        Raises:
            InternalError: no cost of it is proved in this accounting. Nothing was charged.
        """
        cost = _cost(event, gaussian=self is Accounting.GAUSSIAN)
        if cost is None:
            raise InternalError(
                "Discrete Gaussian noise is zCDP and not Gaussian-DP: an account of the Gaussian accounting cannot pay for "
                "it. Nothing was charged and nothing was drawn."
            )
        return cost

    def selection_epsilon(self, rho: Fraction) -> Fraction:
        """Returns the largest epsilon of a selection that costs at most rho, short of it by at most 2^-59."""
        return epsilon_of_rho(rho if self is Accounting.ZCDP else rho * 2 / PI_ABOVE)

    def rho(self, epsilon: float, delta: float) -> Fraction:
        """Returns what (epsilon, delta) pays for, rounded down: the larger of what either conversion proves."""
        zcdp = zcdp_rho(epsilon, delta)
        return zcdp if self is Accounting.ZCDP else max(zcdp, gaussian_rho(epsilon, delta))

    def delta(self, rho: Fraction, epsilon: float) -> float:
        """Returns the least delta that is proved for a sum of rho, rounded up."""
        zcdp = zcdp_delta(rho, epsilon)
        return zcdp if self is Accounting.ZCDP else min(zcdp, gaussian_delta(mu_of_rho(rho), epsilon))

    def promise(self, rho: Fraction, delta: float) -> Promise:
        """Returns the least epsilon that is proved for a sum of rho, rounded up, and by which conversion."""
        return _tighter(rho, None if self is Accounting.ZCDP else rho, delta)

    def epsilon(self, rho: Fraction, delta: float) -> float:
        """Returns the epsilon of `promise`."""
        return self.promise(rho, delta).epsilon

    def write(self, rho: Fraction) -> str:
        """Returns an account's rho as the ledger keeps it: 'p/q', or 'gaussian p/q'."""
        return str(rho) if self is Accounting.ZCDP else f"{self.value} {rho}"

    @classmethod
    def read(cls, text: str) -> tuple[Accounting, Fraction]:
        """Reads what `write` wrote.

        Raises:
            LedgerError: it is something else.
        """
        name, space, rho = text.rpartition(" ")
        if not space:
            return cls.ZCDP, parse_fraction(text)
        if name != cls.GAUSSIAN.value:
            raise LedgerError(
                f"The ledger holds the accounting {name!r}, which this release does not know. Nothing was spent or drawn. "
                "Use the release that opened the account."
            )
        return cls.GAUSSIAN, parse_fraction(rho)


@lru_cache(maxsize=4096)
def _cost(event: Event, *, gaussian: bool) -> Fraction | None:
    """Returns what an event costs, worked out once: each query adds up those of all before it."""
    return event.gaussian_rho if gaussian else event.rho


@dataclass(frozen=True, slots=True, kw_only=True)
class Promise:
    """(epsilon, delta), and how it was proved.

    Attributes:
        epsilon: rounded up.
        delta: as asked for.
        method: ZCDP_METHOD or GAUSSIAN_METHOD.
    """

    epsilon: float
    delta: float
    method: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EventSum:
    """What events cost together.

    Attributes:
        count: how many.
        rho: in zCDP.
        gaussian_rho: half of the sum of their mu^2; None where one of them has none.
    """

    count: int
    rho: Fraction
    gaussian_rho: Fraction | None

    @classmethod
    def of(cls, events: Iterable[Event]) -> EventSum:
        found = list(events)
        gaussian = [cost for event in found if (cost := event.gaussian_rho) is not None]
        return cls(
            count=len(found),
            rho=sum((event.rho for event in found), Fraction(0)),
            gaussian_rho=sum(gaussian, Fraction(0)) if len(gaussian) == len(found) else None,
        )

    def promise(self, delta: float) -> Promise:
        """Returns what these events promise together by the tighter conversion, had their costs been fixed beforehand."""
        return _tighter(self.rho, self.gaussian_rho, delta)


def stated_deltas(delta: float) -> tuple[float, ...]:
    """Returns DELTAS with this one, largest first."""
    return tuple(sorted({*DELTAS, float(delta)}, reverse=True))


def _tighter(rho: Fraction, gaussian: Fraction | None, delta: float) -> Promise:
    zcdp = zcdp_epsilon(rho, delta)
    if gaussian is not None and (exact := gaussian_epsilon(mu_of_rho(gaussian), delta)) < zcdp:
        return Promise(epsilon=exact, delta=delta, method=GAUSSIAN_METHOD)
    return Promise(epsilon=zcdp, delta=delta, method=ZCDP_METHOD)
