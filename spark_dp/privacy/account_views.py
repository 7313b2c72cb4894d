"""What a ledger shows of accounts and runs: exact figures, the owner's, and not noisy."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from spark_dp.privacy.bindings import Bound
from spark_dp.privacy.composition import Accounting, EventSum, Promise
from spark_dp.privacy.ledger_chain import Head
from spark_dp.privacy.query_record import QueryRecord
from spark_dp.privacy.sensitivity import Neighbours


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountView:
    """One account. All figures are the owner's, and not noisy.

    Attributes:
        dataset, unit, neighbours: what is protected.
        epsilon, delta, rho: what may be spent by all runs together.
        accounting: in what it adds up, for good.
        thresholds: the part of delta that is kept for the thresholds of private values, for good.
        spent_thresholds: what all runs together have reserved of it.
        status: 'open' or 'closed'.
        opened_at: UTC, ISO 8601.
        spent_rho: what all runs together have reserved.
        spent_epsilon: the same as epsilon at the account's delta.
        remaining_rho: what is left for new runs.
        remaining_epsilon: the epsilon that one new run may still ask for at the account's delta. (Epsilons do
            not add up; rho does.)
        releases: how many runs it was opened for; None where one run may take all.
        release_rho, release_epsilon: the most that one run may take, the epsilon at the account's delta.
        releases_left: how many such runs the rest pays for.
        promises: what all runs together promise at most, at several deltas; all of them hold at once.
        asked: the events of all queries so far, added up.
        asked_promises: what those alone cost by the tighter conversion, at the same deltas; () where there are none.
        inputs: that it is bound to.
        head: the last entry of its chain.
    """

    dataset: str
    unit: str
    neighbours: Neighbours
    epsilon: float
    delta: float
    rho: Fraction
    accounting: Accounting
    status: str
    opened_at: str
    thresholds: Fraction
    spent_thresholds: Fraction
    spent_rho: Fraction
    spent_epsilon: float
    remaining_rho: Fraction
    remaining_epsilon: float
    releases: int | None
    release_rho: Fraction | None
    release_epsilon: float | None
    releases_left: int | None
    promises: tuple[Promise, ...]
    asked: EventSum
    asked_promises: tuple[Promise, ...]
    inputs: tuple[Bound, ...]
    head: Head


@dataclass(frozen=True, slots=True, kw_only=True)
class RunView:
    """One run of an account, with its queries in order.

    Attributes:
        dataset, key: how the owner names it.
        run_id: random; the only name that may be published.
        epsilon, delta, rho: what it reserved.
        thresholds: the part of delta that it keeps for thresholds.
        status: 'running', 'complete', or 'voided' where it failed before any answer and was given back.
        created_at: UTC, ISO 8601.
        epoch: how many drivers have held it.
        held_until: when the lease of the driver that holds it ends, UTC; None where none holds it.
        queries: those reserved so far.
    """

    dataset: str
    key: str
    run_id: str
    epsilon: float
    delta: float
    rho: Fraction
    thresholds: Fraction
    status: str
    created_at: str
    epoch: int
    held_until: str | None
    queries: tuple[QueryRecord, ...]
