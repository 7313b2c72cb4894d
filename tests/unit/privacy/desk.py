"""A small table behind a real ledger and a real folder, and ways to make each step fail."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from spark_dp.files import Folder
from spark_dp.privacy.account_views import AccountView
from spark_dp.privacy.answers import Blobs
from spark_dp.privacy.budget import PrivacyBudget
from spark_dp.privacy.composition import Accounting
from spark_dp.privacy.curator import Curator, MarginalSource
from spark_dp.privacy.entropy import OS_ENTROPY, Entropy
from spark_dp.privacy.leases import Waiting
from spark_dp.privacy.ledger import Ledger, open_account
from spark_dp.privacy.ledger_chain import Head
from spark_dp.privacy.run_account import RunAccount
from spark_dp.privacy.sensitivity import Contribution, Neighbours
from spark_dp.schema.domain import Clique, Domain

DATASET = "flights"
UNIT = "tailnum"
DIGEST = "0" * 64
DOMAIN = Domain(("a", "b", "c"), (2, 3, 4))
BUDGET = PrivacyBudget(epsilon=1.0, delta=1e-9)
ONE_ROW = Contribution(max_rows=1, unit=1, neighbours=Neighbours.ADD_REMOVE)


class CrashError(Exception):
    """The driver is killed here."""


class Table:
    """A full joint table, marginalised on demand; remembers what was asked."""

    def __init__(self, joint: NDArray[np.int64], domain: Domain = DOMAIN) -> None:
        self.joint = joint
        self.domain = domain
        self.asked: list[tuple[Clique, ...]] = []
        self.crash = False

    def count(self, cliques: Sequence[Clique]) -> dict[Clique, NDArray[np.int64]]:
        self.asked.append(tuple(cliques))
        if self.crash:
            raise CrashError
        return {clique: self.marginal(clique) for clique in cliques}

    def marginal(self, clique: Clique) -> NDArray[np.int64]:
        axes = [self.domain.attributes.index(attribute) for attribute in clique]
        others = tuple(i for i in range(len(self.domain)) if i not in axes)
        summed = np.asarray(self.joint.sum(axis=others))
        return np.asarray(summed.transpose(np.argsort(np.argsort(axes))), dtype=np.int64)


class FailingBlobs:
    """A real folder in which one step crashes: the n-th write or read of a name with a prefix."""

    def __init__(self, inner: Blobs, step: str, prefix: str) -> None:
        self.inner, self.step, self.prefix = inner, step, prefix

    def read(self, name: str) -> bytes | None:
        content = self.inner.read(name)
        if self.step == "read" and name.startswith(self.prefix) and content is not None:
            raise CrashError
        return content

    def write(self, name: str, content: bytes) -> None:
        if self.step == "before write" and name.startswith(self.prefix):
            raise CrashError
        self.inner.write(name, content)
        if self.step == "after write" and name.startswith(self.prefix):
            raise CrashError

    def exists(self, name: str) -> bool:
        return self.inner.exists(name)


class Desk:
    """An opened account with a folder for runs."""

    def __init__(
        self,
        folder: Path,
        url: str | None = None,
        *,
        opened: bool = False,
        accounting: Accounting = Accounting.ZCDP,
        thresholds: Fraction = Fraction(0),
    ) -> None:
        """Opens an account in an empty database, or comes to one that another process has opened."""
        self.folder = folder
        self.accounting = accounting
        self.thresholds = thresholds
        self.file = folder / "ledger.db"
        self.url = f"sqlite:///{self.file}" if url is None else url
        self.table = Table(np.arange(24, dtype=np.int64).reshape(2, 3, 4) * 10)
        self.account = self.ledger.show(DATASET) if opened else self.open(DATASET, 10.0)

    def open(self, dataset: str, epsilon: float, *, releases: int | None = None) -> AccountView:
        return open_account(
            self.url,
            dataset,
            epsilon,
            1e-6,
            UNIT,
            Neighbours.ADD_REMOVE,
            releases=releases,
            accounting=self.accounting,
            thresholds=self.thresholds,
        )

    def alter(self, statement: str, *values: object) -> None:
        """Changes the database behind the ledger's back; foreign keys do not hinder it."""
        engine = sa.create_engine(self.url, poolclass=sa.NullPool)
        with engine.begin() as connection:
            if engine.dialect.name == "postgresql":
                connection.exec_driver_sql("SET session_replication_role = replica")
                statement = statement.replace("?", "%s")
            changed = connection.exec_driver_sql(statement, values)
            assert changed.rowcount != 0

    @property
    def ledger(self) -> Ledger:
        return Ledger.connect(self.url)

    def begin(
        self,
        key: str = "2013-W01",
        budget: PrivacyBudget = BUDGET,
        *,
        dataset: str = DATASET,
        place: str | None = None,
        seen_head: Head | None = None,
        lease: float | None = None,
        waiting: Callable[[Waiting], None] = lambda _: None,
    ) -> RunAccount:
        return self.ledger.begin(
            dataset,
            key,
            DIGEST,
            budget,
            UNIT,
            Neighbours.ADD_REMOVE,
            place=place,
            seen_head=seen_head,
            lease=lease,
            waiting=waiting,
        )

    def blobs(self, key: str = "2013-W01") -> Folder:
        return Folder.open(str(self.folder / key))

    def files(self, kind: str, key: str = "2013-W01") -> list[Path]:
        return sorted((self.folder / key / kind).glob("*.npz"))

    def curator(
        self,
        key: str = "2013-W01",
        *,
        source: MarginalSource | None = None,
        blobs: Blobs | None = None,
        domain: Domain = DOMAIN,
        contribution: Contribution = ONE_ROW,
        entropy: Entropy = OS_ENTROPY,
        account: RunAccount | None = None,
    ) -> Curator:
        return Curator(
            domain=domain,
            contribution=contribution,
            source=self.table if source is None else source,
            account=self.begin(key) if account is None else account,
            answers=self.blobs(key) if blobs is None else blobs,
            entropy=entropy,
        )

    def spent(self) -> Fraction:
        return self.ledger.show(DATASET).spent_rho
