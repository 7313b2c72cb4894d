"""Tables of any size whose exact bounded marginals are known from how they were drawn, by numpy alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray
from support.visits import Site

from spark_dp.schema.domain import Clique
from spark_dp.schema.table import TableSchema

W = 1 << 20
WARDS = tuple(f"ward {i}" for i in range(10))
SCHEMA = f"""
  ward: {{type: string, values: [{", ".join(WARDS)}], undeclared: drop}}
  age:  {{type: integer, min: 0, max: 49, nullable: true}}
  kind: {{type: short, min: 0, max: 6}}
  paid: {{type: boolean}}
"""
TABLE = TableSchema.from_settings(
    {
        "ward": {"type": "string", "values": list(WARDS), "undeclared": "drop"},
        "age": {"type": "integer", "min": 0, "max": 49, "nullable": True},
        "kind": {"type": "short", "min": 0, "max": 6},
        "paid": {"type": "boolean"},
    }
)
CLIQUES: tuple[Clique, ...] = (("ward", "age"), ("age", "kind", "paid"), ("ward",), ())
_SIZES = {"ward": 10, "age": 51, "kind": 7, "paid": 2}
_UNDECLARED = 10


@dataclass(frozen=True)
class Crowd:
    """Rows of units: each row's unit as a number, and its cell in each column. Code 10 of `ward` has no cell."""

    units: NDArray[np.int64]
    codes: dict[str, NDArray[np.int64]]

    @classmethod
    def of(cls, units: NDArray[np.int64], seed: int = 0) -> Crowd:
        random = np.random.default_rng(seed)
        rows = len(units)
        ward = np.minimum(random.geometric(0.25, rows) - 1, _UNDECLARED)
        age = np.minimum(random.integers(0, 53, rows), 50)  # 50 is null
        kind = (age + random.integers(0, 3, rows)) % 7
        return cls(units, {"ward": ward, "age": age, "kind": kind, "paid": random.integers(0, 2, rows)})

    @property
    def sizes(self) -> NDArray[np.int64]:
        """The rows of each unit."""
        return np.bincount(self.units)

    def weights(self, k: int) -> NDArray[np.int64]:
        """floor(W k / m) for each row of a unit of m > k rows, else W."""
        m = self.sizes[self.units]
        weights: NDArray[np.int64] = np.where(m > k, W * k // m, W)
        return weights

    def kept_by_sampling(self, k: int) -> int:
        """The rows that a sample keeps: of each unit k, or all that have a cell."""
        sizes = np.bincount(self.units[self.codes["ward"] != _UNDECLARED])
        return int(np.minimum(sizes, k).sum())

    def marginals(
        self, cliques: Sequence[Clique] = CLIQUES, weights: NDArray[np.int64] | None = None
    ) -> dict[Clique, NDArray[np.int64]]:
        """The exact marginals; sums stay below 2^53, where doubles add up exactly."""
        kept = self.codes["ward"] != _UNDECLARED
        heavy = None if weights is None else weights[kept]
        found = {}
        for clique in cliques:
            cell = np.zeros(int(kept.sum()), np.int64)
            for name in clique:
                cell = cell * _SIZES[name] + self.codes[name][kept]
            shape = tuple(_SIZES[name] for name in clique)
            counted = np.bincount(cell, weights=heavy, minlength=int(np.prod(shape)))
            found[clique] = counted.astype(np.int64).reshape(shape)
        return found

    def table(self, *, id_width: int = 0, start: int = 0, stop: int | None = None) -> pa.Table:
        """The rows as a table: ids are whole numbers, or strings of a width."""
        part = slice(start, stop)
        person = pa.array(self.units[part])
        if id_width:
            person = pc.utf8_lpad(pc.cast(person, pa.string()), id_width, "x")
        age = self.codes["age"][part]
        names = pa.array([*WARDS, "a ward that nobody declared"])
        return pa.table(
            {
                "person": person,
                "ward": names.take(pa.array(self.codes["ward"][part])),
                "age": pa.array(age.astype(np.int32), mask=age == 50),
                "kind": pa.array(self.codes["kind"][part].astype(np.int16)),
                "paid": pa.array(self.codes["paid"][part] == 1),
            }
        )

    def write(self, folder: Path, *, files: int = 8, id_width: int = 0, row_group: int = 1 << 17) -> Path:
        """Writes the rows into a number of files."""
        folder.mkdir(parents=True, exist_ok=True)
        edges = np.linspace(0, len(self.units), files + 1).astype(int).tolist()
        for i in range(files):
            part = self.table(id_width=id_width, start=edges[i], stop=edges[i + 1])
            pq.write_table(part, folder / f"part-{i:05}.parquet", row_group_size=row_group)
        return folder

    def site(self, folder: Path, *, files: int = 8, unit: str = "person") -> Site:
        """A site whose table these rows are."""
        made = Site.make(folder, self.table(stop=1), unit=unit)
        (folder / "in" / "part-0.parquet").unlink()
        self.write(folder / "in", files=files, id_width=12)
        return made


def same(found: dict[Clique, NDArray[np.int64]], expected: dict[Clique, NDArray[np.int64]]) -> bool:
    return found.keys() == expected.keys() and all(np.array_equal(found[c], expected[c]) for c in expected)
