"""Curators over generated tables, as many as an audit needs: real ledgers, real answers, real noise."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Final

from spark_dp.audit.ground import DELTA, Marginals, dataset_of
from spark_dp.files import Folder
from spark_dp.privacy.budget import PrivacyBudget
from spark_dp.privacy.composition import Accounting
from spark_dp.privacy.curator import Curator
from spark_dp.privacy.ledger import Ledger, open_account
from spark_dp.privacy.scoring import Candidate, NoisyDistance
from spark_dp.schema.domain import Clique, Domain

MOST_EPSILON: Final = 1e6


def new_curator(
    folder: Path, domain: Domain, source: Marginals, rho: Fraction, accounting: Accounting
) -> Curator:
    """Returns a curator with an account of its own in a folder of its own.

    Args:
        folder: made here.
        domain: of the table.
        source: the generated table's marginals.
        rho: at least this may be spent.
        accounting: in which rho is, and which decides the law of the noise.
    """
    folder.mkdir(parents=True)
    url = f"sqlite:///{folder}/ledger.db"
    neighbours = source.contribution.neighbours
    dataset = dataset_of(accounting)
    open_account(url, dataset, MOST_EPSILON, DELTA, "unit", neighbours, accounting=accounting)
    budget = PrivacyBudget(epsilon=accounting.epsilon(rho, DELTA) * (1 + 1e-6), delta=DELTA)
    account = Ledger.connect(url).begin(dataset, "audit", "0" * 64, budget, "unit", neighbours)
    return Curator(
        domain=domain,
        contribution=source.contribution,
        source=source,
        account=account,
        answers=Folder.open(f"{folder}/answers"),
    )


class Listener:
    """A curator that remembers what it was asked to choose from or to score: estimates of earlier answers, and no count.

    Everything else is the real curator's. A mechanism only uses what is here.
    """

    def __init__(self, curator: Curator) -> None:
        self._curator = curator
        self.choices: list[tuple[tuple[Candidate, ...], Fraction]] = []
        self.scorings: list[tuple[tuple[Candidate, ...], Fraction]] = []

    def __getattr__(self, name: str) -> object:
        return getattr(self._curator, name)

    def select(self, name: str, candidates: Sequence[Candidate], *, rho: Fraction) -> Clique | None:
        self.choices.append((tuple(candidates), rho))
        return self._curator.select(name, candidates, rho=rho)

    def score(
        self, name: str, candidates: Sequence[Candidate], *, rho: Fraction
    ) -> tuple[NoisyDistance, ...]:
        self.scorings.append((tuple(candidates), rho))
        return self._curator.score(name, candidates, rho=rho)


def silent(line: str) -> None:
    """Hears a mechanism's progress."""
