"""What a run says while it works: each stage, of how much, and for how long."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TextIO


@dataclass(slots=True)
class Progress:
    """Writes plain lines, and remembers how long each stage took.

    Attributes:
        stream: where to; None says nothing.
        seconds: wall time by stage.
    """

    stream: TextIO | None = field(default_factory=lambda: sys.stderr)
    seconds: dict[str, float] = field(default_factory=dict)
    _depth: int = 0

    def say(self, text: str) -> None:
        if self.stream is not None:
            print(f"{'  ' * self._depth}{text}", file=self.stream, flush=True)

    @contextmanager
    def stage(self, name: str, what: str) -> Iterator[None]:
        """Names a stage, and says how long it took."""
        self.say(f"{name}: {what}")
        start = time.monotonic()
        self._depth += 1
        try:
            yield
        finally:
            self._depth -= 1
            self.seconds[name] = self.seconds.get(name, 0.0) + time.monotonic() - start
        self.say(f"{name}: done in {self.seconds[name]:.1f} s")
