"""What a mechanism asks after its first answers: a small generated table, and one run of the mechanism over it.

The mechanism gets so much that its estimates are near the truth. What it then chooses from or scores, functions of
earlier answers all of it, is kept, for the real curator to be asked the same again and again.

All columns of the table are equal, and the mechanism's first model has them independent. So a unit more moves the errors
of some pairs up and those of others down, each by all of its weight: an attack can use the whole sensitivity.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Final, cast

import numpy as np
from numpy.typing import NDArray

from spark_dp.audit.desk import Listener, new_curator, silent
from spark_dp.audit.ground import Ground, Marginals, Setting
from spark_dp.mechanisms.catalog import mechanism_named
from spark_dp.mechanisms.workload import Workload
from spark_dp.pipeline.inputs import contribution_of
from spark_dp.privacy.composition import Accounting
from spark_dp.privacy.curator import Curator
from spark_dp.privacy.scoring import Candidate
from spark_dp.schema.domain import Domain

REHEARSAL_RHO: Final = Fraction(300)
COLUMNS, CELLS, ROWS, MAX_ROWS = 3, 3, 120, 5
MAX_CELLS: Final = 10_000

Cell = tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rehearsal:
    """A table, and what a mechanism asked first of it.

    Attributes:
        name: of the table.
        setting: of the run.
        domain: of the table.
        exact: its marginals, the joint one among them.
        choice: the candidates of the first choice; empty where none was made.
        scored: the candidates of the first scoring; empty where there was none.
    """

    name: str
    setting: Setting
    domain: Domain
    exact: Marginals
    choice: tuple[Candidate, ...]
    scored: tuple[Candidate, ...]

    def cells(self) -> Iterator[Cell]:
        """All cells that a unit's rows may share."""
        return itertools.product(*(range(size) for size in self.domain.sizes))

    def declared_with(self, cell: Cell) -> Marginals:
        """Returns the marginals with a unit more in a cell, of all the weight that is declared."""
        counted = {}
        for clique, counts in self.exact.counted.items():
            more = counts.copy()
            more[tuple(cell[self.domain.attributes.index(a)] for a in clique)] += (
                self.exact.contribution.weight
            )
            counted[clique] = more
        return Marginals(counted, self.exact.contribution)

    def counted_with(self, ground: Ground, cell: Cell) -> Marginals:
        """Counts the table with a unit more, more than k rows of it in a cell: bounded by Spark."""
        surplus = 2 * MAX_ROWS + 1
        name = f"{self.name}-and-{'-'.join(map(str, cell))}"
        ground.write(
            name,
            np.concatenate([_codes(), np.tile(cell, (surplus, 1))]),
            np.concatenate([np.arange(ROWS), np.full(surplus, ROWS)]),
        )
        return ground.marginals(ground.run(self.setting, name, name), list(self.exact.counted))

    def heaviest(self, with_unit: Marginals) -> float:
        """Returns what the unit more weighs in rows; exact."""
        names = self.setting.names
        moved = with_unit.counted[names] - self.exact.counted[names]
        return int(np.abs(moved).sum()) / self.exact.contribution.unit


def rehearse(ground: Ground, *, mechanism: str, bounding: str, accounting: Accounting) -> Rehearsal | None:
    """Runs a mechanism once over a table that is generated; None where it only measures.

    Args:
        ground: where.
        mechanism: by its name in the catalog.
        bounding: 'weight' or 'sample'.
        accounting: of the account.
    """
    name = f"{mechanism}-{bounding}-{accounting.value}-rehearsal"
    setting = Setting(
        mechanism=mechanism,
        bounding=bounding,
        accounting=accounting,
        max_rows=MAX_ROWS,
        columns=COLUMNS,
        cells=CELLS,
        rho=REHEARSAL_RHO,
    )
    config = ground.config(setting, name, name)
    domain = config.schema.domain
    plan = mechanism_named(mechanism).plan(
        domain,
        rho=REHEARSAL_RHO,
        contribution=contribution_of(config),
        workload=Workload.of_degree(domain, 2),
        max_cells=MAX_CELLS,
    )
    if all(query.kind == "measure" for query in plan.queries):
        return None
    ground.write(name, _codes(), np.arange(ROWS))
    cliques = list(dict.fromkeys([*plan.countable, setting.names]))
    exact = ground.marginals(ground.run(setting, name, name), cliques)
    listener = Listener(new_curator(ground.folder / f"{name}-once", domain, exact, plan.rho, accounting))
    mechanism_named(mechanism).measure(cast(Curator, listener), plan, silent)
    return Rehearsal(
        name=name,
        setting=setting,
        domain=domain,
        exact=exact,
        choice=listener.choices[0][0] if listener.choices else (),
        scored=listener.scorings[0][0] if listener.scorings else (),
    )


def _codes() -> NDArray[np.int64]:
    return np.tile(np.arange(ROWS)[:, None] % CELLS, (1, COLUMNS))
