"""What the accounting of a plan proves, and what the other one would mean for its noise."""

from __future__ import annotations

import math
from dataclasses import replace
from fractions import Fraction
from typing import Any

from spark_dp.mechanisms.protocol import MechanismPlan
from spark_dp.pipeline.config import RunConfig
from spark_dp.privacy.composition import Accounting, Promise
from spark_dp.privacy.events import PI_ABOVE
from spark_dp.privacy.thresholds import promises_beside


def with_selections_of(plan: MechanismPlan, accounting: Accounting) -> MechanismPlan:
    """Returns the plan with the scale that its selections have in this accounting, where the same rho buys less."""
    if accounting is Accounting.ZCDP:
        return plan
    factor = math.sqrt(PI_ABOVE / 2)
    return replace(
        plan,
        queries=tuple(
            replace(query, stddev=query.stddev * factor) if query.kind == "select" else query
            for query in plan.queries
        ),
    )


def noise_of_other(config: RunConfig, plan: MechanismPlan, accounting: Accounting) -> float:
    """Returns the noise in an account of the other accounting over the noise in this one.

    For measurements and selections of the same proportions: selections cost pi / 2 times as much in Gaussian DP.
    """
    selecting = sum((query.rho for query in plan.queries if query.kind == "select"), Fraction(0)) / plan.rho
    dearer = float(PI_ABOVE / 2 - 1)
    if accounting is Accounting.GAUSSIAN:
        # Of the selections' part, only 2 / pi is charged by zCDP.
        per_noise, other = 1 - float(selecting * (1 - 2 / PI_ABOVE)), Accounting.ZCDP
    else:
        per_noise, other = 1 + float(selecting) * dearer, Accounting.GAUSSIAN
    budget = config.privacy.budget
    return math.sqrt(per_noise * float(budget.rho_in(accounting) / budget.rho_in(other)))


def promises_of(config: RunConfig, accounting: Accounting, rho: Fraction) -> tuple[Promise, ...]:
    """Returns what a run promises at several deltas, its own among them; all of them hold at once."""
    budget = config.privacy.budget
    return promises_beside(accounting, rho, budget.delta, budget.thresholds)


def accounting_facts(
    config: RunConfig, plan: MechanismPlan, accounting: Accounting, rho: Fraction
) -> dict[str, Any]:
    """Returns it JSON-able.

    Args:
        config, plan, accounting: of the run.
        rho: of all its queries, private steps included.
    """
    return {
        **promise_facts(config, accounting, rho),
        "noise_of_other_accounting": noise_of_other(config, plan, accounting),
    }


def promise_facts(config: RunConfig, accounting: Accounting, rho: Fraction) -> dict[str, Any]:
    """Returns the accounting's name, the conversion that is tighter, rho, and the epsilon at several deltas."""
    promises = promises_of(config, accounting, rho)
    return {
        "name": accounting.value,
        "noise": accounting.noise.value,
        "method": next(p.method for p in promises if p.delta == config.privacy.budget.delta),
        "rho": float(rho),
        "promises": [{"delta": p.delta, "epsilon": p.epsilon} for p in promises],
    }
