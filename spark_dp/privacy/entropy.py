"""Where randomness for private draws comes from: the operating system, and nothing else."""

from __future__ import annotations

import os
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray


class Entropy(Protocol):
    """A source of independent uniform 64-bit words."""

    def words(self, count: int) -> NDArray[np.uint64]:
        """Returns `count` fresh words, shape (count,)."""
        ...


class OSEntropy:
    """The operating system's cryptographic generator.

    Guarantees: there is no seed and no state in the process, so that seeding numpy repeats nothing, forked
    processes draw different words, and no draw can be computed from another.
    """

    __slots__ = ()

    def words(self, count: int) -> NDArray[np.uint64]:
        return np.frombuffer(os.urandom(8 * count), dtype=np.uint64)


OS_ENTROPY: Final = OSEntropy()
