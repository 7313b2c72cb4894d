"""Faults of a driver at its durable effects: everything that would outlive it.

Works from outside: in a driver process of the tests, the functions through which the product changes files, folders
and the ledger are wrapped, each change is noted by name, and before the chosen one the process kills or stops itself.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa

HEARTBEAT = "spark-dp lease"
_FILES = (
    (r"answers/[0-9a-f]{32}/specifications/0*(\d+)-.*", r"specification \2"),
    (r"answers/[0-9a-f]{32}/answers/0*(\d+)-.*", r"answer \2"),
    (r"\.?ledger-[0-9a-f]{16}\.json", "mark of the ledger"),
)


@dataclass(frozen=True, kw_only=True)
class Fault:
    """What happens to a driver.

    Attributes:
        journal: a file to which every effect's name is appended just before it happens.
        at: the number of an effect from 1, or the beginning of its name; None: none is meant.
        act: 'kill' or 'stop'.
        exchange: False takes away the system's call that exchanges two folders.
        lock_seconds: how long the ledger's file is waited for where another process has locked it.
    """

    journal: str
    at: int | str | None = None
    act: str = "kill"
    exchange: bool = True
    lock_seconds: int = 60

    def install(self) -> None:
        """Wraps this process's functions. For a process of its own: nothing is put back."""
        effects = _Effects(self)
        _wrap_files(effects)
        _wrap_ledger(effects)
        _wrap_folders(effects, exchange=self.exchange)
        _wrap_spark(effects)
        from spark_dp.privacy import ledger_database

        ledger_database.LOCK_SECONDS = self.lock_seconds  # type: ignore[misc]


