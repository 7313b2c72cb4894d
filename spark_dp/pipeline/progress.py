"""What a run says while it works: each stage, how far it is, and for how long.

`Progress` is told; a *face* shows it: lines for a log (`progress_lines`), bars on a terminal (`progress_bars`).
Numbers of Spark's tasks are facts about the private table's files. They go to the owner's terminal or log, and
nowhere else.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Protocol, TextIO

Meter = Callable[[int, int], None]
"""Told how much is done, of how much."""

Watch = Callable[[Callable[[], Meter]], AbstractContextManager[None]]
"""Follows work that another process does: asks for a meter for each piece of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """Something said.

    Attributes:
        event: 'stage-begin', 'stage-end', 'say', 'warning' or 'error'.
        stage: in which it is said; empty outside of stages.
        message: for a person.
        depth: of the stage, from 0.
        seconds: that a stage took; only at its end.
    """

    event: str
    stage: str
    message: str
    depth: int = 0
    seconds: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """How far a piece of work is.

    Attributes:
        stage: that it belongs to.
        what: is done: 'Spark', 'noise'.
        unit: of the numbers; empty where there are none.
        done: so far.
        total: of all; None where nobody knows.
        seconds: since the work was first told of.
        before: what was done then.
        depth: of the stage.
    """

    stage: str
    what: str
    unit: str = ""
    done: int = 0
    total: int | None = None
    seconds: float = 0.0
    before: int = 0
    depth: int = 0

    @property
    def rate(self) -> float | None:
        """Units a second so far; None before anything was done."""
        made = self.done - self.before
        return made / self.seconds if made > 0 and self.seconds > 0 else None

    @property
    def seconds_left(self) -> float | None:
        """What is left at the rate so far."""
        return None if self.rate is None or self.total is None else (self.total - self.done) / self.rate

    def figures(self) -> str:
        """Says how much is done, how fast, and how long it will take: '12/40 tasks, 5.2/s, 6 s left'."""
        spent = duration(self.seconds) if self.seconds >= 1 else ""
        if self.total is None:
            return spent
        said = f"{self.done:,}/{self.total:,} {self.unit}"
        if self.rate is None or self.seconds_left is None:
            return f"{said}, {spent}" if spent else said
        rate = f"{self.rate:,.0f}/s" if self.rate >= 10 else f"{self.rate:.2g}/s"
        return f"{said}, {rate}, {duration(self.seconds_left)} left"


class Face(Protocol):
    """Shows what a run says."""

    def note(self, note: Note) -> None: ...

    def reading(self, reading: Reading) -> None:
        """Shows how far the work is; called often."""

    def rest(self) -> None:
        """The work that was read last is over."""

    def close(self) -> None:
        """Leaves the terminal as it was."""


class Silent:
    """Says nothing."""

    def note(self, note: Note) -> None: ...

    def reading(self, reading: Reading) -> None: ...

    def rest(self) -> None: ...

    def close(self) -> None: ...


@dataclass(slots=True)
class Progress:
    """Tells a face what happens, and remembers how long each stage took.

    Attributes:
        stream: where plain lines go; None says nothing.
        seconds: wall time by stage.
        face: shows it; by default, lines to `stream`.
        clock: seconds that only increase.
    """

    stream: TextIO | None = field(default_factory=lambda: sys.stderr)
    seconds: dict[str, float] = field(default_factory=dict)
    face: Face | None = None
    clock: Callable[[], float] = time.monotonic
    _stages: list[tuple[str, ExitStack]] = field(default_factory=list)
    _watch: Watch | None = None
    _scale: tuple[str, int, str] | None = None
    _step_began: float | None = None
    _lock: threading.RLock = field(default_factory=threading.RLock)

    def __post_init__(self) -> None:
        if self.face is None:
            from spark_dp.pipeline.progress_lines import Lines

            self.face = Silent() if self.stream is None else Lines(self.stream)

    def say(self, text: str) -> None:
        self._note("say", text)

    def warn(self, text: str) -> None:
        self._note("warning", text)

    def error(self, text: str) -> None:
        self._note("error", text)

    @contextmanager
    def stage(self, name: str, what: str) -> Iterator[None]:
        """Names a stage, and says how long it took."""
        self._note("stage-begin", f"{name}: {what}", stage=name)
        start = self.clock()
        with ExitStack() as following:
            self._stages.append((name, following))
            try:
                if self._watch is not None:
                    following.enter_context(self._watch(self._passing))
                yield
            finally:
                following.close()
                self._stages.pop()
                self._rest()
                took = self.clock() - start
                self.seconds[name] = self.seconds.get(name, 0.0) + took
        self._note("stage-end", f"{name}: done in {took:.1f} s", stage=name, seconds=took)

    def meter(self, what: str, unit: str) -> Meter:
        """Returns what a piece of work is to tell of itself: how much is done, of how much."""
        first: list[tuple[float, int]] = []

        def tell(done: int, total: int) -> None:
            with self._lock:
                if total <= 0 or done >= total:
                    self._rest()
                    return
                if not first:
                    first.append((self.clock(), done))
                began, before = first[0]
                self._read(
                    Reading(
                        stage=self._stage,
                        what=what,
                        unit=unit,
                        done=done,
                        total=total,
                        seconds=self.clock() - began,
                        before=before,
                        depth=len(self._stages),
                    )
                )

        return tell

    def step(self, text: str) -> None:
        """Tells of a step of work whose length nobody knows."""
        with self._lock:
            if self._step_began is None:
                self._step_began = self.clock()
            seconds = self.clock() - self._step_began
            self._read(Reading(stage=self._stage, what=text, seconds=seconds, depth=len(self._stages)))

    @contextmanager
    def waiting(self, text: str) -> Iterator[None]:
        """Says what is waited for, and shows that something goes on."""
        self.say(text)
        self.step(text)
        try:
            yield
        finally:
            self._rest()

    def follow(self, watch: Watch) -> None:
        """Follows Spark through this stage and all later ones."""
        if isinstance(self.face, Silent) or self._watch is not None:
            return
        self._watch = watch
        if self._stages:
            self._stages[-1][1].enter_context(watch(self._passing))

    @contextmanager
    def counted_in(self, what: str, total: int, unit: str) -> Iterator[None]:
        """Shows tasks as what they make: rows, of which each makes about as many as the others."""
        self._scale = (what, total, unit)
        try:
            yield
        finally:
            self._scale = None

    def close(self) -> None:
        """Leaves the terminal as it was."""
        with self._lock:
            if self.face is not None:
                self.face.close()

    @property
    def _stage(self) -> str:
        return self._stages[-1][0] if self._stages else ""

    def _passing(self) -> Meter:
        """A meter for one of Spark's passes."""
        what, total, unit = self._scale or ("Spark", 0, "tasks")
        meter = self.meter(what, unit)
        if self._scale is None:
            return meter
        return lambda done, tasks: meter(total * done // max(1, tasks), total)

    def _note(self, event: str, message: str, *, stage: str = "", seconds: float | None = None) -> None:
        with self._lock:
            if self.face is None:
                return
            depth = len(self._stages)
            self.face.note(
                Note(event=event, stage=stage or self._stage, message=message, depth=depth, seconds=seconds)
            )

    def _read(self, reading: Reading) -> None:
        if self.face is not None:
            self.face.reading(reading)

    def _rest(self) -> None:
        with self._lock:
            self._step_began = None
            if self.face is not None:
                self.face.rest()


def duration(seconds: float) -> str:
    """Writes a time span as people say it: '6 s', '3 min 20 s', '2 h 5 min'."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min"
