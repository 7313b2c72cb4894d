"""A terminal for a command: a real pseudo-terminal, and what a person would see on it."""

from __future__ import annotations

import os
import pty
import re
import signal
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from support.processes import apart

_TOKENS = re.compile(r"\x1b\[([?0-9;]*)([A-Za-z])|\r|\n|[^\x1b\r\n]")
_SPINNER = re.compile("[\u2800-\u28ff]")


@dataclass(frozen=True)
class Seen:
    """What was on the terminal.

    Attributes:
        code: the command's exit code; minus the signal that ended it.
        lines: that are left on the screen.
        drawn: lines that were drawn and taken away again: the bars, one for each time.
        raw: every byte.
    """

    code: int
    lines: list[str]
    drawn: list[str]
    raw: str

    @property
    def text(self) -> str:
        return "\n".join(self.lines)


def on_a_terminal(
    command: list[str],
    folder: Path,
    *,
    interrupt_at: str | None = None,
    stdout: Path | None = None,
    **environment: str,
) -> Seen:
    """Runs a command on a pseudo-terminal until it ends.

    Args:
        interrupt_at: text after which Ctrl-C is pressed, once.
        stdout: a file that takes standard output instead of the terminal.
    """
    child, terminal = pty.fork()
    if child == 0:
        os.chdir(folder)
        if stdout is not None:
            os.dup2(os.open(stdout, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), 1)
        os.execvpe(command[0], command, _environment(environment))
    content = b""
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline:
        try:
            part = os.read(terminal, 65536)
        except OSError:  # the command has ended
            break
        if not part:
            break
        content += part
        if interrupt_at is not None and interrupt_at.encode() in content:
            os.write(terminal, b"\x03")
            interrupt_at = None
    else:
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    os.close(terminal)
    raw = content.decode(errors="replace")
    lines, drawn = _shown(raw)
    return Seen(os.waitstatus_to_exitcode(status), lines, drawn, raw)


def _environment(more: Mapping[str, str]) -> dict[str, str]:
    return {**apart(), "TERM": "xterm-256color", "COLUMNS": "100", "LINES": "40", **more}


def _shown(raw: str) -> tuple[list[str], list[str]]:
    lines: list[list[str]] = [[]]
    drawn = []
    row = column = 0
    for token in _TOKENS.finditer(raw):
        text = token[0]
        if text == "\r":
            column = 0
        elif text == "\n":
            row += 1
            lines.extend([] for _ in range(row + 1 - len(lines)))
        elif token[2] == "K":
            drawn.append(_SPINNER.sub("", "".join(lines[row])).strip())
            lines[row] = []
        elif token[2] == "A":
            row = max(0, row - int(token[1] or 1))
        elif token[2] is None:
            lines[row].extend(" " for _ in range(column + 1 - len(lines[row])))
            lines[row][column] = text
            column += 1
    return ["".join(line).rstrip() for line in lines], [line for line in drawn if line]
