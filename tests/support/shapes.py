"""Tables that are skewed, or large in one respect."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from support.crowds import Crowd
from support.visits import Site

FULL = 10_000_000


@dataclass(frozen=True)
class Shape:
    """One kind of table.

    Attributes:
        says: what is special about it.
        units: draws the unit of each of n rows.
        max_rows: k.
        files, id_width: of the table; one file has one row group.
    """

    says: str
    units: Callable[[np.random.Generator, int], NDArray[np.int64]]
    max_rows: int = 20
    files: int = 10
    id_width: int = 12

    def site(self, folder: Path, rows: int) -> tuple[Site, Crowd]:
        """Writes the table of a number of rows."""
        random = np.random.default_rng(1)
        crowd = Crowd.of(random.permutation(self.units(random, rows)))
        site = Site.make(folder, crowd.table(stop=1))
        (folder / "in" / "part-0.parquet").unlink()
        group = rows if self.files == 1 else 1 << 17
        crowd.write(folder / "in", files=self.files, id_width=self.id_width, row_group=group)
        return site, crowd


def _even(random: np.random.Generator, rows: int) -> NDArray[np.int64]:
    return random.integers(0, max(1, rows // 10), rows)


def _hot(random: np.random.Generator, rows: int) -> NDArray[np.int64]:
    units = _even(random, rows)
    units[: rows // 2] = 7
    return units


SHAPES = {
    "hot": Shape("a unit with half of the rows", _hot),
    "units": Shape("as many units as rows", lambda _, rows: np.arange(rows)),
    "ids": Shape("ids of 200 characters", _even, id_width=200, max_rows=10),
    "above": Shape("nearly all units above k", _even, max_rows=3),
    "files": Shape("2,000 input files", _even, files=2000),
    "group": Shape("one file with one row group", _even, files=1),
}
