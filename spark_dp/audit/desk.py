"""Curators over generated tables, as many as an audit needs: real ledgers, real answers, real noise."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Final

from spark_dp.audit.ground import DATASET, DELTA, Marginals
from spark_dp.files import Folder
from spark_dp.mechanisms.protocol import MechanismPlan
from spark_dp.privacy.accounting import zcdp_epsilon
from spark_dp.privacy.budget import PrivacyBudget
from spark_dp.privacy.curator import Curator
from spark_dp.privacy.ledger import Ledger, open_account
from spark_dp.privacy.scoring import Candidate
from spark_dp.schema.domain import Clique, Domain

MOST_EPSILON: Final = 1e6


def new_curator(folder: Path, domain: Domain, source: Marginals, rho: Fraction) -> Curator:
    """Returns a curator with an account of its own in a folder of its own.

    Args:
        folder: made here.
        domain: of the table.
        source: the generated table's marginals.
        rho: at least this may be spent.
    """
    folder.mkdir(parents=True)
    url = f"sqlite:///{folder}/ledger.db"
    neighbours = source.contribution.neighbours
    open_account(url, DATASET, MOST_EPSILON, DELTA, "unit", neighbours)
    budget = PrivacyBudget(epsilon=zcdp_epsilon(rho, DELTA) * (1 + 1e-6), delta=DELTA)
    account = Ledger.connect(url).begin(DATASET, "audit", "0" * 64, budget, "unit", neighbours)
    return Curator(
        domain=domain,
        contribution=source.contribution,
        source=source,
        account=account,
        answers=Folder.open(f"{folder}/answers"),
    )


class Listener:
    """A curator that remembers what it was asked to choose from: estimates of earlier answers, and no count.

    Everything else is the real curator's. A mechanism only uses what is here.
    """

    def __init__(self, curator: Curator) -> None:
        self._curator = curator
        self.choices: list[tuple[tuple[Candidate, ...], Fraction]] = []

    def __getattr__(self, name: str) -> object:
        return getattr(self._curator, name)

    def select(self, name: str, candidates: Sequence[Candidate], *, rho: Fraction) -> Clique | None:
        self.choices.append((tuple(candidates), rho))
        return self._curator.select(name, candidates, rho=rho)


def silent(line: str) -> None:
    """Hears a mechanism's progress."""


def rho_for_choices(plan: MechanismPlan, rho: Fraction) -> Fraction | None:
    """Returns what the whole plan must have so that its first choice gets rho; None where it makes none."""
    first = next((query for query in plan.queries if query.kind == "select"), None)
    return None if first is None else plan.rho * rho / first.rho
