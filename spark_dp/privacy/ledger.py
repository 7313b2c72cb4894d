"""What was spent on each data set, across runs, drivers and schedulers.

`open_account` creates a ledger and an account in it, and nothing else does. `Ledger.begin` reserves the whole
cost of a run before it may ask its first query. `run_account` then follows the run's queries.
"""

from __future__ import annotations

import secrets
from fractions import Fraction
from typing import Any, Final

import sqlalchemy as sa

from spark_dp.errors import ConfigurationError, LedgerError, nearest
from spark_dp.privacy.account_views import AccountView, RunView
from spark_dp.privacy.accounting import zcdp_delta, zcdp_epsilon, zcdp_rho
from spark_dp.privacy.budget import PrivacyBudget, RhoExceededError
from spark_dp.privacy.events import parse_fraction
from spark_dp.privacy.ledger_schema import accounts, create_tables, guarded, open_tables, queries, runs
from spark_dp.privacy.run_account import RunAccount, now, read_query
from spark_dp.privacy.sensitivity import Neighbours

_NOTHING: Final = "Nothing was spent and nothing was read."


def open_account(
    url: str,
    dataset: str,
    epsilon: float,
    delta: float,
    unit: str,
    neighbours: Neighbours,
    *,
    allow_large_delta: bool = False,
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

    Raises:
        ConfigurationError: an argument is not valid.
        LedgerError: the data set has an account already, or the ledger cannot be used.
    """
    for field, value in (("privacy.dataset", dataset), ("privacy.unit", unit)):
        if not isinstance(value, str) or not value:
            raise ConfigurationError(f"{field} is {value!r}. {_NOTHING} Write a name.", field=field)
    budget = PrivacyBudget(epsilon=epsilon, delta=delta, allow_large_delta=allow_large_delta)
    engine = create_tables(url)
    with guarded(), engine.begin() as connection:
        if connection.execute(sa.select(accounts).where(accounts.c.dataset == dataset)).first() is not None:
            raise LedgerError(
                f"Data set {dataset!r} has an account already. It was left as it is: opening it again "
                "would be a fresh budget for the same people. Look at it with `spark-dp ledger show`.",
                field="privacy.dataset",
            )
        connection.execute(
            accounts.insert().values(
                dataset=dataset,
                unit=unit,
                neighbours=Neighbours(neighbours).value,
                epsilon=float(epsilon),
                delta=float(delta),
                rho=str(budget.rho),
                status="open",
                opened_at=now(),
            )
        )
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
    ) -> RunAccount:
        """Reserves the whole cost of a run, or resumes the run that has this key.

        Guarantees: the rho of all runs together is at most the account's, whichever processes ask at the same
        time: the sum is taken and the run is written in one transaction that holds the account's lock. By the
        additivity of zCDP (Bun and Steinke 2016, Lemma 1.7) all runs together then are (epsilon, delta)-DP
        with the account's epsilon and delta. Resuming charges nothing, and takes the run over: a driver
        that held it before can reserve and answer nothing any more.

        Args:
            dataset: the account.
            key: of the run; one key, one measurement.
            measure_digest: of all that decides what is measured.
            budget: of the run.
            unit, neighbours: have to be the account's.

        Raises:
            LedgerError: no such account, or its unit or adjacency differ.
            ConfigurationError: with field `run.key`: the key belongs to another measurement.
            RhoExceededError: the account is closed, or too little is left.
        """
        # A voided run counts as none: it charged nothing and released nothing.
        with guarded(), self._engine.begin() as connection:
            account = _account(connection, dataset, lock=True)
            _require_same_promise(account, unit, neighbours)
            run = connection.execute(
                sa.select(runs).where(runs.c.dataset == dataset, runs.c.key == key)
            ).first()
            if run is not None and run.status == "voided":
                _require_affordable(account, _spent(connection, dataset), budget, key)
                return self._begin_again(connection, run, measure_digest, budget)
            if run is not None:
                _require_same_run(run, measure_digest, budget)
                epoch = run.epoch + 1
                connection.execute(runs.update().where(runs.c.id == run.id).values(epoch=epoch))
                return RunAccount(
                    self._engine, row=run.id, run_id=run.run_id, rho=parse_fraction(run.rho), epoch=epoch
                )
            _require_affordable(account, _spent(connection, dataset), budget, key)
            run_id = secrets.token_hex(16)
            inserted = connection.execute(
                runs.insert().values(
                    dataset=dataset,
                    key=key,
                    run_id=run_id,
                    measure_digest=measure_digest,
                    epsilon=float(budget.epsilon),
                    delta=float(budget.delta),
                    rho=str(budget.rho),
                    status="running",
                    epoch=1,
                    created_at=now(),
                )
            )
            row = inserted.inserted_primary_key
        if row is None:
            raise LedgerError("The ledger's database did not name the run that it stored. Nothing was drawn.")
        return RunAccount(self._engine, row=row[0], run_id=run_id, rho=budget.rho, epoch=1)

    def require_affordable(
        self, dataset: str, key: str, budget: PrivacyBudget, unit: str, neighbours: Neighbours
    ) -> None:
        """Refuses what `begin` would refuse for want of budget or of an account; reserves nothing.

        Raises:
            LedgerError: no such account, or its unit or adjacency differ.
            RhoExceededError: the account is closed, or too little is left for a new run of this key.
        """
        with guarded(), self._engine.begin() as connection:
            account = _account(connection, dataset)
            _require_same_promise(account, unit, neighbours)
            run = connection.execute(
                sa.select(runs.c.status).where(runs.c.dataset == dataset, runs.c.key == key)
            ).first()
            if run is None or run.status == "voided":
                _require_affordable(account, _spent(connection, dataset), budget, key)

    def _begin_again(
        self, connection: sa.Connection, run: sa.Row[Any], measure_digest: str, budget: PrivacyBudget
    ) -> RunAccount:
        """Charges a key anew whose run was voided: nothing of that run was ever released."""
        run_id, epoch = secrets.token_hex(16), run.epoch + 1
        connection.execute(
            runs.update()
            .where(runs.c.id == run.id)
            .values(
                run_id=run_id,
                measure_digest=measure_digest,
                epsilon=float(budget.epsilon),
                delta=float(budget.delta),
                rho=str(budget.rho),
                status="running",
                epoch=epoch,
                created_at=now(),
            )
        )
        return RunAccount(self._engine, row=run.id, run_id=run_id, rho=budget.rho, epoch=epoch)

    def show(self, dataset: str) -> AccountView:
        """Returns what an account may spend and has spent.

        Raises:
            LedgerError: no such account.
        """
        with guarded(), self._engine.begin() as connection:
            account = _account(connection, dataset)
            spent = _spent(connection, dataset)
        rho = _rho(account)
        return AccountView(
            dataset=dataset,
            unit=account.unit,
            neighbours=Neighbours(account.neighbours),
            epsilon=account.epsilon,
            delta=account.delta,
            rho=rho,
            status=account.status,
            opened_at=account.opened_at,
            spent_rho=spent,
            spent_epsilon=zcdp_epsilon(spent, account.delta),
            remaining_rho=rho - spent,
            remaining_epsilon=_affordable_epsilon(rho - spent, account.delta),
        )

    def history(self, dataset: str) -> tuple[RunView, ...]:
        """Returns an account's runs with their queries, oldest first.

        Raises:
            LedgerError: no such account.
        """
        with guarded(), self._engine.begin() as connection:
            _account(connection, dataset)
            stored = connection.execute(
                sa.select(runs).where(runs.c.dataset == dataset).order_by(runs.c.id)
            ).all()
            asked = {
                run.id: connection.execute(
                    sa.select(queries).where(queries.c.run == run.id).order_by(queries.c.ordinal)
                ).all()
                for run in stored
            }
        return tuple(
            RunView(
                dataset=dataset,
                key=run.key,
                run_id=run.run_id,
                epsilon=run.epsilon,
                delta=run.delta,
                rho=parse_fraction(run.rho),
                status=run.status,
                created_at=run.created_at,
                queries=tuple(map(read_query, asked[run.id])),
            )
            for run in stored
        )

    def close_account(self, dataset: str) -> None:
        """Refuses new runs from now on. Runs that have begun may finish: their cost is reserved.

        Raises:
            LedgerError: no such account.
        """
        with guarded(), self._engine.begin() as connection:
            _account(connection, dataset, lock=True)
            connection.execute(accounts.update().where(accounts.c.dataset == dataset).values(status="closed"))


def _account(connection: sa.Connection, dataset: str, *, lock: bool = False) -> sa.Row[Any]:
    query = sa.select(accounts).where(accounts.c.dataset == dataset)
    found = connection.execute(query.with_for_update() if lock else query).first()
    if found is None:
        known = sorted(connection.scalars(sa.select(accounts.c.dataset)))
        raise LedgerError(
            f"The ledger has no account {dataset!r}; it has {known or 'none'}.{nearest(dataset, known)} "
            f"{_NOTHING} Open it with `spark-dp ledger open {dataset}`, or correct privacy.dataset.",
            field="privacy.dataset",
        )
    _rho(found)
    return found


def _rho(account: sa.Row[Any]) -> Fraction:
    """Reads an account's rho, and refuses one that its epsilon and delta do not pay for."""
    rho = parse_fraction(account.rho)
    # A hair less, so that another machine's logarithm does not refuse its own ledger.
    if zcdp_delta(rho * (1 - Fraction(1, 10**9)), account.epsilon) > account.delta:
        raise LedgerError(
            f"Account {account.dataset!r} states more rho than its epsilon and delta pay for: it was "
            f"altered. {_NOTHING} Restore the ledger from a copy."
        )
    return rho


def _spent(connection: sa.Connection, dataset: str) -> Fraction:
    reserved = connection.scalars(
        sa.select(runs.c.rho).where(runs.c.dataset == dataset, runs.c.status != "voided")
    )
    return sum(map(parse_fraction, reserved), Fraction(0))


def _affordable_epsilon(rho: Fraction, delta: float) -> float:
    """Returns an epsilon, just short of the largest, of a run that `rho` pays for at this delta."""
    if rho <= 0:
        return 0.0
    epsilon = zcdp_epsilon(rho, delta) * (1 - 1e-9)
    return epsilon if epsilon > 0 and zcdp_rho(epsilon, delta) <= rho else 0.0


def _require_same_promise(account: sa.Row[Any], unit: str, neighbours: Neighbours) -> None:
    if account.unit != unit:
        raise LedgerError(
            f"Account {account.dataset!r} protects the unit {account.unit!r}, and the run protects "
            f"{unit!r}: their costs do not add up. {_NOTHING} Correct privacy.unit, or charge an account "
            "of that unit.",
            field="privacy.unit",
        )
    if account.neighbours != Neighbours(neighbours).value:
        raise LedgerError(
            f"Account {account.dataset!r} is about neighbours: {account.neighbours}, and the run about "
            f"{Neighbours(neighbours).value}: their costs do not add up. {_NOTHING} Correct "
            "privacy.neighbours.",
            field="privacy.neighbours",
        )


def _require_same_run(run: sa.Row[Any], measure_digest: str, budget: PrivacyBudget) -> None:
    if (run.measure_digest, run.epsilon, run.delta) != (measure_digest, budget.epsilon, budget.delta):
        raise ConfigurationError(
            f"run.key {run.key!r} belongs to a run on data set {run.dataset!r} with another input, "
            f"privacy, schema or mechanism. {_NOTHING} Choose another key for the new run (it is charged "
            "anew), or restore the configuration and the input to resume the old one.",
            field="run.key",
        )


def _require_affordable(account: sa.Row[Any], spent: Fraction, budget: PrivacyBudget, key: str) -> None:
    left = _rho(account) - spent
    asked = budget.rho
    if account.status != "open":
        raise RhoExceededError(
            f"Account {account.dataset!r} is closed, so that run {key!r} (epsilon = {budget.epsilon}) may "
            "spend nothing. Nothing was spent, read or released. Charge another account (privacy.dataset) if these "
            "people may bear more; a closed account stays closed.",
            asked=asked,
            left=Fraction(0),
        )
    if asked > left:
        delta = account.delta
        raise RhoExceededError(
            f"Run {key!r} asks for epsilon = {budget.epsilon}, delta = {budget.delta}, which is rho = "
            f"{float(asked):.6g}; account {account.dataset!r} has rho = {float(left):.6g} left of "
            f"{float(_rho(account)):.6g}. At the account's delta = {delta} that is epsilon = "
            f"{zcdp_epsilon(asked, delta):.6g} asked and {_affordable_epsilon(left, delta):.6g} left. "
            "Nothing was spent, read or released. Lower privacy.epsilon.",
            asked=asked,
            left=left,
        )
