"""An audit of whole fits: many models of one small table, and of the same table with one unit more.

What is attacked is all that a mechanism does: its measurements, its choices and the model fitted to them, each time with
an account of its own. The score is the model's own count in the cell of that unit, which is what a reader of the
synthetic table sees. Half of the fits only choose the threshold; the other half are judged at it.
"""

from __future__ import annotations

import shutil
from fractions import Fraction
from typing import Final

import numpy as np
from numpy.typing import NDArray

from spark_dp.audit.bounds import errors_at, limits_of
from spark_dp.audit.desk import new_curator, silent
from spark_dp.audit.findings import Finding
from spark_dp.audit.ground import Ground, Marginals, Setting
from spark_dp.graphical.estimation import estimate
from spark_dp.mechanisms.catalog import mechanism_named
from spark_dp.mechanisms.protocol import MechanismPlan
from spark_dp.mechanisms.workload import Workload
from spark_dp.privacy.composition import Accounting

RHO: Final = Fraction(1, 2)
COLUMNS, CELLS, ROWS, MAX_ROWS, MAX_CELLS = 2, 2, 40, 3, 1_000


def audit_fit(
    ground: Ground, *, mechanism: str, bounding: str, accounting: Accounting, fits: int, confidence: float
) -> Finding:
    """Attacks whole fits of one mechanism.

    Args:
        ground: where.
        mechanism: by its name in the catalog.
        bounding: 'weight' or 'sample'.
        accounting: of the accounts.
        fits: of both tables together, at least 8.
        confidence: of what is found.
    """
    name = f"{mechanism}-{bounding}-{accounting.value}-fits"
    setting = Setting(
        mechanism=mechanism,
        bounding=bounding,
        accounting=accounting,
        max_rows=MAX_ROWS,
        columns=COLUMNS,
        cells=CELLS,
        rho=RHO,
    )
    codes = np.tile([[0, 0], [0, 1], [1, 0], [1, 1]], (ROWS // 4, 1))
    surplus = 2 * MAX_ROWS + 1
    ground.write(name, codes, np.arange(ROWS))
    ground.write(
        f"{name}-more",
        np.concatenate([codes, np.zeros((surplus, COLUMNS), np.int64)]),
        np.concatenate([np.arange(ROWS), np.full(surplus, ROWS)]),
    )
    cliques = [*((column,) for column in setting.names), setting.names]
    tables = [ground.marginals(ground.run(setting, t, t), cliques) for t in (name, f"{name}-more")]
    domain = ground.config(setting, name, name).schema.domain
    plan = mechanism_named(mechanism).plan(
        domain,
        rho=setting.paid,
        contribution=tables[0].contribution,
        workload=Workload.of_degree(domain, 2),
        max_cells=MAX_CELLS,
    )
    inside = np.arange(fits) % 2 == 1
    scores = np.array(
        [_fitted(ground, f"{name}-{i}", plan, tables[int(inside[i])], setting) for i in range(fits)]
    )
    limits = limits_of(
        [
            errors_at(
                scores[fits // 2 :], inside[fits // 2 :], _best(scores[: fits // 2], inside[: fits // 2])
            )
        ],
        confidence=confidence,
        delta=setting.budget.delta,
    )
    moved = tables[1].counted[setting.names] - tables[0].counted[setting.names]
    return Finding(
        what="fitting",
        mechanism=mechanism,
        accounting=accounting.value,
        bounding=bounding,
        max_rows=MAX_ROWS,
        claimed_mu=setting.mu,
        proved_mu=limits.mu,
        claimed_epsilon=setting.budget.epsilon,
        proved_epsilon=limits.epsilon,
        delta=setting.budget.delta,
        trials=fits,
        heaviest=int(np.abs(moved).sum()) / tables[0].contribution.unit,
    )


def _fitted(ground: Ground, name: str, plan: MechanismPlan, source: Marginals, setting: Setting) -> float:
    folder = ground.folder / name
    curator = new_curator(folder, plan.domain, source, plan.rho, setting.accounting)
    measured = mechanism_named(setting.mechanism).measure(curator, plan, silent)
    model = estimate(plan.domain, measured, max_cells=plan.max_cells).model
    shutil.rmtree(folder)
    return float(model.marginal(plan.domain.attributes)[(0,) * len(plan.domain)])


def _best(scores: NDArray[np.float64], inside: NDArray[np.bool_]) -> float:
    """Returns the threshold with the least errors among these scores."""
    tried = np.unique(scores)
    wrong = [(e := errors_at(scores, inside, float(at))).false_in + e.false_out for at in tried]
    return float(tried[int(np.argmin(wrong))])