class _Effects:
    def __init__(self, fault: Fault) -> None:
        self._fault = fault
        self._journal = os.open(fault.journal, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        self._count = 0
        self._over = False

    def before(self, name: str, torn: Callable[[], None] = lambda: None) -> None:
        """Notes an effect that is about to happen; does a part of it, and what was chosen, where it is the chosen one."""
        self._count += 1
        os.write(self._journal, f"{name}\n".encode())
        at = self._fault.at
        chosen = at == self._count or (isinstance(at, str) and name.startswith(at))
        if self._over or not chosen:
            return
        self._over = True
        torn()
        os.kill(os.getpid(), signal.SIGKILL if self._fault.act == "kill" else signal.SIGSTOP)
        time.sleep(0.2)  # a signal to oneself comes soon, and not at once


def words(path: str) -> str:
    """Names a file of a run or of its output, the same in every run."""
    name = re.sub(r"^.*?/(runs|out[^/]*|_out[^/]*)(?=/|$)", r"\1", path)
    name = re.sub(r"^runs/(?:[^/.][^/]*/)?", "", name)
    name = re.sub(r"\.(staging|discarded)-[0-9a-f]+", r".\1", name)
    for pattern, said in _FILES:
        name = re.sub(rf"(^|state/){pattern}$", rf"\1{said}", name)
    return name


def _wrap_files(effects: _Effects) -> None:
    replace = Path.replace

    def replaced(self: Path, target: Any) -> Path:
        effects.before(f"{words(str(target))} written")
        return replace(self, target)

    Path.replace = replaced  # type: ignore[method-assign, assignment]

    from spark_dp.files import Folder

    remove = Folder.remove

    def removed(self: Folder) -> None:
        effects.before("answers of a voided run deleted")
        remove(self)

    Folder.remove = removed  # type: ignore[method-assign]


def _wrap_ledger(effects: _Effects) -> None:
    names: dict[int, str] = {}

    def note(connection: Any, cursor: Any, statement: str, parameters: Any, context: Any, many: bool) -> None:
        compiled = next(iter(getattr(context, "compiled_parameters", None) or ()), {})
        noted = connection.info.setdefault("noted", [])
        if statement.startswith("INSERT INTO spark_dp_entries"):
            noted.append(_entry(compiled["what"], json.loads(compiled["facts"])["changes"], names))
        elif re.match(r"(UPDATE|INSERT INTO) spark_dp_leases", statement):
            noted.append("lease")

    def committing(connection: Any) -> None:
        noted = connection.info.pop("noted", [])
        if noted and threading.current_thread().name != HEARTBEAT:
            said = [name for name in noted if name != "lease"] or ["lease given back"]
            effects.before(f"ledger: {' and '.join(said)}")

    sa.event.listen(sa.Engine, "before_cursor_execute", note)
    sa.event.listen(sa.Engine, "commit", committing)
    sa.event.listen(sa.Engine, "rollback", lambda connection: connection.info.pop("noted", None))


def _entry(what: str, changes: list[dict[str, Any]], names: dict[int, str]) -> str:
    row = changes[0]["row"]
    if "ordinal" not in row:
        return f"run {what}" if what not in ("bound", "opened", "closed") else f"input {what}"
    names.setdefault(row["ordinal"], row.get("name", f"query {row['ordinal']}"))
    return f"{names[row['ordinal']]} {what}"


class _Noted:
    """A file system that notes what changes a folder."""

    def __init__(self, filesystem: Any, effects: _Effects) -> None:
        self.inner = filesystem
        self._effects = effects

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def move(self, source: str, target: str) -> None:
        self._effects.before(f"{words(source)} renamed to {words(target)}")
        self.inner.move(source, target)

    def create_dir(self, path: str, *, recursive: bool = True) -> None:
        if not Path(path).is_dir():
            self._effects.before(f"{words(path)} created")
        self.inner.create_dir(path, recursive=recursive)

    def delete_file(self, path: str) -> None:
        self._effects.before(f"{words(path)} deleted")
        self.inner.delete_file(path)

    def delete_dir(self, path: str) -> None:
        self._effects.before(f"{words(path)} deleted")
        if any(Path(path).iterdir()):
            self._effects.before(f"{words(path)} half deleted", lambda: _delete_half(Path(path)))
        self.inner.delete_dir(path)


def _delete_half(folder: Path) -> None:
    inside = sorted(folder.iterdir())
    for entry in inside[: (len(inside) + 1) // 2]:
        shutil.rmtree(entry) if entry.is_dir() else entry.unlink()


def _wrap_folders(effects: _Effects, *, exchange: bool) -> None:
    from spark_dp.files import Folder
    from spark_dp.spark import swap, write

    opened, exchanged = write._open, swap.exchange

    def noted(path: str) -> tuple[Any, str]:
        filesystem, inside = opened(path)
        return _Noted(filesystem, effects), inside

    def noted_exchange(filesystem: Any, one: str, other: str) -> bool:
        if not exchange:
            return False
        effects.before(f"{words(one)} and {words(other)} exchanged")
        return exchanged(getattr(filesystem, "inner", filesystem), one, other)

    def is_local(self: Folder) -> bool:
        return local.__get__(Folder(getattr(self.filesystem, "inner", self.filesystem), "", ""))

    local: Any = Folder.is_local
    write._open = noted  # type: ignore[assignment]
    swap.exchange = noted_exchange
    Folder.is_local = property(is_local)  # type: ignore[assignment, method-assign]


def _wrap_spark(effects: _Effects) -> None:
    from pyspark.sql.connect.readwriter import DataFrameWriter as Connected
    from pyspark.sql.readwriter import DataFrameWriter as Classic

    for writer in (Connected, Classic):
        write = writer.parquet

        def written(self: Any, path: str, *given: Any, write: Any = write, **more: Any) -> None:
            effects.before(f"Spark writes {words(path)}")
            write(self, path, *given, **more)
            effects.before(f"Spark counts {words(path)}")

        writer.parquet = written  # type: ignore[method-assign, assignment]


def effects_of(journal: Path) -> list[str]:
    """Reads what was noted."""
    with contextlib.suppress(FileNotFoundError):
        return journal.read_text().splitlines()
    return []
