"""Where an audit takes place: a folder that is thrown away, with generated tables and accounts of its own."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from spark_dp.pipeline.config import RunConfig, parse_config
from spark_dp.pipeline.inputs import contribution_of, open_input
from spark_dp.pipeline.progress import Progress
from spark_dp.pipeline.run import Run
from spark_dp.privacy.accounting import mu_of_rho
from spark_dp.privacy.budget import PrivacyBudget
from spark_dp.privacy.composition import Accounting
from spark_dp.privacy.ledger import open_account
from spark_dp.privacy.sensitivity import Contribution, Neighbours
from spark_dp.schema.domain import Clique
from spark_dp.spark.counting import SparkMarginals

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

DELTA: Final = 1e-5
_MEMORY: Final = "/dev/shm"  # thousands of ledgers, each forced to its disk
FILES: Final = 8
"""A unit's rows lie in several of them, and so in several partitions."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What is audited.

    Attributes:
        mechanism: by its name in the catalog.
        bounding: 'weight' or 'sample'.
        accounting: of the account that is charged.
        max_rows: k.
        columns: how many; each holds whole numbers in [0, cells).
        cells: of each column.
        rho: that the mechanism gets, in that accounting.
    """

    mechanism: str
    bounding: str
    accounting: Accounting
    max_rows: int
    columns: int
    cells: int
    rho: Fraction

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(f"c{i}" for i in range(self.columns))

    @property
    def budget(self) -> PrivacyBudget:
        """The (epsilon, delta) that pays for rho, to a billionth of it."""
        return PrivacyBudget(epsilon=self.accounting.epsilon(self.rho, DELTA), delta=DELTA)

    @property
    def paid(self) -> Fraction:
        """The rho that a run with this budget reserves."""
        return self.budget.rho_in(self.accounting)

    @property
    def mu(self) -> float:
        """The claim as Gaussian-DP: exact in the Gaussian accounting, and nearly so of discrete noise at this scale."""
        return mu_of_rho(self.paid)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """A folder with a ledger, tables and runs, and Spark.

    Attributes:
        folder: thrown away at the end.
        session: the caller's; where None, runs start it or find it.
        progress: told what is done.
    """

    folder: Path
    session: SparkSession | None
    progress: Progress

    @property
    def ledger(self) -> str:
        return f"sqlite:///{self.folder}/ledger.db"

    def write(self, name: str, codes: NDArray[np.int64], units: NDArray[np.int64]) -> Path:
        """Writes a table, its rows in random order and cut into files.

        Args:
            name: of the table.
            codes: shape (rows, columns).
            units: of each row, shape (rows,).
        """
        place = self.folder / name
        place.mkdir()
        columns = {f"c{i}": pa.array(codes[:, i].astype(np.int32)) for i in range(codes.shape[1])}
        table = pa.table({"unit": pa.array(units), **columns})
        order = np.array_split(np.random.default_rng(0).permutation(len(units)), FILES)
        for number, rows in enumerate(order):
            part = table.take(pa.array(rows))
            pq.write_table(part, place / f"part-{number}.parquet")
        return place

    def config(self, setting: Setting, table: str, key: str) -> RunConfig:
        """Returns the configuration of a run on a table that was written, as a user would write it."""
        columns = "\n".join(
            f"  {name}: {{type: integer, min: 0, max: {setting.cells - 1}}}" for name in setting.names
        )
        budget = setting.budget
        return parse_config(
            f"""
input: {{path: "{self.folder}/{table}"}}
output: {{path: "{self.folder}/out"}}
privacy:
  epsilon: {budget.epsilon!r}
  delta: {budget.delta!r}
  unit: {{column: unit, max_rows: {setting.max_rows}, bounding: {setting.bounding}}}
  ledger: "{self.ledger}"
  dataset: {dataset_of(setting.accounting)}
schema:
{columns}
mechanism: {{name: {setting.mechanism}}}
run: {{directory: "{self.folder}/runs", key: {key}}}
spark: {{spark.ui.enabled: "false", spark.sql.shuffle.partitions: "{FILES}"}}
"""
        )

    def run(self, setting: Setting, table: str, key: str) -> Run:
        """Returns a run that is ready for its stages."""
        return Run(self.config(setting, table, key), Progress(None), session=self.session)

    def marginals(self, run: Run, cliques: Sequence[Clique]) -> Marginals:
        """Counts a generated table as a run would: bounded by Spark, exact. Never anybody's own table."""
        config = run.config
        contribution = contribution_of(config)
        opened = open_input(run.spark(), config)
        try:
            source = SparkMarginals(
                config.schema.domain,
                cliques,
                lambda: opened.bounded_pass("audit"),
                weight=contribution.weight,
            )
            counted = dict(source.count(cliques))
        finally:
            opened.release()
        return Marginals(counted, contribution)


@dataclass(frozen=True, slots=True)
class Marginals:
    """Exact marginals of a generated table; a curator's source."""

    counted: dict[Clique, NDArray[np.int64]]
    contribution: Contribution

    def count(self, cliques: Sequence[Clique]) -> dict[Clique, NDArray[np.int64]]:
        return {clique: self.counted[clique] for clique in cliques}


def dataset_of(accounting: Accounting) -> str:
    """Returns the account of that accounting."""
    return f"audit-{accounting.value}"


@contextmanager
def ground(session: SparkSession | None, progress: Progress) -> Iterator[Ground]:
    """Opens an account of each accounting in a folder of its own, and deletes all of it in the end."""
    memory = _MEMORY if os.access(_MEMORY, os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="spark-dp-audit-", dir=memory) as folder:
        made = Ground(folder=Path(folder), session=session, progress=progress)
        for accounting in Accounting:
            open_account(
                made.ledger,
                dataset_of(accounting),
                10_000.0,
                DELTA,
                "unit",
                Neighbours.ADD_REMOVE,
                accounting=accounting,
            )
        yield made
