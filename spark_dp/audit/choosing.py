"""An audit of choosing: how often the exponential mechanism picks what, on two tables that differ in one unit.

A mechanism is run once on a generated table, and what it chooses from first is kept: estimates, biases and weights,
all of them functions of earlier answers. Then the real curator makes that same choice again and again, over the table
and over the table with one unit more, each bounded and counted by Spark. The unit and the choice that is looked for
are those that the declared law says to be told apart best; both are fixed before a draw is made.
"""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Sequence
from fractions import Fraction
from typing import Any, Final, cast

import numpy as np
from numpy.typing import NDArray

from spark_dp.audit.bounds import Errors, limits_of
from spark_dp.audit.desk import Listener, new_curator, rho_for_choices, silent
from spark_dp.audit.findings import Finding
from spark_dp.audit.ground import Ground, Marginals, Setting
from spark_dp.mechanisms.catalog import mechanism_named
from spark_dp.mechanisms.protocol import MechanismPlan
from spark_dp.mechanisms.workload import Workload
from spark_dp.privacy.curator import Curator
from spark_dp.privacy.scoring import Candidate, round_candidates, score
from spark_dp.privacy.selection import epsilon_of_rho
from spark_dp.schema.domain import Clique, Domain

CHOICE_RHO: Final = Fraction(1, 2)
"""epsilon = 2 for the choice."""

COLUMNS, CELLS, ROWS, MAX_ROWS = 3, 3, 120, 5
MAX_CELLS: Final = 10_000
DRAWS_OF_A_RUN: Final = 25

Choice = tuple[tuple[Candidate, ...], Fraction]


def audit_choosing(
    ground: Ground, *, mechanism: str, bounding: str, draws: int, confidence: float
) -> Finding | None:
    """Attacks the first choice of a mechanism; None where it makes none.

    Args:
        ground: where.
        mechanism: by its name in the catalog.
        bounding: 'weight' or 'sample'.
        draws: of each of the two tables.
        confidence: of what is found.
    """
    name = f"{mechanism}-{bounding}-choice"
    setting, plan = _setting(ground, mechanism, bounding)
    if plan is None:
        return None
    domain, names = plan.domain, setting.names
    codes = np.random.default_rng(0).integers(0, CELLS, (ROWS, COLUMNS))
    ground.write(name, codes, np.arange(ROWS))
    cliques = list(dict.fromkeys([*plan.countable, names]))
    exact = ground.marginals(ground.run(setting, name, name), cliques)
    choice = _first_choice(ground, plan, exact, mechanism, name)
    if choice is None:
        return None
    candidates, rho = choice
    cell, event = _most_telling(domain, candidates, exact, rho)

    more = np.concatenate([codes, np.tile(cell, (2 * MAX_ROWS + 1, 1))])
    units = np.concatenate([np.arange(ROWS), np.full(2 * MAX_ROWS + 1, ROWS)])
    ground.write(f"{name}-more", more, units)
    with_unit = ground.marginals(ground.run(setting, f"{name}-more", f"{name}-more"), cliques)
    counts = [
        _frequencies(ground, f"{name}-{case}", domain, source, choice, draws)
        for case, source in (("without", exact), ("with", with_unit))
    ]
    without, with_it = (int(found[event]) for found in counts)
    seen = Errors(false_in=without, out=draws, false_out=draws - with_it, inside=draws)
    mirrored = Errors(false_in=draws - without, out=draws, false_out=with_it, inside=draws)
    limits = limits_of([seen, mirrored], confidence=confidence, delta=0.0)
    moved = with_unit.counted[names] - exact.counted[names]
    return Finding(
        what="choosing",
        mechanism=mechanism,
        bounding=bounding,
        max_rows=MAX_ROWS,
        claimed_mu=None,
        proved_mu=None,
        claimed_epsilon=float(epsilon_of_rho(rho)),
        proved_epsilon=limits.epsilon,
        delta=0.0,
        trials=2 * draws,
        heaviest=int(np.abs(moved).sum()) / exact.contribution.unit,
    )


