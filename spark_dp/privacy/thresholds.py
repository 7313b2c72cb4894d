"""The delta of thresholds: it adds to the delta that rho is converted at, in a run and in an account.

A query that lists values seen in the data is not rho-zCDP: a value of one unit alone may be seen, with probability at most
delta_s. It is delta_s-approximate rho-zCDP (Bun and Steinke 2016, Definition 8.1), and such deltas add up, in Gaussian
DP too. Therefore what is left for rho is less: (epsilon, delta) pays for rho only at delta minus all delta_s.

How delta is divided is declared when an account is opened, and when a run begins. If answers could choose between more rho
and more thresholds, each choice would keep to delta, and all of them together to no more than twice that (docs/privacy.md).
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace
from fractions import Fraction
from typing import Final

from spark_dp.errors import BudgetExceededError
from spark_dp.privacy.composition import Accounting, EventSum, Promise, stated_deltas
from spark_dp.privacy.events import Event, ThresholdEvent, parse_fraction

_HAIR: Final = 1 - Fraction(1, 10**9)
"""What is reserved is less by this, so that the exact check fits also with another machine's logarithm."""

_BESIDE: Final = " delta "

_WORTH_STATING: Final = 1e-3
"""The part of a delta that has to be left beside thresholds for an epsilon at it to be of use."""


def delta_of(events: Iterable[Event]) -> Fraction:
    """Returns what the thresholds among the events cost of delta."""
    return sum((event.delta for event in events if isinstance(event, ThresholdEvent)), Fraction(0))


def delta_left(delta: float, thresholds: Fraction) -> float:
    """Returns delta less what thresholds cost, rounded down; 0 where nothing is left."""
    exact = Fraction(delta) - thresholds
    if exact <= 0:
        return 0.0
    left = float(exact)
    return left if Fraction(left) <= exact else math.nextafter(left, 0.0)


def rho_beside(accounting: Accounting, epsilon: float, delta: float, thresholds: Fraction) -> Fraction:
    """Returns what (epsilon, delta) pays for beside thresholds, rounded down, and by a hair more where there are any."""
    if not thresholds:
        return accounting.rho(epsilon, delta)
    left = delta_left(delta, thresholds)
    return accounting.rho(epsilon, left) * _HAIR if left > 0 else Fraction(0)


def write_reserve(rho: str, thresholds: Fraction) -> str:
    """Returns what the ledger keeps of a rho and of the delta of thresholds beside it: 'RHO', or 'RHO delta p/q'."""
    return f"{rho}{_BESIDE}{thresholds}" if thresholds else rho


def read_reserve(text: str) -> tuple[str, Fraction]:
    """Reads what `write_reserve` wrote.

    Raises:
        LedgerError: it is something else.
    """
    rho, beside, thresholds = text.partition(_BESIDE)
    return rho, parse_fraction(thresholds) if beside else Fraction(0)


def promises_beside(
    accounting: Accounting, rho: Fraction, delta: float, thresholds: Fraction
) -> tuple[Promise, ...]:
    """Returns what a sum of rho promises at several deltas, `delta` always among them, beside thresholds: each takes its
    part."""
    return tuple(
        replace(accounting.promise(rho, left), delta=each)
        for each in stated_deltas(delta)
        if (left := delta_left(each, thresholds)) > (0 if each == delta else each * _WORTH_STATING)
    )


def asked_beside(asked: EventSum, delta: float, thresholds: Fraction) -> tuple[Promise, ...]:
    """Returns what events cost by themselves at the same deltas, the thresholds among them included."""
    return tuple(
        replace(asked.promise(left), delta=each)
        for each in stated_deltas(delta)
        if (left := delta_left(each, thresholds)) > each * _WORTH_STATING
    )


def require_delta(name: str, asked: Fraction, reserved: Fraction, whose: str) -> None:
    """Refuses a threshold where all thresholds together cost more delta than was reserved for them.

    Args:
        name: of the query.
        asked: the delta of all thresholds, this one's included.
        reserved: what may be asked.
        whose: the run, for the message.

    Raises:
        BudgetExceededError: it does not fit. Nothing was charged.
    """
    if asked <= reserved:
        return
    raise BudgetExceededError(
        f"Query {name!r} has a threshold, and all thresholds of {whose} cost delta = {float(asked):.3g}, of which "
        f"{float(reserved):.3g} was reserved. Nothing was spent on it and nothing was released. Declare the delta of all "
        "private values before the run begins.",
        field="privacy.delta",
    )
