"""What was spent on each data set, across runs, drivers and schedulers.

`open_account` creates a ledger and an account in it, and nothing else does. `Ledger.begin` reserves the whole
cost of a run before it may ask its first query. `run_account` then follows the run's queries.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from datetime import datetime
from fractions import Fraction
from typing import Any

import sqlalchemy as sa

from spark_dp.errors import ConfigurationError, LedgerError
from spark_dp.privacy.account_rules import (
    RunRequest,
    accounting_of,
    require_affordable,
    require_same_promise,
    require_same_run,
    rho_of_run,
    thresholds_of,
)
from spark_dp.privacy.account_views import AccountView, RunView
from spark_dp.privacy.bindings import binding, place_of
from spark_dp.privacy.budget import PrivacyBudget
from spark_dp.privacy.composition import Accounting
from spark_dp.privacy.leases import Heartbeat, Waiting, held_until, lease_seconds, poll_seconds, write_lease
from spark_dp.privacy.ledger_chain import Change, Deed, Head, What, now, record, require_entry
from spark_dp.privacy.ledger_database import NOTHING, create_tables, guarded, open_tables
from spark_dp.privacy.ledger_replay import require_no_chain, verified_account
from spark_dp.privacy.ledger_schema import accounts, runs
from spark_dp.privacy.ledger_show import account_view, bound_to, run_views
from spark_dp.privacy.run_account import RunAccount
from spark_dp.privacy.sensitivity import Neighbours
from spark_dp.privacy.spending import spent_of
from spark_dp.privacy.thresholds import write_reserve
from spark_dp.privacy.voiding import require_voidable, void


def open_account(
    url: str,
    dataset: str,
    epsilon: float,
    delta: float,
    unit: str,
    neighbours: Neighbours,
    *,
    allow_large_delta: bool = False,
    releases: int | None = None,
    accounting: Accounting = Accounting.GAUSSIAN,
    thresholds: float | Fraction | str = 0,
) -> AccountView:
    """Opens an account for a data set, and creates the ledger where there is none.

    Guarantees: the only function that creates a ledger or an account, so that a lost file cannot become a
    fresh budget in the middle of a schedule.

    Args:
        url: a SQLAlchemy URL of SQLite or PostgreSQL, or env:NAME.
        dataset: a name, not in use yet.
        epsilon, delta: what all runs on the data set may spend together.
        unit: the column (or columns) whose values are the privacy units, or 'row'.
        neighbours: the adjacency that the promise is about.
        allow_large_delta: confirms a delta above 1e-5.
        releases: no run may take more than one part in this many; None: one run may take all.
        accounting: of all runs. The Gaussian one draws less noise where at most about a tenth of the budget selects.
        thresholds: the part of delta, at least 0 and below it, that pays for the thresholds of private values, for good;
            rho is what the rest of delta pays for.

    Raises:
        ConfigurationError: an argument is not valid.
        LedgerError: the data set has an account already, or the ledger cannot be used.
    """
    for field, value in (("privacy.dataset", dataset), ("privacy.unit", unit)):
        if not isinstance(value, str) or not value:
            raise ConfigurationError(f"{field} is {value!r}. {NOTHING} Write a name.", field=field)
    if releases is not None and (type(releases) is not int or not 1 <= releases <= 1_000_000):
        raise ConfigurationError(
            f"--releases is {releases!r}. {NOTHING} Write how many runs are to share the account, from 1 to 1000000.",
            field="releases",
        )
    budget = PrivacyBudget(
        epsilon=epsilon, delta=delta, allow_large_delta=allow_large_delta, thresholds=_as_written(thresholds)
    )
    accounting = Accounting(accounting)
    row = {
        "dataset": dataset,
        "unit": unit,
        "neighbours": Neighbours(neighbours).value,
        "epsilon": float(epsilon),
        "delta": float(delta),
        "rho": write_reserve(accounting.write(budget.rho_in(accounting)), budget.thresholds),
        "releases": releases,
        "status": "open",
        "opened_at": now(),
    }
    engine = create_tables(url)
    with guarded(), engine.begin() as connection:
        if connection.execute(sa.select(accounts).where(accounts.c.dataset == dataset)).first() is not None:
            raise LedgerError(
                f"Data set {dataset!r} has an account already. It was left as it is: opening it again "
                "would be a fresh budget for the same people. Look at it with `spark-dp ledger show`.",
                field="privacy.dataset",
            )
        require_no_chain(connection, dataset)
        record(connection, dataset, What.OPENED, [Change(table=accounts, deed=Deed.INSERT, row=row)])
    return Ledger(engine).show(dataset)


class Ledger:
    """A ledger that exists. Its URL is in no error, repr or log."""

    __slots__ = ("_engine",)

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    @classmethod
    def connect(cls, url: str) -> Ledger:
        """Opens a ledger; creates nothing.

        Raises:
            LedgerError: there is none under this URL, or it is of an unknown version.
        """
        return cls(open_tables(url))

    def __repr__(self) -> str:
        return "Ledger()"

    def begin(
        self,
        dataset: str,
        key: str,
        measure_digest: str,
        budget: PrivacyBudget,
        unit: str,
        neighbours: Neighbours,
        *,
        place: str | None = None,
        seen_head: Head | None = None,
        lease: float | None = None,
        waiting: Callable[[Waiting], None] = lambda _: None,
    ) -> RunAccount:
        """Reserves the whole cost of a run, or resumes the run that has this key.

        Guarantees: the rho of all runs together is at most the account's, whichever processes ask at the same
        time: the sum is taken and the run is written in one transaction that holds the account's lock. By the
        additivity of zCDP, and of mu^2 in Gaussian DP, all runs together then are (epsilon, delta)-DP with the account's
        epsilon and delta (docs/privacy.md). Resuming charges nothing, and takes the run over: a driver
        that held it before can reserve and answer nothing any more. The account was found to be what its chain
        says.

        Waits while another driver that may be alive holds the run: until it releases it or its lease runs out. A
        driver of this machine that is gone, and this process itself, are not waited for.

        Args:
            dataset: the account.
            key: of the run; one key, one measurement.
            measure_digest: of all that decides what is measured.
            budget: of the run.
            unit, neighbours: have to be the account's.
            place: the input (`bindings.place_of`), which the account is bound to from now on; None for a frame.
            seen_head: an entry that the account's chain has to have.
            lease: seconds; SPARK_DP_LEASE_SECONDS, or 60, where None.
            waiting: told what is waited for, when it starts and whenever the time that was told has passed.

        Raises:
            LedgerError: no such account, or it was altered, or is older than `seen_head`; its unit or adjacency
                differ; its delta is smaller; or the input belongs to another account.
            ConfigurationError: with field `run.key`: the key belongs to another measurement.
            RhoExceededError: the account is closed, or too little is left.
        """
        seconds = lease_seconds(lease)
        request = RunRequest(
            dataset=dataset,
            key=key,
            measure_digest=measure_digest,
            budget=budget,
            unit=unit,
            neighbours=neighbours,
            place=place,
        )
        while True:
            with guarded(), self._engine.begin() as connection:
                begun = self._begin(connection, request, seen_head, seconds)
            if isinstance(begun, RunAccount):
                return begun.held()
            self._wait(Waiting(dataset=dataset, key=key, until=begun), waiting, poll_seconds(seconds))

    def _begin(
        self, connection: sa.Connection, request: RunRequest, seen_head: Head | None, seconds: float
    ) -> RunAccount | datetime:
        """Begins or resumes a run, or says until when another driver holds it."""
        dataset, key = request.dataset, request.key
        account, verified = verified_account(connection, dataset)
        require_entry(connection, dataset, seen_head)
        require_same_promise(account, request)
        run = verified.rows[runs.name].get((dataset, key))
        # A voided run counts as none: it charged nothing and released nothing.
        is_new = run is None or run["status"] == "voided"
        if run is not None and not is_new:
            require_same_run(run, request)
            if (until := held_until(connection, dataset, key)) is not None:
                return until
        else:
            require_affordable(account, spent_of(account, verified), request)
        if request.place is not None:
            bind = binding(connection, dataset, request.place, bound_to(verified))
            if bind is not None:
                record(connection, dataset, What.BOUND, [bind])
        epoch, accounting = 1 if run is None else run["epoch"] + 1, accounting_of(account)
        if run is not None and not is_new:
            run_id, rho, what = run["run_id"], rho_of_run(run), What.RESUMED
            thresholds = thresholds_of(run)
            row: dict[str, Any] = {"dataset": dataset, "key": key, "epoch": epoch}
        else:
            run_id, rho, what = secrets.token_hex(16), request.budget.rho_in(accounting), What.BEGUN
            thresholds = request.budget.thresholds
            row = _new_run(request, run_id, rho, epoch)
        deed, expected = (Deed.INSERT, {}) if run is None else (Deed.UPDATE, {"epoch": run["epoch"]})
        head = record(connection, dataset, what, [Change(table=runs, deed=deed, row=row, expected=expected)])
        write_lease(connection, dataset, key, epoch, seconds)
        return RunAccount(
            self._engine,
            dataset=dataset,
            key=key,
            run_id=run_id,
            rho=rho,
            thresholds=thresholds,
            accounting=accounting,
            epoch=epoch,
            head=head,
            heartbeat=Heartbeat(self._engine, dataset, key, epoch, seconds),
        )

    def _wait(self, said: Waiting, tell: Callable[[Waiting], None], poll: float) -> None:
        """Waits until nobody holds a run; looks at its lease alone."""
        tell(said)
        until: datetime | None = said.until
        while until is not None:
            if until > said.until and datetime.now(until.tzinfo) > said.until:
                said = Waiting(dataset=said.dataset, key=said.key, until=until)
                tell(said)
            time.sleep(poll)
            with guarded(), self._engine.begin() as connection:
                until = held_until(connection, said.dataset, said.key)

    def require_affordable(
        self, dataset: str, key: str, budget: PrivacyBudget, unit: str, neighbours: Neighbours
    ) -> None:
        """Refuses what `begin` would refuse for want of budget or of an account; reserves nothing.

        Raises:
            LedgerError: no such account, or its unit or adjacency differ.
            RhoExceededError: the account is closed, or too little is left for a new run of this key.
        """
        request = RunRequest(
            dataset=dataset, key=key, measure_digest="", budget=budget, unit=unit, neighbours=neighbours
        )
        with guarded(), self._engine.begin() as connection:
            account, verified = verified_account(connection, dataset)
            require_same_promise(account, request)
            run = verified.rows[runs.name].get((dataset, key))
            if run is None or run["status"] == "voided":
                require_affordable(account, spent_of(account, verified), request)

    def require_own_input(self, dataset: str, place: str) -> None:
        """Refuses what `begin` would refuse because another account has the input; binds nothing.

        Args:
            place: as `bindings.place_of_path` names it.

        Raises:
            LedgerError: no such account, or another has the input, or a part of it.
        """
        with guarded(), self._engine.begin() as connection:
            _, verified = verified_account(connection, dataset)
            binding(connection, dataset, place, bound_to(verified))

    def show(self, dataset: str) -> AccountView:
        """Returns what an account may spend and has spent.

        Raises:
            LedgerError: no such account, or it was altered.
        """
        with guarded(), self._engine.begin() as connection:
            account, verified = verified_account(connection, dataset)
        return account_view(account, verified, spent_of(account, verified))

    def history(self, dataset: str) -> tuple[RunView, ...]:
        """Returns an account's runs with their queries, oldest first.

        Raises:
            LedgerError: no such account, or it was altered.
        """
        with guarded(), self._engine.begin() as connection:
            _, verified = verified_account(connection, dataset)
            held = {
                row["key"]: held_until(connection, dataset, row["key"])
                for row in verified.of(runs)
                if row["status"] == "running"
            }
        return run_views(verified, held)

    def bind(self, dataset: str, place: str, *, confirm_shared: bool = False) -> AccountView:
        """Binds an account to an input before its first run.

        Args:
            place: a path as in `input.path`, or `table:NAME`.
            confirm_shared: that another account may have the input too.

        Raises:
            LedgerError: no such account, or another has the input and that was not confirmed.
        """
        named = place_of(place)
        with guarded(), self._engine.begin() as connection:
            _, verified = verified_account(connection, dataset)
            change = binding(connection, dataset, named, bound_to(verified), confirmed=confirm_shared)
            if change is not None:
                record(connection, dataset, What.BOUND, [change])
        return self.show(dataset)

    def void(self, dataset: str, key: str) -> AccountView:
        """Gives back a run that was killed before any of its queries was answered, and will not be resumed.

        Guarantees: what is given back released nothing, and no driver of the run can answer a query any more.

        Raises:
            LedgerError: no such account or run, it answered a query, or a driver that may be alive holds it.
        """
        with guarded(), self._engine.begin() as connection:
            _, verified = verified_account(connection, dataset)
            epoch = require_voidable(verified, dataset, key, held_until(connection, dataset, key))
            void(connection, dataset, key, epoch)
        return self.show(dataset)

    def close_account(self, dataset: str) -> None:
        """Refuses new runs from now on. Runs that have begun may finish: their cost is reserved.

        Raises:
            LedgerError: no such account, or it was altered.
        """
        with guarded(), self._engine.begin() as connection:
            account, _ = verified_account(connection, dataset)
            if account["status"] == "open":
                row = {"dataset": dataset, "status": "closed"}
                record(connection, dataset, What.CLOSED, [Change(table=accounts, deed=Deed.UPDATE, row=row)])


def _as_written(number: float | Fraction | str) -> Fraction:
    """Reads a number as its decimal digits say, like the configuration does: 1e-10 is one in 10^10, exactly."""
    try:
        return number if isinstance(number, Fraction) else Fraction(str(number))
    except ValueError:
        raise ConfigurationError(
            f"--thresholds-delta is {number!r}. {NOTHING} Write a number of at least 0 and below delta, such as a tenth of "
            "it.",
            field="thresholds",
        ) from None


def _new_run(request: RunRequest, run_id: str, rho: Fraction, epoch: int) -> dict[str, Any]:
    return {
        "dataset": request.dataset,
        "key": request.key,
        "run_id": run_id,
        "measure_digest": request.measure_digest,
        "epsilon": float(request.budget.epsilon),
        "delta": float(request.budget.delta),
        "rho": write_reserve(str(rho), request.budget.thresholds),
        "status": "running",
        "epoch": epoch,
        "created_at": now(),
    }