def _setting(ground: Ground, mechanism: str, bounding: str) -> tuple[Setting, MechanismPlan | None]:
    """Finds out what the mechanism needs in all so that its first choice gets CHOICE_RHO."""

    def of(rho: Fraction) -> Setting:
        return Setting(
            mechanism=mechanism,
            bounding=bounding,
            max_rows=MAX_ROWS,
            columns=COLUMNS,
            cells=CELLS,
            rho=rho,
        )

    def planned(setting: Setting) -> MechanismPlan:
        from spark_dp.pipeline.inputs import contribution_of

        config = ground.config(setting, "none", "none")
        domain = config.schema.domain
        return mechanism_named(mechanism).plan(
            domain,
            rho=setting.rho,
            contribution=contribution_of(config),
            workload=Workload.of_degree(domain, 2),
            max_cells=MAX_CELLS,
        )

    first = of(Fraction(1))
    needed = rho_for_choices(planned(first), CHOICE_RHO)
    if needed is None:
        return first, None
    second = of(needed)
    return second, planned(second)


def _first_choice(
    ground: Ground, plan: MechanismPlan, exact: Marginals, mechanism: str, name: str
) -> Choice | None:
    curator = new_curator(ground.folder / f"{name}-once", plan.domain, exact, plan.rho)
    listener = Listener(curator)
    mechanism_named(mechanism).measure(cast(Curator, listener), plan, silent)
    return listener.choices[0] if listener.choices else None


def _most_telling(
    domain: Domain, candidates: Sequence[Candidate], exact: Marginals, rho: Fraction
) -> tuple[NDArray[np.int64], int]:
    """Returns the cell where one unit more moves the declared law most, and the candidate where it does."""
    contribution = exact.contribution
    before = declared_law(domain, candidates, exact.counted, exact, rho)
    best: tuple[float, tuple[int, ...], int] = (-1.0, (0,) * len(domain), 0)
    for cell in itertools.product(*(range(size) for size in domain.sizes)):
        moved = {}
        for clique, counts in exact.counted.items():
            more = counts.copy()
            more[tuple(cell[domain.attributes.index(a)] for a in clique)] += contribution.weight
            moved[clique] = more
        after = declared_law(domain, candidates, moved, exact, rho)
        gap = np.abs(after - before)
        event = int(np.argmax(gap))
        if gap[event] > best[0]:
            best = (float(gap[event]), cell, event)
    return np.array(best[1], dtype=np.int64), best[2]


def declared_law(
    domain: Domain,
    candidates: Sequence[Candidate],
    counted: dict[Clique, Any],
    exact: Marginals,
    rho: Fraction,
) -> NDArray[np.float64]:
    """Returns the probabilities that the exponential mechanism declares."""
    rounded = round_candidates(candidates, domain, exact.contribution.unit)
    scores = [score(c, None if c.clique is None else counted[c.clique]) for c in rounded]
    sensitivity = exact.contribution.score(max(c.weight for c in rounded))
    rate = epsilon_of_rho(rho) / (2 * sensitivity)
    weights = np.exp([float(rate * (found - max(scores))) for found in scores])
    law: NDArray[np.float64] = weights / weights.sum()
    return law


def _frequencies(
    ground: Ground, name: str, domain: Domain, source: Marginals, choice: Choice, draws: int
) -> NDArray[np.int64]:
    """Returns how often each candidate is chosen: every draw is charged, persisted and read back."""
    candidates, rho = choice
    cliques = [None if c.stops else c.clique for c in candidates]
    found = np.zeros(len(candidates), np.int64)
    for start in range(0, draws, DRAWS_OF_A_RUN):
        folder = ground.folder / f"{name}-{start}"
        now = min(DRAWS_OF_A_RUN, draws - start)
        curator = new_curator(folder, domain, source, now * rho)
        for draw in range(now):
            found[cliques.index(curator.select(f"choice-{draw}", candidates, rho=rho))] += 1
        shutil.rmtree(folder)
    return found
