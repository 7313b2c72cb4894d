"""What an account is shared by, bound to and held by, as lines to read and as facts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from spark_dp.privacy.account_views import AccountView, RunView
from spark_dp.privacy.noise_law import NoiseLaw
from spark_dp.privacy.stated import at_least, at_most, declared


def share_and_input_lines(account: AccountView) -> Iterator[str]:
    """Says what one release may take, which inputs the account is for, and where its chain stands."""
    if account.thresholds:
        yield (
            f"Thresholds {declared(float(account.thresholds))} of δ is kept for private values, and "
            f"{at_most(float(account.thresholds - account.spent_thresholds), 4)} of it is left"
        )
    if (
        account.releases is not None
        and account.release_rho is not None
        and account.release_epsilon is not None
    ):
        yield (
            f"Releases   {account.releases}, each at most ρ = {float(account.release_rho):.6g}: a run of "
            f"ε = {at_most(account.release_epsilon, 6)} at this δ; {account.releases_left} full ones are left"
        )
    for bound in account.inputs:
        shared = ", shared with another account (confirmed)" if bound.shared else ""
        yield f"Input      {bound.place}{shared}, since {bound.bound_at}"
    if not account.inputs:
        yield "Input      none yet: the first run binds its own"
    yield f"Chain      {account.head.seq} entries, all as they were written; the last is {account.head.digest[:16]}"


def accounting_words(account: AccountView) -> str:
    """Says in what an account adds up, and which conversion gives its own epsilon."""
    own = next(promise for promise in account.promises if promise.delta == account.delta)
    noise = {NoiseLaw.ROUNDED: "rounded", NoiseLaw.DISCRETE: "discrete"}[account.accounting.noise]
    return f"{account.accounting.value}: {own.method}; the noise is the {noise} Gaussian"


def promise_lines(account: AccountView) -> Iterator[str]:
    """Lists what all runs together promise at several deltas, and what was asked so far costs by itself."""
    yield f"Promises   {'δ':>8}  {'ε at most':>10}" + (
        "   ε of what was asked so far" if account.asked.count else ""
    )
    costs = {promise.delta: promise for promise in account.asked_promises}
    for promise in account.promises:
        asked = ""
        if promise.delta in costs:
            one = costs[promise.delta]
            asked = f"   {at_least(one.epsilon, 6)} ({one.method})"
        yield f"           {declared(promise.delta):>8}  {at_least(promise.epsilon, 6):>10}{asked}"


def promise_list_facts(account: AccountView) -> dict[str, Any]:
    """Returns the same, JSON-able."""
    asked = account.asked
    return {
        "promises": [{"delta": p.delta, "epsilon": p.epsilon, "method": p.method} for p in account.promises],
        "asked": {
            "queries": asked.count,
            "rho": float(asked.rho),
            "gaussian_rho": None if asked.gaussian_rho is None else float(asked.gaussian_rho),
            "promises": [
                {"delta": p.delta, "epsilon": p.epsilon, "method": p.method} for p in account.asked_promises
            ],
        },
    }


def held_words(run: RunView) -> str:
    """Says that a driver holds a run, and until when its lease lasts."""
    return "" if run.held_until is None else f", held until {run.held_until} or longer"


def upgrade_lines(datasets: Sequence[str]) -> Iterator[str]:
    """Says what was upgraded."""
    yield f"Upgraded: {len(datasets)} account{'' if len(datasets) == 1 else 's'}, with all that was spent."
    yield from (f"    {dataset}" for dataset in datasets)
    yield "Nothing was charged or given back. Releases before this one cannot read the ledger any more."


def share_and_input_facts(account: AccountView) -> dict[str, Any]:
    """Returns the same, JSON-able."""
    return {
        "thresholds_delta": float(account.thresholds),
        "thresholds_delta_left": float(account.thresholds - account.spent_thresholds),
        "releases": account.releases,
        "release_rho": None if account.release_rho is None else float(account.release_rho),
        "release_epsilon": account.release_epsilon,
        "releases_left": account.releases_left,
        "inputs": [
            {"place": bound.place, "shared": bound.shared, "bound_at": bound.bound_at}
            for bound in account.inputs
        ],
        "head": account.head.to_json(),
    }
