"""How a ledger's database is opened: SQLite, or PostgreSQL where several drivers share it.

A transaction starts by taking a lock on what it will decide on: the whole file on SQLite (BEGIN IMMEDIATE), the
account's row on PostgreSQL (SELECT FOR UPDATE). Where it takes several, the order is: account, ledger, lease.
"""

from __future__ import annotations

import os
import re
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa

from spark_dp.errors import LedgerError, SparkDPError, TransientError
from spark_dp.privacy.ledger_schema import VERSION, meta, metadata

LOCK_SECONDS: Final = 60
_VARIABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
NOTHING: Final = "Nothing was spent and nothing was read."
RESTORE: Final = "Restore the ledger from a copy (docs/ledger.md says how)."


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
    require_version(engine)
    return engine


def open_tables(url: str, *, version: str = VERSION) -> sa.Engine:
    """Opens a ledger that exists.

    Raises:
        LedgerError: there is no file or database, no ledger in it, or one of another version.
    """
    engine = _engine(url, create=False)
    require_version(engine, version)
    return engine


@contextmanager
def guarded() -> Iterator[None]:
    """Turns the database's errors into one that holds neither the URL nor a statement's values."""
    try:
        yield
    except sa.exc.SQLAlchemyError as error:
        raise _told(error) from None


def _told(error: sa.exc.SQLAlchemyError) -> SparkDPError:
    cause = type(getattr(error, "orig", None) or error).__name__
    lost = isinstance(error, sa.exc.OperationalError | sa.exc.InterfaceError | sa.exc.TimeoutError) or (
        isinstance(error, sa.exc.DBAPIError) and error.connection_invalidated
    )
    return (TransientError if lost else LedgerError)(
        f"The ledger's database refused or failed ({cause}). What was not committed there was not spent, and "
        "nothing was released. Check that the database is up and writable and that the URL's user and password "
        "are right, and run the same key again."
    )


def require_version(engine: sa.Engine, version: str = VERSION) -> None:
    """Refuses a database without a ledger, or with one of another version.

    Raises:
        LedgerError: it is so.
    """
    with guarded(), engine.begin() as connection:
        if not sa.inspect(connection).has_table(meta.name):
            raise LedgerError(
                "The database holds no ledger: a lost ledger must not become a fresh budget, so that a run "
                f"never creates one. {NOTHING} Restore it, check privacy.ledger, or open an account with "
                "`spark-dp ledger open DATASET`."
            )
        stated = {row.name: row.value for row in connection.execute(sa.select(meta))}
        present = set(sa.inspect(connection).get_table_names())
    found = stated.get("version")
    if found == version == VERSION:
        missing = sorted(set(metadata.tables) - present)
        if missing:
            raise LedgerError(f"The ledger lacks its tables {missing}. {NOTHING} {RESTORE}")
        if len(stated) != 1:
            raise LedgerError(
                f"The ledger states {sorted(stated)} of itself, and its version alone belongs there: it was "
                f"altered. {NOTHING} {RESTORE}"
            )
    elif found == "1" and "spark_dp_entries" in present:
        raise LedgerError(
            f"The ledger says that it has version '1', and has tables of version {VERSION!r}: it was altered. "
            f"{NOTHING} {RESTORE}"
        )
    elif found == "1" and version == VERSION:
        raise LedgerError(
            f"The ledger has version '1', and this release reads version {VERSION!r}. {NOTHING} Copy it, and "
            "run `spark-dp ledger upgrade --ledger URL` once; releases that wrote version '1' cannot read it "
            "after that."
        )
    elif found != version:
        raise LedgerError(
            f"The ledger has version {found!r}, and this release reads version {VERSION!r}. {NOTHING} Use the "
            "release that wrote it; if its version was altered, restore it from a copy."
        )


def lock_ledger(connection: sa.Connection) -> None:
    """Makes transactions that look across accounts take turns."""
    connection.execute(sa.select(meta).where(meta.c.name == "version").with_for_update())


def _resolve(url: str) -> sa.URL:
    """Reads a ledger's URL, also from the environment. It may hold a password and is never shown."""
    if url.startswith("env:"):
        name = url.removeprefix("env:")
        if not _VARIABLE.fullmatch(name):
            raise LedgerError(
                f"privacy.ledger begins with env: and does not go on with a variable's name. {NOTHING} Write env:NAME, or "
                "the URL alone.",
                field="privacy.ledger",
            )
        value = os.environ.get(name)
        if not value:
            raise LedgerError(
                f"privacy.ledger names the environment variable {name!r}, which is not set. {NOTHING} Set it.",
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
            f"privacy.ledger is no URL of a supported database. {NOTHING} Write one such as sqlite:///ledger.db, "
            "postgresql+psycopg://..., or env:NAME for one in an environment variable.",
            field="privacy.ledger",
        )
    return resolved.set(drivername="postgresql+psycopg") if resolved.drivername == "postgresql" else resolved


def _engine(url: str, *, create: bool) -> sa.Engine:
    resolved = _resolve(url)
    if resolved.get_backend_name() == "sqlite":
        return _sqlite_engine(resolved, create=create)
    try:
        # The locks on rows order what has to be ordered; each statement then sees what was committed before.
        engine = sa.create_engine(
            resolved, hide_parameters=True, isolation_level="READ COMMITTED", pool_pre_ping=True
        )
    except (sa.exc.SQLAlchemyError, ImportError) as error:
        raise LedgerError(
            f"The driver of the ledger's database cannot be used ({type(error).__name__}). {NOTHING} "
            "Install it (pip install 'spark-dp[postgres]'), or name another in privacy.ledger.",
            field="privacy.ledger",
        ) from None

    @sa.event.listens_for(engine, "connect")
    def limit(connection: Any, _: object) -> None:
        """A driver that is stopped in the middle of a transaction does not keep the others waiting for ever."""
        with connection.cursor() as cursor:
            cursor.execute(f"SET lock_timeout = '{LOCK_SECONDS}s'")
            cursor.execute(f"SET idle_in_transaction_session_timeout = '{LOCK_SECONDS}s'")
        connection.commit()

    return engine


def _sqlite_engine(url: sa.URL, *, create: bool) -> sa.Engine:
    if not url.database or url.database == ":memory:" or url.query:
        raise LedgerError(
            "privacy.ledger names a SQLite database that is no plain file and would not outlive the run. "
            f"{NOTHING} Write sqlite:///PATH.",
            field="privacy.ledger",
        )
    path = Path(url.database).absolute()
    if create and not path.parent.is_dir():
        raise LedgerError(f"The folder for the ledger does not exist. {NOTHING} Create it first.")
    if create:
        _create_private(path)
    elif not path.is_file():
        raise LedgerError(
            "The ledger's file does not exist: a lost ledger must not become a fresh budget, so that a run "
            f"never creates one. {NOTHING} Restore it, check privacy.ledger, or open an account with "
            "`spark-dp ledger open DATASET`.",
            field="privacy.ledger",
        )

    def connect() -> sqlite3.Connection:
        # mode=rw: SQLite itself refuses to create the file
        return sqlite3.connect(
            f"{path.as_uri()}?mode=rw", uri=True, timeout=LOCK_SECONDS, isolation_level=None
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


def _create_private(path: Path) -> None:
    """Creates the file for its owner alone; SQLite gives its journals the file's own mode."""
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    except OSError as error:
        raise LedgerError(
            f"The ledger's file cannot be created or opened ({error.strerror or type(error).__name__}). {NOTHING} "
            "Give a folder that this user may write to.",
            field="privacy.ledger",
        ) from None
