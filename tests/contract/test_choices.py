"""Every choice that any mechanism makes: no unit makes an event e^epsilon times as likely, whatever its k rows are."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
from desks import BUDGET, Desk
from support.counting import ArraySource, random_codes

from spark_dp.audit.choosing import declared_law
from spark_dp.audit.desk import Listener
from spark_dp.audit.ground import Marginals
from spark_dp.mechanisms.catalog import MECHANISMS
from spark_dp.mechanisms.workload import Workload
from spark_dp.privacy.selection import epsilon_of_rho
from spark_dp.privacy.sensitivity import Contribution, Neighbours
from spark_dp.schema.domain import Domain

DOMAIN = Domain(("a", "b", "c"), (2, 3, 2))
UNIT = 1 << 20
FIVE = Contribution(max_rows=5, unit=UNIT, neighbours=Neighbours.ADD_REMOVE)
CODES = random_codes(DOMAIN, 60, seed=4)


def marginals(cliques, contribution, cell=None) -> Marginals:
    """Of the table, and of five rows of one more unit where a cell is given."""
    codes = CODES if cell is None else np.concatenate([CODES, np.tile(cell, (5, 1))])
    source = ArraySource(DOMAIN, codes, np.full(len(codes), UNIT, dtype=np.int64))
    return Marginals({clique: source.marginal(clique) for clique in cliques}, contribution)


def choices_of(mechanism, folder):
    """What a mechanism chose from, in one run through the real curator; empty where it never chooses."""
    source = ArraySource(DOMAIN, CODES, np.full(len(CODES), UNIT, dtype=np.int64))
    plan = mechanism.plan(
        DOMAIN,
        rho=BUDGET.rho,
        contribution=FIVE,
        workload=Workload.of_degree(DOMAIN, 2),
        max_cells=1000,
    )
    listener = Listener(Desk(folder, FIVE).curator(source))
    mechanism.measure(listener, plan, lambda line: None)
    return listener.choices


def worst_loss(candidates, rho, contribution=FIVE) -> float:
    """The largest logarithm of a ratio of probabilities, over all units of five equal rows and all events."""
    cliques = [c.clique for c in candidates if not c.stops]

    def law(cell=None):
        exact = marginals(cliques, contribution, cell)
        return declared_law(DOMAIN, candidates, exact.counted, exact, epsilon_of_rho(rho))

    without = law()
    cells = itertools.product(*(range(size) for size in DOMAIN.sizes))
    return max(float(np.abs(np.log(law(cell)) - np.log(without)).max()) for cell in cells)


@pytest.mark.parametrize("mechanism", MECHANISMS.values(), ids=MECHANISMS.keys())
def test_no_unit_of_k_rows_moves_a_choice_by_more_than_its_epsilon(mechanism, tmp_path):
    for candidates, rho in choices_of(mechanism, tmp_path):
        assert worst_loss(candidates, rho) <= float(epsilon_of_rho(rho)) * (1 + 1e-9)


def test_a_choice_that_ignores_k_would_be_noticed(tmp_path):
    candidates, rho = choices_of(MECHANISMS["mst"], tmp_path)[0]
    assert worst_loss(candidates, rho, replace(FIVE, max_rows=1)) > float(epsilon_of_rho(rho))
