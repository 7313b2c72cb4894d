"""From an account's rows to what is shown of it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from spark_dp.privacy.account_rules import (
    Row,
    Spent,
    accounting_of,
    affordable_epsilon,
    rho_of,
    rho_of_run,
    share_of,
    thresholds_of,
)
from spark_dp.privacy.account_views import AccountView, RunView
from spark_dp.privacy.bindings import Bound
from spark_dp.privacy.composition import EventSum
from spark_dp.privacy.ledger_replay import Verified
from spark_dp.privacy.ledger_schema import inputs, queries, runs
from spark_dp.privacy.query_record import read_query
from spark_dp.privacy.sensitivity import Neighbours
from spark_dp.privacy.thresholds import asked_beside, delta_left, delta_of, promises_beside


def account_view(account: Row, verified: Verified, spent: Spent) -> AccountView:
    """Returns an account as it is shown."""
    rho, share, delta, accounting = (
        rho_of(account),
        share_of(account),
        account["delta"],
        accounting_of(account),
    )
    events = [read_query(row).event for row in verified.of(queries)]
    asked, thresholds = EventSum.of(events), thresholds_of(account)
    beside, left = delta_left(delta, thresholds), rho - spent.rho
    return AccountView(
        dataset=account["dataset"],
        unit=account["unit"],
        neighbours=Neighbours(account["neighbours"]),
        epsilon=account["epsilon"],
        delta=delta,
        rho=rho,
        accounting=accounting,
        status=account["status"],
        opened_at=account["opened_at"],
        spent_rho=spent.rho,
        spent_epsilon=accounting.epsilon(spent.rho, beside),
        remaining_rho=left,
        remaining_epsilon=affordable_epsilon(left, delta, accounting),
        thresholds=thresholds,
        spent_thresholds=spent.thresholds,
        releases=account["releases"],
        release_rho=share,
        release_epsilon=None if share is None else affordable_epsilon(share, delta, accounting),
        releases_left=None if share is None else int(left // share),
        promises=promises_beside(accounting, rho, delta, thresholds),
        asked=asked,
        asked_promises=asked_beside(asked, delta, delta_of(events)) if asked.count else (),
        inputs=bound_to(verified),
        head=verified.head,
    )


def run_views(verified: Verified, held: Mapping[str, datetime | None]) -> tuple[RunView, ...]:
    """Returns an account's runs as they are shown, oldest first."""
    asked = [(row["key"], row["ordinal"], read_query(row)) for row in verified.of(queries)]
    return tuple(
        RunView(
            dataset=run["dataset"],
            key=run["key"],
            run_id=run["run_id"],
            epsilon=run["epsilon"],
            delta=run["delta"],
            rho=rho_of_run(run),
            thresholds=thresholds_of(run),
            status=run["status"],
            created_at=run["created_at"],
            epoch=run["epoch"],
            held_until=_text(held.get(run["key"])),
            queries=tuple(query for key, _, query in sorted(asked, key=lambda a: a[1]) if key == run["key"]),
        )
        for run in verified.of(runs)
    )


def bound_to(verified: Verified) -> tuple[Bound, ...]:
    """Returns what an account is bound to."""
    return tuple(Bound(**row) for row in verified.of(inputs))


def _text(time: datetime | None) -> str | None:
    return None if time is None else time.isoformat(timespec="seconds")
