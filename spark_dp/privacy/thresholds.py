"""The delta of thresholds: it adds to the delta that rho is converted at, in a run and in an account.

A query that lists values seen in the data is not rho-zCDP: a value of one unit alone may be seen, with probability at most
delta_s. It is delta_s-approximate rho-zCDP (Bun and Steinke 2016, Definition 8.1), and such deltas add up, in Gaussian
DP too. Therefore what is left for rho is less: (epsilon, delta) pays for rho only at delta minus all delta_s.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import replace
from fractions import Fraction
from typing import Any, Final

from spark_dp.errors import BudgetExceededError
from spark_dp.privacy.composition import Accounting, EventSum, Promise, stated_deltas
from spark_dp.privacy.events import Event, ThresholdEvent

_HAIR: Final = 1 - Fraction(1, 10**9)
"""What is reserved is less by this, so that the exact check fits also with another machine's logarithm."""

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


def rho_lost(
    accounting: Accounting, epsilon: float, delta: float, rho: Fraction, thresholds: Fraction
) -> Fraction:
    """Returns how much of an account's rho its delta no longer pays for, thresholds having cost their part of it."""
    if not thresholds:
        return Fraction(0)
    return rho - min(rho, rho_beside(accounting, epsilon, delta, thresholds))


def promises_beside(
    accounting: Accounting, rho: Fraction, delta: float, thresholds: Fraction
) -> tuple[Promise, ...]:
    """Returns what a sum of rho promises at several deltas, `delta` among them, beside thresholds: each takes its part."""
    return tuple(
        replace(accounting.promise(rho, left), delta=each)
        for each in stated_deltas(delta)
        if (left := delta_left(each, thresholds)) > each * _WORTH_STATING
    )


def asked_beside(asked: EventSum, delta: float, thresholds: Fraction) -> tuple[Promise, ...]:
    """Returns what events cost by themselves at the same deltas, the thresholds among them included."""
    return tuple(
        replace(asked.promise(left), delta=each)
        for each in stated_deltas(delta)
        if (left := delta_left(each, thresholds)) > each * _WORTH_STATING
    )


def require_delta(
    accounting: Accounting,
    name: str,
    promise: Mapping[str, Any],
    rho: Fraction,
    thresholds: Fraction,
    whose: str,
) -> None:
    """Refuses a threshold whose delta no longer fits beside the rho that is reserved.

    Guarantees: the conversion of `rho` at the promised epsilon and all thresholds together stay within the promised delta.

    Args:
        accounting: of the account.
        name: of the query.
        promise: a row of the ledger with `epsilon` and `delta`: a run's, or an account's.
        rho: reserved under that promise.
        thresholds: the delta of all thresholds under it, this one's included.
        whose: the run or the account, for the message.

    Raises:
        BudgetExceededError: it does not fit. Nothing was charged.
    """
    if Fraction(accounting.delta(rho, promise["epsilon"])) + thresholds <= Fraction(promise["delta"]):
        return
    raise BudgetExceededError(
        f"Query {name!r} has a threshold, and all thresholds of {whose} cost delta = {float(thresholds):.3g}, which does "
        f"not fit into its delta = {promise['delta']:g} beside what rho needs of it. Nothing was spent on it and nothing "
        "was released. Lower the delta of private values, or epsilon, in a new run.",
        field="privacy.delta",
    )
