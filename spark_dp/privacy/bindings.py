"""Which inputs an account is for: one place, one account, so that the same people are charged to one budget."""

from __future__ import annotations

import json
import os
import posixpath
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa

from spark_dp.errors import ConfigurationError, LedgerError
from spark_dp.privacy.ledger_chain import Change, Deed, What, now
from spark_dp.privacy.ledger_database import NOTHING, RESTORE, lock_ledger
from spark_dp.privacy.ledger_schema import entries, inputs

TABLE: Final = "table:"
_SCHEME: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):(.*)", re.DOTALL)
_SAME: Final = {"s3a": "s3", "s3n": "s3", "abfss": "abfs", "wasbs": "wasb"}
_CONTAINERS: Final = ("abfs", "wasb")
"""Schemes in which a container stands before the @, and no user."""
_WITH_HOST: Final = re.compile(r"([a-z][a-z0-9+.-]*)://([^/]*)(.*)", re.DOTALL)
_PORT: Final = re.compile(r":\d*$")
_GLOB: Final = re.compile(r"[*?\[{]")
_IN_A_FORMAT: Final = re.compile(
    r"`?(?:parquet|orc|avro|delta|iceberg|hudi)`?\s*\.\s*`(.+)`", re.DOTALL | re.IGNORECASE
)
_PART: Final = re.compile(r"`((?:[^`]|``)*)`|([^.`\s]+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Bound:
    """A place that an account is bound to.

    Attributes:
        dataset: the account.
        place: in its one form.
        shared: whether it was confirmed though another account has it too.
        bound_at: UTC, ISO 8601.
    """

    dataset: str
    place: str
    shared: bool
    bound_at: str


def place_of_path(path: str) -> str:
    """Returns a path in one form, so that what is one place has one name.

    `file:/a`, `file:///a` and a relative `a` in the folder `/` are one place, as are `s3` and `s3a`; symbolic links
    of local paths are followed; of a pattern the folder above it counts. User, password and query are left out.
    """
    found = _SCHEME.fullmatch(path)
    scheme, rest = (found[1].lower(), found[2]) if found else ("", path)
    if scheme in ("", "file"):
        if scheme:
            rest = "/" + re.sub(r"^//(localhost)?(?=/)", "", rest).lstrip("/")
        return os.path.realpath(_above_pattern(rest))
    scheme = _SAME.get(scheme, scheme)
    host, _, inside = rest[2:].partition("/") if rest.startswith("//") else ("", "", rest)
    if scheme not in _CONTAINERS:
        host = host.rpartition("@")[2]
    inside = posixpath.normpath("/" + _above_pattern(inside.partition("?")[0]).strip("/"))
    return f"{scheme}://{host}{inside}".rstrip("/")


def place_of_table(name: str) -> str:
    """Returns the name of a catalog's table in one form, quoted or not; of ``format.`path` `` the path's."""
    path = path_in_a_format(name)
    return (
        TABLE + ".".join(part.lower() for part in parts_of_table(name))
        if path is None
        else place_of_path(path)
    )


def path_in_a_format(name: str) -> str | None:
    """Returns the path of ``format.`path` ``, which Spark takes for a table; None of a catalog's table."""
    found = _IN_A_FORMAT.fullmatch(name.strip())
    return found[1] if found else None


def parts_of_table(name: str) -> list[str]:
    """Returns the parts of a table's name without their quotes."""
    return [part[2] or part[1].replace("``", "`") for part in _PART.finditer(name)]


def place_of(text: str) -> str:
    """Returns what a user wrote as a place: `table:NAME` for a catalog's table, or a path.

    Raises:
        ConfigurationError: it is empty, or a table's name without its catalog and schema, which is no run's.
    """
    if not text.strip() or text.strip() == TABLE:
        raise ConfigurationError(
            f"INPUT is {text!r}. {NOTHING} Write a path as in input.path, or table:CATALOG.SCHEMA.NAME.",
            field="input",
        )
    if not text.startswith(TABLE):
        return place_of_path(text)
    name = text[len(TABLE) :]
    if path_in_a_format(name) is None and len(parts_of_table(name)) < 3:
        raise ConfigurationError(
            f"INPUT {text!r} does not name its catalog and schema, and a run is bound to the full name: nothing would be "
            f"kept apart. {NOTHING} Write table:CATALOG.SCHEMA.NAME, such as table:spark_catalog.default.visits.",
            field="input",
        )
    return place_of_table(name)


def overlap(one: str, other: str) -> bool:
    """Says whether two places are one, or one is a folder above the other.

    Hosts are compared without case and port, and where one place names none (`hdfs:///a`) it may be any: it is the
    cluster's own. `wasb` and `abfs` are two doors of one container. In doubt two places are one, for that is only refused
    until it is confirmed.
    """
    (host, here), (other_host, there) = _apart(one), _apart(other)
    if host and other_host and host != other_host:
        return False
    return covers(here, there) or covers(there, here)


def _apart(place: str) -> tuple[str, str]:
    """Returns a place's host in one form, empty where it names none, and the place without it."""
    found = _WITH_HOST.fullmatch(place)
    if found is None:
        return "", place
    scheme, host, inside = found.groups()
    host = _PORT.sub("", host.lower())
    if scheme in _CONTAINERS:
        scheme, host = _CONTAINERS[0], host.replace(".blob.", ".dfs.", 1)
    return host, f"{scheme}://{inside}"


def covers(above: str, place: str) -> bool:
    """Says whether a place is in another, or is it."""
    return place == above or (
        not above.startswith(TABLE) and place.startswith(above if above.endswith("/") else f"{above}/")
    )


def binding(
    connection: sa.Connection, dataset: str, place: str, bound: Iterable[Bound], *, confirmed: bool = False
) -> Change | None:
    """Returns the change that binds an account to a place, or None where it is bound already.

    The caller holds the account's lock; where a place is new, this takes the ledger's too, so that two accounts
    do not bind one place at the same time.

    Args:
        bound: what the account is bound to.
        confirmed: that another account may have the place too.

    Raises:
        LedgerError: another account has it, or a part of it, or a folder above it.
    """
    if any(covers(own.place, place) for own in bound):
        return None
    lock_ledger(connection)
    others = [other for other in _all(connection) if other.dataset != dataset and overlap(other.place, place)]
    if others and not confirmed:
        other = others[0]
        raise LedgerError(
            f"Input {place!r} is bound to account {other.dataset!r}"
            f"{f' (as {other.place!r})' if other.place != place else ''}, and the run would charge account "
            f"{dataset!r}: the same people would be charged to two budgets, and neither would say what they bear "
            f"together. {NOTHING} Set privacy.dataset to {other.dataset!r}; or, where the people are others or "
            "both budgets together are what they may bear, confirm it with `spark-dp ledger bind "
            f"{dataset} INPUT --ledger URL --confirm-shared`.",
            field="privacy.dataset",
        )
    row = {"dataset": dataset, "place": place, "shared": bool(others), "bound_at": now()}
    return Change(table=inputs, deed=Deed.INSERT, row=row)


def read_bound(row: Any) -> Bound:
    """Reads a row of the inputs."""
    return Bound(dataset=row.dataset, place=row.place, shared=row.shared, bound_at=row.bound_at)


def _all(connection: sa.Connection) -> list[Bound]:
    """Reads all bindings, of the rows and of the chains: one that was deleted still binds."""
    said = connection.scalars(
        sa.select(entries.c.facts).where(entries.c.what == What.BOUND.value).order_by(entries.c.dataset)
    )
    try:
        chained = [Bound(**change["row"]) for facts in said for change in json.loads(facts)["changes"]]
    except (ValueError, KeyError, TypeError):
        raise LedgerError(
            f"An entry of the ledger that binds an input was altered. {NOTHING} {RESTORE}"
        ) from None
    return chained + [
        read_bound(row) for row in connection.execute(sa.select(inputs).order_by(inputs.c.dataset))
    ]


def _above_pattern(path: str) -> str:
    """Returns the folder above the first part that is a pattern: what a pattern matches tomorrow is not known."""
    parts = path.split("/")
    for index, part in enumerate(parts):
        if _GLOB.search(part):
            return "/".join(parts[:index]) or ("/" if path.startswith("/") else ".")
    return path
