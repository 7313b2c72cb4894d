"""What a run has to be for an account to pay for it: each rule a refusal that says what to change."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from spark_dp.errors import BudgetExceededError, ConfigurationError, LedgerError
from spark_dp.privacy.budget import PrivacyBudget, RhoExceededError
from spark_dp.privacy.composition import Accounting
from spark_dp.privacy.events import parse_fraction
from spark_dp.privacy.ledger_database import NOTHING
from spark_dp.privacy.sensitivity import Neighbours
from spark_dp.privacy.stated import at_least, at_most, declared
from spark_dp.privacy.thresholds import delta_left, read_reserve

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Spent:
    """What runs that were not voided have reserved together.

    Attributes:
        rho: in the account's accounting.
        thresholds: the part of delta that they keep for thresholds.
    """

    rho: Fraction
    thresholds: Fraction


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRequest:
    """A run that asks to begin.

    Attributes:
        dataset: the account.
        key: of the run; one key, one measurement.
        measure_digest: of all that decides what is measured.
        budget: of the run.
        unit, neighbours: have to be the account's.
        place: of its input, in the one form of `bindings`; None where it has no name, such as a frame.
    """

    dataset: str
    key: str
    measure_digest: str
    budget: PrivacyBudget
    unit: str
    neighbours: Neighbours
    place: str | None = None


def rho_of(account: Row) -> Fraction:
    """Reads an account's rho, and refuses one that its epsilon and delta do not pay for."""
    (text, thresholds) = read_reserve(account["rho"])
    accounting, rho = Accounting.read(text)
    # A hair less, so that another machine's logarithm does not refuse its own ledger.
    converted = accounting.delta(rho * (1 - Fraction(1, 10**9)), account["epsilon"])
    if Fraction(converted) + thresholds > Fraction(account["delta"]):
        raise LedgerError(
            f"Account {account['dataset']!r} states more rho than its epsilon and delta pay for: it was "
            f"altered. {NOTHING} Restore the ledger from a copy."
        )
    return rho


def accounting_of(account: Row) -> Accounting:
    """Returns in what an account adds up."""
    return Accounting.read(read_reserve(account["rho"])[0])[0]


def rho_of_run(run: Row) -> Fraction:
    """Reads the rho that a run reserved."""
    return parse_fraction(read_reserve(run["rho"])[0])


def thresholds_of(row: Row) -> Fraction:
    """Returns the part of delta that an account, or a run, keeps for thresholds: declared before its first answer."""
    return read_reserve(row["rho"])[1]


def share_of(account: Row) -> Fraction | None:
    """Returns the most that one run may take of an account: exactly its rho over its releases."""
    return None if account["releases"] is None else rho_of(account) / int(account["releases"])


def affordable_epsilon(rho: Fraction, delta: float, accounting: Accounting) -> float:
    """Returns an epsilon, just short of the largest, of a run that `rho` pays for at this delta.

    Where one of few digits is the largest, such as that of an account of which nothing is spent, it is that one itself.
    """
    if rho <= 0:
        return 0.0
    largest = accounting.epsilon(rho, delta)
    short = float(f"{largest:.6g}")
    if short > 0 and abs(largest - short) <= 1e-9 * short and accounting.rho(short, delta) <= rho:
        return short
    epsilon = largest * (1 - 1e-9)
    return epsilon if epsilon > 0 and accounting.rho(epsilon, delta) <= rho else 0.0


def require_same_promise(account: Row, request: RunRequest) -> None:
    """Refuses a run that is about another unit or another adjacency than the account.

    Raises:
        LedgerError: it is.
    """
    if account["unit"] != request.unit:
        raise LedgerError(
            f"Account {account['dataset']!r} protects the unit {account['unit']!r}, and the run protects "
            f"{request.unit!r}: their costs do not add up. {NOTHING} Correct privacy.unit, or charge an account "
            "of that unit.",
            field="privacy.unit",
        )
    if account["neighbours"] != Neighbours(request.neighbours).value:
        raise LedgerError(
            f"Account {account['dataset']!r} is about neighbours: {account['neighbours']}, and the run about "
            f"{Neighbours(request.neighbours).value}: their costs do not add up. {NOTHING} Correct "
            "privacy.neighbours.",
            field="privacy.neighbours",
        )


