"""Progress for a log: plain lines, or one JSON document a line."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, TextIO

from spark_dp.pipeline.progress import Note, Reading

EVERY_SECONDS = 30.0
"""How long work goes on before a log hears of it, and hears again."""

_LEVELS = {"warning": "warning", "error": "error"}
_LEAD = {"warning": "WARNING: ", "error": "error: "}


class _Seldom:
    """Lets a reading pass once in EVERY_SECONDS of its work."""

    def __init__(self) -> None:
        self._told: tuple[str, float] = ("", 0.0)

    def lets(self, reading: Reading) -> bool:
        work = reading.unit and reading.what
        before = self._told[1] if self._told[0] == work and self._told[1] <= reading.seconds else 0.0
        if reading.seconds - before < EVERY_SECONDS:
            return False
        self._told = (work, reading.seconds)
        return True


class Lines:
    """Writes a line for each note, and one about every 30 seconds of long work."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._seldom = _Seldom()

    def note(self, note: Note) -> None:
        self._write(note.depth, f"{_LEAD.get(note.event, '')}{note.message}")

    def reading(self, reading: Reading) -> None:
        if self._seldom.lets(reading):
            self._write(reading.depth, f"{reading.what}: {reading.figures()}")

    def rest(self) -> None:
        self._seldom = _Seldom()

    def close(self) -> None: ...

    def _write(self, depth: int, text: str) -> None:
        print(f"{'  ' * depth}{text}", file=self._stream, flush=True)


class JsonLines:
    """Writes each note as one JSON document a line: time, level, event, stage, message, and seconds where known.

    A document of the event 'progress' also has what, unit, done, total, rate (a second) and seconds_left.
    """

    def __init__(self, stream: TextIO, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._stream = stream
        self._now = now
        self._seldom = _Seldom()

    def note(self, note: Note) -> None:
        self._write(note.event, note.stage, note.message, seconds=note.seconds)

    def reading(self, reading: Reading) -> None:
        if not self._seldom.lets(reading):
            return
        self._write(
            "progress",
            reading.stage,
            f"{reading.what}: {reading.figures()}",
            seconds=reading.seconds,
            what=reading.what,
            unit=reading.unit or None,
            done=reading.done if reading.total is not None else None,
            total=reading.total,
            rate=reading.rate,
            seconds_left=reading.seconds_left,
        )

    def rest(self) -> None:
        self._seldom = _Seldom()

    def close(self) -> None: ...

    def _write(self, event: str, stage: str, message: str, *, seconds: float | None, **more: Any) -> None:
        facts = {
            "time": self._now().isoformat(timespec="milliseconds"),
            "level": _LEVELS.get(event, "info"),
            "event": event,
            "stage": stage or None,
            "message": message,
            "seconds": None if seconds is None else round(seconds, 3),
            **more,
        }
        print(json.dumps(facts, ensure_ascii=False), file=self._stream, flush=True)
