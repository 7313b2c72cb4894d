"""Sources of words for tests, where the same words are wanted twice."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray


class SeededEntropy:
    """Words from PCG64 with a fixed seed."""

    def __init__(self, seed: int) -> None:
        self._bits = np.random.PCG64(seed)

    def words(self, count: int) -> NDArray[np.uint64]:
        return np.asarray(self._bits.random_raw(count), dtype=np.uint64)


class ScriptedEntropy:
    """The given words, in order; running out is an error."""

    def __init__(self, words: Iterable[int]) -> None:
        self._words = list(words)

    def words(self, count: int) -> NDArray[np.uint64]:
        if count > len(self._words):
            raise AssertionError("more words were drawn than the test expects")
        taken, self._words = self._words[:count], self._words[count:]
        return np.array(taken, dtype=np.uint64)

    @property
    def left(self) -> int:
        return len(self._words)