def require_same_run(run: Row, request: RunRequest) -> None:
    """Refuses a key that belongs to another measurement.

    Raises:
        ConfigurationError: it does.
    """
    asked = (request.measure_digest, float(request.budget.epsilon), float(request.budget.delta))
    if (run["measure_digest"], run["epsilon"], run["delta"]) != asked:
        raise ConfigurationError(
            f"run.key {run['key']!r} belongs to a run on data set {run['dataset']!r} with another input, "
            f"privacy, schema or mechanism. {NOTHING} Choose another key for the new run (it is charged "
            "anew), or restore the configuration and the input to resume the old one.",
            field="run.key",
        )


def require_affordable(account: Row, spent: Spent, request: RunRequest) -> None:
    """Refuses a new run that the account does not pay for.

    Guarantees: with what was spent before, the run costs at most the account's rho, and its thresholds at most the part of
    delta that the account keeps for them; by itself it takes at most the account's share of a release of both; all in
    exact arithmetic. Its delta is at most the account's, so that its own statement (epsilon, delta) is never weaker in
    delta than the account's.

    Raises:
        RhoExceededError: the account is closed, too little is left, or the run takes more than a release's share.
        LedgerError: the run's delta is larger than the account's.
    """
    budget, key, name, accounting = request.budget, request.key, account["dataset"], accounting_of(account)
    asked = budget.rho_in(accounting)
    left = rho_of(account) - spent.rho
    if account["status"] != "open":
        raise RhoExceededError(
            f"Account {name!r} is closed, so that run {key!r} (epsilon = {budget.epsilon}) may "
            "spend nothing. Nothing was spent, read or released. Charge another account (privacy.dataset) if these "
            "people may bear more; a closed account stays closed.",
            asked=asked,
            left=Fraction(0),
        )
    if budget.delta > account["delta"]:
        raise LedgerError(
            f"Run {key!r} has delta = {budget.delta}, and account {name!r} has delta = {account['delta']}: "
            "the run would state a weaker promise than the account makes for all runs together. Nothing was spent, "
            f"read or released. Lower privacy.delta to {account['delta']} or below.",
            field="privacy.delta",
        )
    _require_thresholds(account, spent.thresholds, request)
    share = share_of(account)
    largest = left if share is None else min(left, share)
    if asked <= largest:
        return
    beside = delta_left(budget.delta, budget.thresholds)
    advice = _advice(affordable_epsilon(largest, beside, accounting), budget.delta)
    if asked > left:
        delta = account["delta"]
        converted = delta_left(delta, budget.thresholds)  # the rest of it pays for thresholds
        raise RhoExceededError(
            f"Run {key!r} asks for epsilon = {budget.epsilon}, delta = {budget.delta}, which is rho = "
            f"{float(asked):.6g}; account {name!r} has rho = {float(left):.6g} left of "
            f"{float(rho_of(account)):.6g}. At the account's delta = {delta} that is epsilon = "
            f"{at_least(accounting.epsilon(asked, converted), 6)} asked and "
            f"{at_most(affordable_epsilon(left, converted, accounting), 6)} "
            f"left. Nothing was spent, read or released. {advice}",
            asked=asked,
            left=left,
        )
    raise RhoExceededError(
        f"Run {key!r} asks for epsilon = {budget.epsilon}, delta = {budget.delta}, which is rho = "
        f"{float(asked):.6g}; account {name!r} is for {account['releases']} releases, and one may take rho = "
        f"{float(largest):.6g} of its {float(rho_of(account)):.6g}. Nothing was spent, read or released. {advice}",
        asked=asked,
        left=largest,
    )


def _require_thresholds(account: Row, spent: Fraction, request: RunRequest) -> None:
    """Refuses private values that the account's part of delta for them does not pay for."""
    asked, whole, releases = request.budget.thresholds, thresholds_of(account), account["releases"]
    largest = whole - spent if releases is None else min(whole - spent, whole / int(releases))
    if asked <= largest:
        return
    said = (
        f"Run {request.key!r} learns private values at delta = {at_least(float(asked), 3)}, and account "
        f"{account['dataset']!r} "
    )
    if not whole:
        said += (
            "was opened without a part of its delta for them (ledger open --thresholds-delta), which has to be fixed before "
            "its first answer. Nothing was spent, read or released. Declare the values, or charge an account that has one."
        )
    else:
        said += (
            f"has delta = {at_most(float(max(largest, Fraction(0))), 3)} for those of this run, of "
            f"{declared(float(whole))} in all. "
            "Nothing was spent, read or released. Lower the delta of private values, or declare the values."
        )
    raise BudgetExceededError(said, field="privacy.delta")


def _advice(fits: float, delta: float) -> str:
    if fits <= 0:
        return "No epsilon fits any more: the account is spent."
    return f"Lower privacy.epsilon to {at_most(fits, 6)}, which fits at delta = {delta}."
