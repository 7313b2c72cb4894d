"""Progress on a terminal: lines, and below them one bar with its rate and the time left.

One bar and one line, so that whatever else writes to the terminal (Spark's own log under spark-submit) leaves a
fragment of it at most. The cursor stays visible: a process that is killed leaves a usable terminal.
"""

from __future__ import annotations

import os
from typing import TextIO

from rich.console import Console
from rich.progress import BarColumn, SpinnerColumn, TaskID, TextColumn
from rich.progress import Progress as RichProgress
from rich.table import Column
from rich.text import Text

from spark_dp.pipeline.progress import Note, Reading

SHOWN_AFTER_SECONDS = 0.5
"""Work that takes less needs no bar."""

_STYLES = {"stage-begin": "bold", "stage-end": "green", "warning": "yellow", "error": "red"}
_LEAD = {"warning": "WARNING: ", "error": "error: "}


class Bars:
    """Shows notes as lines and the latest reading as a bar that is gone when its work is over.

    Args:
        stream: a terminal. It is opened a second time: while Spark starts, this process's standard error is
            turned away from the terminal, and the bar is to stay.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = os.fdopen(
            os.dup(stream.fileno()), "w", encoding=stream.encoding, errors="backslashreplace"
        )
        self._console = Console(file=self._stream, force_terminal=True)
        self._bar: RichProgress | None = None
        self._task: TaskID | None = None

    def note(self, note: Note) -> None:
        text = Text(f"{'  ' * note.depth}{_LEAD.get(note.event, '')}{_shown(note.message)}")
        text.stylize(_STYLES.get(note.event, ""))
        self._console.print(text, soft_wrap=True)

    def reading(self, reading: Reading) -> None:
        if self._bar is None and reading.total is not None and reading.seconds < SHOWN_AFTER_SECONDS:
            return
        bar = self._bar or self._begin()
        description = f"{'  ' * reading.depth}{_shown(reading.what)}"
        if self._task is None:
            self._task = bar.add_task(description, total=reading.total, said="")
        bar.update(
            self._task,
            description=description,
            total=reading.total,
            completed=reading.done,
            said=reading.figures(),
        )

    def rest(self) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = self._task = None

    def close(self) -> None:
        self.rest()
        if not self._stream.closed:
            self._stream.close()

    def _begin(self) -> RichProgress:
        self._bar = RichProgress(
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False, table_column=_one_line()),
            BarColumn(bar_width=24),
            TextColumn("{task.fields[said]}", markup=False, table_column=_one_line()),
            console=self._console,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=True,
        )
        self._bar.start()
        self._console.show_cursor(True)
        return self._bar


def is_terminal(stream: TextIO) -> bool:
    """Says whether bars may be drawn there."""
    return stream.isatty() and os.environ.get("TERM", "") not in ("", "dumb", "unknown")


def _one_line() -> Column:
    return Column(no_wrap=True, overflow="ellipsis")


def _shown(text: str) -> str:
    """A name from a configuration may hold a terminal's control sequences: they are shown and not obeyed."""
    return "".join(c if c.isprintable() or c == "\n" else c.encode("unicode_escape").decode() for c in text)
