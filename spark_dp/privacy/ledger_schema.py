"""The ledger's tables, and how its database is opened.

SQLite and PostgreSQL are supported. A transaction starts by taking a lock on what it will decide on: the
whole file on SQLite (BEGIN IMMEDIATE), the account's or the run's row on PostgreSQL (SELECT FOR UPDATE).
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa

from spark_dp.errors import LedgerError, TransientError

VERSION: Final = "1"
_LOCK_SECONDS: Final = 60.0
_NOTHING: Final = "Nothing was spent and nothing was read."

metadata: Final = sa.MetaData()

meta: Final = sa.Table(
    "spark_dp_ledger",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("value", sa.Text, nullable=False),
)

accounts: Final = sa.Table(
    "spark_dp_accounts",
    metadata,
    sa.Column("dataset", sa.Text, primary_key=True),
    sa.Column("unit", sa.Text, nullable=False),
    sa.Column("neighbours", sa.Text, nullable=False),
    sa.Column("epsilon", sa.Double, nullable=False),
    sa.Column("delta", sa.Double, nullable=False),
    sa.Column("rho", sa.Text, nullable=False),  # exact, "p/q"
    sa.Column("status", sa.Text, sa.CheckConstraint("status IN ('open', 'closed')"), nullable=False),
    sa.Column("opened_at", sa.Text, nullable=False),  # UTC, ISO 8601, here and below
)

runs: Final = sa.Table(
    "spark_dp_runs",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("dataset", sa.Text, sa.ForeignKey(accounts.c.dataset), nullable=False),
    sa.Column("key", sa.Text, nullable=False),
    sa.Column("run_id", sa.Text, nullable=False, unique=True),  # random: the only name that is published
    sa.Column("measure_digest", sa.Text, nullable=False),
    sa.Column("epsilon", sa.Double, nullable=False),
    sa.Column("delta", sa.Double, nullable=False),
    sa.Column("rho", sa.Text, nullable=False),  # reserved as a whole when the run starts
    sa.Column(
        "status", sa.Text, sa.CheckConstraint("status IN ('running', 'complete', 'voided')"), nullable=False
    ),
    sa.Column(
        "epoch", sa.Integer, nullable=False
    ),  # how many drivers have held the run, the last one holds it
    sa.Column("created_at", sa.Text, nullable=False),
    sa.UniqueConstraint("dataset", "key"),
)

queries: Final = sa.Table(
    "spark_dp_queries",
    metadata,
    sa.Column("run", sa.Integer, sa.ForeignKey(runs.c.id), primary_key=True),
    sa.Column("ordinal", sa.Integer, primary_key=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("spec_digest", sa.Text, nullable=False),
    sa.Column("event", sa.Text, nullable=False),  # JSON
    sa.Column("rho", sa.Text, nullable=False),
    sa.Column("state", sa.Text, sa.CheckConstraint("state IN ('reserved', 'answered')"), nullable=False),
    sa.Column("answer_digest", sa.Text),
    sa.Column("answer_epoch", sa.Integer),  # of the driver that drew the answer
    sa.Column("reserved_at", sa.Text, nullable=False),
    sa.Column("answered_at", sa.Text),
)


def create_tables(url: str) -> sa.Engine:
    """Creates the ledger's tables, and the file on SQLite, unless they are there.

    Raises:
        LedgerError: the URL is not usable, or a ledger of another version is there.
    """
    engine = _engine(url, create=True)
    with guarded(), engine.begin() as connection:
        if not sa.inspect(connection).has_table(meta.name):
            metadata.create_all(connection)
            connection.execute(meta.insert().values(name="version", value=VERSION))
    _require_version(engine)
    return engine


def open_tables(url: str) -> sa.Engine:
    """Opens a ledger that exists.

    Raises:
        LedgerError: there is no file or database, no ledger in it, or one of another version.
    """
    engine = _engine(url, create=False)
    _require_version(engine)
    return engine


@contextmanager
def guarded() -> Iterator[None]:
    """Turns the database's errors into one that holds neither the URL nor a statement's values."""
    try:
        yield
    except sa.exc.SQLAlchemyError as error:
        cause = type(getattr(error, "orig", None) or error).__name__
        message = (
            f"The ledger's database refused or failed ({cause}). What was not committed there was not "
            "spent, and nothing was released. Check that the database is up and writable, and run the same "
            "key again."
        )
        raise (TransientError if isinstance(error, sa.exc.OperationalError) else LedgerError)(
            message
        ) from None


def _require_version(engine: sa.Engine) -> None:
    with guarded(), engine.begin() as connection:
        if not sa.inspect(connection).has_table(meta.name):
            raise LedgerError(
                "The database holds no ledger: a lost ledger must not become a fresh budget, so that a run "
                f"never creates one. {_NOTHING} Restore it, check privacy.ledger, or open an account with "
                "`spark-dp ledger open DATASET`."
            )
        version = connection.scalar(sa.select(meta.c.value).where(meta.c.name == "version"))
        found = set(sa.inspect(connection).get_table_names())
    if version != VERSION:
        raise LedgerError(
            f"The ledger has version {version!r}, and this release reads version {VERSION!r}. {_NOTHING} "
            "Use the release that wrote it."
        )
    missing = sorted(set(metadata.tables) - found)
    if missing:
        raise LedgerError(f"The ledger lacks its tables {missing}. {_NOTHING} Restore it from a copy.")


def _resolve(url: str) -> sa.URL:
    """Reads a ledger's URL, also from the environment. It may hold a password and is never shown."""
    if url.startswith("env:"):
        name = url.removeprefix("env:")
        value = os.environ.get(name)
        if not value:
            raise LedgerError(
                f"privacy.ledger names the environment variable {name!r}, which is not set. {_NOTHING} Set it.",
                field="privacy.ledger",
            )
        url = value
    try:
        resolved = sa.make_url(url)
        backend = resolved.get_backend_name()
    except (sa.exc.SQLAlchemyError, ValueError):
        backend = ""
    if backend not in ("sqlite", "postgresql"):
        raise LedgerError(
            f"privacy.ledger is no URL of a supported database. {_NOTHING} Write one such as sqlite:///ledger.db, "
            "postgresql+psycopg://..., or env:NAME for one in an environment variable.",
            field="privacy.ledger",
        )
    return resolved


