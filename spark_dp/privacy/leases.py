"""Who holds a run, and until when: so that a second driver waits for the first and does not take its work away.

A lease is politeness. That no two drivers both answer a query is decided by the run's epoch alone, by compare-and-swap
in the ledger, whatever clocks say.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import math
import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa

from spark_dp.errors import ConfigurationError, SparkDPError
from spark_dp.privacy.ledger_database import guarded
from spark_dp.privacy.ledger_schema import leases

LEASE_SECONDS: Final = 60.0
VARIABLE: Final = "SPARK_DP_LEASE_SECONDS"
_POLL_SECONDS: Final = 1.0
_SEALED: Final = ("dataset", "key", "epoch", "holder", "lease_until")


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """What a driver waits for that found its run held by another.

    Attributes:
        dataset, key: the run.
        until: when the other's lease ends, unless it is renewed; UTC.
    """

    dataset: str
    key: str
    until: datetime


def lease_seconds(seconds: float | None = None) -> float:
    """Returns how long a lease lasts: as given, as the environment says, or 60 s.

    Raises:
        ConfigurationError: it is not a number of seconds from 0.1 to a day.
    """
    given: object = os.environ.get(VARIABLE, LEASE_SECONDS) if seconds is None else seconds
    with contextlib.suppress(TypeError, ValueError):
        chosen = float(given)  # type: ignore[arg-type]
        if math.isfinite(chosen) and 0.1 <= chosen <= 86_400:
            return chosen
    raise ConfigurationError(
        f"{VARIABLE} is {given!r}. Nothing was spent. Write the seconds after which another driver may take a run "
        "over whose driver was lost, from 0.1 to 86400; 60 is usual.",
        field=VARIABLE,
    )


def poll_seconds(lease: float) -> float:
    """Returns how often a driver that waits looks again."""
    return min(_POLL_SECONDS, lease / 10)


# the row ---------------------------------------------------------------------------------------------------


def seal_of(lease: Mapping[str, Any]) -> str:
    """Returns the digest that a lease's row has to have."""
    return hashlib.sha256(json.dumps([lease[name] for name in _SEALED]).encode()).hexdigest()


def lease_row(
    connection: sa.Connection, dataset: str, key: str, epoch: int, seconds: float | None
) -> dict[str, Any]:
    """Returns the row of a lease of this process from now on; of a run that nobody holds where `seconds` is None."""
    until = None if seconds is None else database_time(connection) + timedelta(seconds=seconds)
    row: dict[str, Any] = {
        "dataset": dataset,
        "key": key,
        "epoch": epoch,
        "holder": None if until is None else this_process(),
        "lease_until": None if until is None else until.isoformat(timespec="milliseconds"),
    }
    return row | {"seal": seal_of(row)}


def write_lease(connection: sa.Connection, dataset: str, key: str, epoch: int, seconds: float | None) -> None:
    """Gives a run's lease to this process, whoever had it, or to nobody where `seconds` is None."""
    row = lease_row(connection, dataset, key, epoch, seconds)
    mine = (leases.c.dataset == dataset, leases.c.key == key)
    if connection.execute(leases.update().where(*mine).values(row)).rowcount == 0:
        connection.execute(leases.insert().values(row))


def held_until(connection: sa.Connection, dataset: str, key: str) -> datetime | None:
    """Returns when the lease of another driver that may be alive ends; None where the run can be taken."""
    lease = connection.execute(
        sa.select(leases).where(leases.c.dataset == dataset, leases.c.key == key)
    ).first()
    if lease is None or lease.holder is None or lease.lease_until is None:
        return None
    until = datetime.fromisoformat(lease.lease_until)
    # A process that begins the run that it holds itself would wait for itself.
    if until <= database_time(connection) or lease.holder == this_process() or is_dead(lease.holder):
        return None
    return until


def database_time(connection: sa.Connection) -> datetime:
    """Returns the time by the database's clock, which all drivers of a ledger share."""
    if connection.dialect.name == "sqlite":
        return datetime.now(UTC)
    told: datetime = connection.execute(sa.select(sa.func.clock_timestamp())).scalar_one()
    return told.astimezone(UTC)


# the process -----------------------------------------------------------------------------------------------


@functools.cache
def _of_pid(pid: int) -> str:
    return json.dumps({"boot": _boot(), "namespace": _namespace(), "pid": pid, "start": _start(pid)})


def this_process() -> str:
    """Names this process, so that another on the same machine can tell whether it is still there."""
    return _of_pid(os.getpid())


def is_dead(holder: str) -> bool:
    """Says whether a process is provably gone: of this boot and process namespace, and no longer there.

    False where that cannot be known: another machine, another container, another system than Linux.
    """
    try:
        named = json.loads(holder)
        boot, namespace, pid, start = (named[k] for k in ("boot", "namespace", "pid", "start"))
    except (ValueError, KeyError, TypeError):
        return False
    if None in (boot, namespace, start) or (boot, namespace) != (_boot(), _namespace()):
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except (OSError, TypeError, OverflowError):
        return False
    there = _start(pid)
    return there is not None and there != start


def _boot() -> str | None:
    return _read("/proc/sys/kernel/random/boot_id")


def _namespace() -> str | None:
    with contextlib.suppress(OSError):
        return str(Path("/proc/self/ns/pid").readlink())
    return None


def _start(pid: int) -> str | None:
    """Returns when a process started, in ticks since boot; 'ended' for one that only waits to be reaped."""
    stat = _read(f"/proc/{pid}/stat")
    if stat is None:
        return None
    state, *others = stat.rpartition(")")[2].split()
    return "ended" if state in "ZX" else others[18]


def _read(path: str) -> str | None:
    with contextlib.suppress(OSError):
        return Path(path).read_text().strip()
    return None


# the heartbeat ---------------------------------------------------------------------------------------------


class Heartbeat:
    """Renews a lease from a thread of its own, every third of it, until it is stopped or finds the run taken over."""

    __slots__ = ("_dataset", "_engine", "_epoch", "_key", "_seconds", "_stopped", "_writing", "lost")

    def __init__(self, engine: sa.Engine, dataset: str, key: str, epoch: int, seconds: float) -> None:
        self._engine = engine
        self._dataset = dataset
        self._key = key
        self._epoch = epoch
        self._seconds = seconds
        self._stopped = threading.Event()
        self._writing = threading.Lock()
        self.lost = threading.Event()

    def start(self) -> None:
        threading.Thread(target=self._beat, name="spark-dp lease", daemon=True).start()

    def stop(self) -> None:
        """Renews no more; the lease runs out by itself."""
        self._stopped.set()

    def release(self) -> None:
        """Renews no more, and gives the lease back if it is still this driver's."""
        if self._stopped.is_set():
            return
        self._stopped.set()
        # If the ledger cannot be asked, the lease runs out by itself.
        with contextlib.suppress(SparkDPError):
            self._write(None)

    def _beat(self) -> None:
        while not self._stopped.wait(self._seconds / 3):
            # The next beat may find the database again.
            with contextlib.suppress(SparkDPError):
                if not self._write(self._seconds):
                    self.lost.set()
                    return

    def _write(self, seconds: float | None) -> bool:
        """Writes the lease anew, where the epoch is still this driver's; no other row is locked."""
        with self._writing, guarded(), self._engine.begin() as connection:
            # A release that came while this waited stands.
            if seconds is not None and self._stopped.is_set():
                return True
            row = lease_row(connection, self._dataset, self._key, self._epoch, seconds)
            written = connection.execute(
                leases.update()
                .where(
                    leases.c.dataset == self._dataset,
                    leases.c.key == self._key,
                    leases.c.epoch == self._epoch,
                )
                .values(row)
            )
        return written.rowcount == 1
