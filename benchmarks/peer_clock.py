"""A limit on the CPU time of a peer's run, and its clock; imports nothing that a peer's environment may lack."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field


class OutOfTimeError(Exception):
    """The seconds are over."""


@dataclass
class PeerClock:
    """What a run took, and how far it came.

    Attributes:
        note: empty where the run ended.
        used: part of the budget that went into what is measured.
        measured: marginals.
    """

    cpu: float = 0.0
    wall: float = 0.0
    note: str = ""
    used: float = 0.0
    measured: int = 0
    started: float = field(default_factory=time.process_time)

    def report(self) -> dict[str, float | int | str]:
        return {"cpu": self.cpu, "wall": self.wall, "note": self.note, "measured": self.measured}


@contextmanager
def limited(seconds: float) -> Iterator[PeerClock]:
    """Runs the block for at most so many CPU seconds; its clock says whether it ended."""

    def stop(*_: object) -> None:
        raise OutOfTimeError

    signal.signal(signal.SIGPROF, stop)
    clock, wall = PeerClock(), time.perf_counter()
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield clock
    # A library that calls back may hand on the exception as one of its own.
    except Exception as stopped:
        if OutOfTimeError.__name__ not in f"{stopped!r} {stopped}":
            raise
        clock.note = f"not ended, {clock.used:.0%} of the budget used in {clock.measured} measurements"
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        clock.cpu, clock.wall = time.process_time() - clock.started, time.perf_counter() - wall