def _engine(url: str, *, create: bool) -> sa.Engine:
    resolved = _resolve(url)
    if resolved.get_backend_name() == "sqlite":
        return _sqlite_engine(resolved, create=create)
    try:
        # The locks on rows order what has to be ordered; each statement then sees what was committed before.
        return sa.create_engine(
            resolved, hide_parameters=True, isolation_level="READ COMMITTED", pool_pre_ping=True
        )
    except (sa.exc.SQLAlchemyError, ImportError) as error:
        raise LedgerError(
            f"The driver of the ledger's database cannot be used ({type(error).__name__}). {_NOTHING} "
            "Install it, or name another in privacy.ledger.",
            field="privacy.ledger",
        ) from None


def _sqlite_engine(url: sa.URL, *, create: bool) -> sa.Engine:
    if not url.database or url.database == ":memory:" or url.query:
        raise LedgerError(
            "privacy.ledger names a SQLite database that is no plain file and would not outlive the run. "
            f"{_NOTHING} Write sqlite:///PATH.",
            field="privacy.ledger",
        )
    path = Path(url.database).absolute()
    if create and not path.parent.is_dir():
        raise LedgerError(f"The folder for the ledger does not exist. {_NOTHING} Create it first.")
    if not create and not path.is_file():
        raise LedgerError(
            "The ledger's file does not exist: a lost ledger must not become a fresh budget, so that a run "
            f"never creates one. {_NOTHING} Restore it, check privacy.ledger, or open an account with "
            "`spark-dp ledger open DATASET`.",
            field="privacy.ledger",
        )
    mode = "rwc" if create else "rw"  # rw: SQLite itself refuses to create the file

    def connect() -> sqlite3.Connection:
        return sqlite3.connect(
            f"{path.as_uri()}?mode={mode}", uri=True, timeout=_LOCK_SECONDS, isolation_level=None
        )

    engine = sa.create_engine("sqlite://", creator=connect, poolclass=sa.NullPool, hide_parameters=True)

    @sa.event.listens_for(engine, "connect")
    def harden(connection: Any, _: object) -> None:
        connection.isolation_level = None  # SQLAlchemy's BEGIN below, and no implicit one
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA synchronous = FULL")

    @sa.event.listens_for(engine, "begin")
    def lock(connection: sa.Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine
