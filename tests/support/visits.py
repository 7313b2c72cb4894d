"""A small table of visits, of the kinds of columns that people have, and a configuration for it."""

from __future__ import annotations

import datetime as dt
import decimal
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from spark_dp.pipeline.config import RunConfig, parse_config
from spark_dp.pipeline.progress import Progress
from spark_dp.pipeline.run import Run
from spark_dp.privacy.account_views import AccountView
from spark_dp.privacy.ledger import Ledger, open_account
from spark_dp.privacy.sensitivity import Neighbours

EPSILON, DELTA = 2.0, 1e-7
TYPES = {
    "person": pa.string(),
    "ward": pa.string(),
    "age": pa.int32(),
    "cost": pa.decimal128(10, 2),
    "score": pa.float64(),
    "visited": pa.date32(),
    "at": pa.timestamp("us", "UTC"),
    "urgent": pa.bool_(),
}
SCHEMA = """
  ward:    {type: string, values: [A, B, C], other: elsewhere}
  age:     {type: integer, min: 0, max: 110, bins: 11, nullable: true}
  cost:    {type: "decimal(10,2)", min: 0, max: 1000, bins: 10}
  score:   {type: double, min: 0, max: 1, bins: 5, nan: "null", nullable: true}
  visited: {type: date, min: 2024-01-01, max: 2024-12-31, bins: 12}
  at:      {type: timestamp, timezone: Europe/Berlin, min: 2024-01-01, max: 2025-01-01, bins: 12}
  urgent:  {type: boolean}
"""


def visits(rows: int = 3000, persons: int = 200, seed: int = 1) -> pa.Table:
    """Draws visits; a few persons have most of them."""
    rng = np.random.default_rng(seed)
    day = dt.date(2024, 1, 1)
    who = np.minimum(rng.geometric(3 / persons, rows), persons)
    days = rng.integers(0, 366, rows)
    ages = rng.integers(0, 100, rows)
    columns: dict[str, list[Any]] = {
        "person": [None if p == 3 else f"p{p}" for p in who],
        "ward": [("A", "B", "C", "D")[w] for w in np.minimum(ages // 30, 3)],
        "age": [None if a == 7 else int(a) for a in ages],
        "cost": [decimal.Decimal(int(c)).scaleb(-2) for c in rng.integers(0, 120_000, rows)],
        "score": [float("nan") if s > 0.98 else float(s) for s in rng.random(rows)],
        "visited": [day + dt.timedelta(days=int(d)) for d in days],
        "at": [dt.datetime(2024, 1, 1, 12, tzinfo=dt.UTC) + dt.timedelta(days=int(d)) for d in days],
        "urgent": [bool(u) for u in rng.random(rows) < 0.2],
    }
    return pa.table({name: pa.array(values, TYPES[name]) for name, values in columns.items()})


@dataclass(frozen=True)
class Site:
    """A folder with a table, an account and a configuration."""

    folder: Path

    @classmethod
    def make(
        cls,
        folder: Path,
        table: pa.Table | None = None,
        *,
        epsilon: float = EPSILON,
        unit: str = "person",
        thresholds: float = 0,
    ) -> Site:
        site = cls(folder)
        site.write(visits() if table is None else table)
        open_account(
            site.ledger, "visits", epsilon, DELTA, unit, Neighbours.ADD_REMOVE, thresholds=thresholds
        )
        return site

    def write(self, table: pa.Table) -> None:
        (self.folder / "in").mkdir(parents=True, exist_ok=True)
        pq.write_table(table, self.folder / "in" / "part-0.parquet")

    @property
    def ledger(self) -> str:
        return f"sqlite:///{self.folder}/ledger.db"

    @property
    def output(self) -> Path:
        return self.folder / "out"

    @property
    def run_folder(self) -> Path:
        return self.folder / "runs" / "first"

    def text(self, schema: str = SCHEMA, unit: str = "{column: person, max_rows: 10}") -> str:
        return f"""
input: {{path: {self.folder}/in}}
output: {{path: {self.folder}/out}}
privacy:
  epsilon: {EPSILON}
  delta: {DELTA}
  unit: {unit}
  ledger: {self.ledger}
  dataset: visits
schema:{schema}
run: {{directory: {self.folder}/runs, key: first, seed: 5}}
spark: {{spark.master: "local[2]", spark.ui.enabled: "false", spark.sql.shuffle.partitions: "2"}}
"""

    def config(self, *overrides: str, **parts: str) -> RunConfig:
        return parse_config(self.text(**parts), overrides)

    def config_file(self, **parts: str) -> Path:
        file = self.folder / "visits.yaml"
        file.write_text(self.text(**parts))
        return file

    def run(self, session: Any, *overrides: str, **parts: str) -> Run:
        return Run(self.config(*overrides, **parts), Progress(None), session=session)

    def account(self) -> AccountView:
        return Ledger.connect(self.ledger).show("visits")

    def charges(self) -> int:
        """How many runs the account paid for."""
        return sum(run.status != "voided" for run in Ledger.connect(self.ledger).history("visits"))

    def released(self) -> dict[str, bytes]:
        """The bytes of all that the run released, by name."""
        root = self.run_folder / "released"
        return {str(p.relative_to(root)): p.read_bytes() for p in sorted(root.rglob("*")) if p.is_file()}

    def synthetic(self) -> pa.Table:
        return pq.ParquetDataset(self.output).read()
