"""What a text looks like in the files of a run's answers."""

from __future__ import annotations

import numpy as np


def as_answers(text: str) -> list[bytes]:
    """A text as answers may keep it: an integer for each byte, in as few bytes as all of an array fit."""
    codes = np.frombuffer(text.encode(), np.uint8)
    return [codes.astype(f"<i{width}").tobytes() for width in (1, 2, 4, 8)]
