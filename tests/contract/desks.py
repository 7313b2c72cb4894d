"""Real curators over small tables: a ledger in a file, answers in a folder."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

from support.counting import ArraySource

from spark_dp.files import Folder
from spark_dp.privacy.budget import PrivacyBudget
from spark_dp.privacy.composition import Accounting
from spark_dp.privacy.curator import Curator
from spark_dp.privacy.ledger import Ledger, open_account
from spark_dp.privacy.sensitivity import Contribution, Neighbours

BUDGET = PrivacyBudget(epsilon=1.0, delta=1e-9)
ONE_ROW = Contribution(max_rows=1, unit=1, neighbours=Neighbours.ADD_REMOVE)


class Desk:
    """An account in a folder; each curator made with the same key is another driver of the same run."""

    def __init__(
        self,
        folder: Path,
        contribution: Contribution = ONE_ROW,
        accounting: Accounting = Accounting.ZCDP,
    ) -> None:
        self.folder = folder
        self.contribution = contribution
        self.url = f"sqlite:///{folder / 'ledger.db'}"
        open_account(
            self.url, "people", 1000.0, 1e-6, "person", contribution.neighbours, accounting=accounting
        )

    def curator(self, source: ArraySource, key: str = "run", budget: PrivacyBudget = BUDGET) -> Curator:
        account = Ledger.connect(self.url).begin(
            "people", key, "0" * 64, budget, "person", self.contribution.neighbours
        )
        return Curator(
            domain=source.domain,
            contribution=self.contribution,
            source=source,
            account=account,
            answers=Folder.open(str(self.folder / key)),
        )


def spent(curator: Curator, budget: PrivacyBudget = BUDGET) -> Fraction:
    return budget.rho_in(curator.accounting) - curator.remaining
