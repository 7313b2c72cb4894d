"""What every mechanism must do with combinations that no row may have."""

from __future__ import annotations

import tempfile
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from desks import BUDGET, ONE_ROW, Desk, spent
from hypothesis import given, settings
from hypothesis import strategies as st
from support.counting import ArraySource, random_codes

from spark_dp.errors import DomainTooLargeError
from spark_dp.graphical.estimation import estimate
from spark_dp.graphical.junction_tree import build_junction_tree
from spark_dp.graphical.sampling import SamplingPlan, sample
from spark_dp.graphical.zeros import StructuralZeros
from spark_dp.mechanisms.automatic import advise
from spark_dp.mechanisms.catalog import MECHANISMS
from spark_dp.mechanisms.workload import Workload
from spark_dp.schema.domain import Domain

DOMAIN = Domain(tuple("abcdef"), (2, 3, 4, 3, 2, 5))
PAIRS = list(combinations(DOMAIN.attributes, 2))
TRIPLES = list(combinations(DOMAIN.attributes, 3))
every_mechanism = pytest.mark.parametrize("mechanism", MECHANISMS.values(), ids=MECHANISMS.keys())


def no_first_cell(clique) -> StructuralZeros:
    """Forbids the last cell of every column together."""
    forbidden = np.zeros(DOMAIN.shape(clique), dtype=bool)
    forbidden.flat[-1] = True
    return StructuralZeros(clique=tuple(reversed(clique)), forbidden=forbidden.T)


def plan_for(mechanism, zeros, max_cells, degree=2):
    workload = Workload.of_degree(DOMAIN, degree)
    return mechanism.plan(
        DOMAIN, rho=BUDGET.rho, contribution=ONE_ROW, workload=workload, max_cells=max_cells, zeros=zeros
    )


def run(mechanism, plan, rows=4000):
    source = ArraySource(DOMAIN, random_codes(DOMAIN, rows, seed=4))
    with tempfile.TemporaryDirectory() as folder:
        curator = Desk(Path(folder)).curator(source)
        measurements = mechanism.measure(curator, plan, lambda _: None)
        assert spent(curator) <= BUDGET.rho
    assert set(source.asked) <= set(plan.countable)
    return measurements


@every_mechanism
@pytest.mark.parametrize("degree", [2, 3])
def test_no_row_of_any_mechanism_is_in_a_forbidden_cell(mechanism, degree):
    zeros = (no_first_cell(("a", "f")), no_first_cell(("b", "c", "d")), no_first_cell(("d", "f")))
    plan = plan_for(mechanism, zeros, 10_000, degree)
    assert plan.zeros == zeros
    model = estimate(DOMAIN, run(mechanism, plan), max_cells=plan.max_cells, zeros=plan.zeros).model
    drawn = sample(SamplingPlan.from_model(model), 20_000, np.random.PCG64(1))
    for zero in zeros:
        assert not zero.forbidden[tuple(drawn[a] for a in zero.clique)].any()
        assert all(len(np.unique(drawn[a])) == DOMAIN.size(a) for a in zero.clique)


@every_mechanism
@given(
    bound=st.lists(st.sampled_from(PAIRS + TRIPLES), min_size=1, max_size=5, unique=True),
    room=st.integers(0, 60),
    degree=st.integers(1, 3),
)
@settings(max_examples=3, deadline=None)
def test_what_is_measured_fits_the_model_together_with_every_constraint(mechanism, bound, room, degree):
    zeros = tuple(no_first_cell(clique) for clique in bound)
    max_cells = build_junction_tree(DOMAIN, bound, max_cells=10**6).cells + room
    plan = plan_for(mechanism, zeros, max_cells, degree)
    held = [*(m.clique for m in run(mechanism, plan, rows=50_000)), *bound]
    assert build_junction_tree(DOMAIN, held, max_cells=max_cells).cells <= max_cells
    with pytest.raises(DomainTooLargeError, match="Nothing was spent"):
        plan_for(mechanism, zeros, max_cells - room - 1, degree)


def test_a_pair_that_a_constraint_holds_already_needs_no_room():
    zeros = (no_first_cell(("c", "f")),)
    cells = build_junction_tree(DOMAIN, [("c", "f")], max_cells=10**6).cells
    for mechanism in (MECHANISMS["mst"], MECHANISMS["aim"], MECHANISMS["oneshot"]):
        plan = plan_for(mechanism, zeros, cells)
        # Nothing else fits, but for pairs whose cells are no more than the two columns have by themselves.
        assert ("c", "f") in plan.countable
        assert ("b", "d") not in plan.countable
        found = {m.clique for m in run(mechanism, plan, rows=50_000)}
        assert ("c", "f") in found


def test_auto_counts_the_constraints():
    zeros = (no_first_cell(("c", "f")),)
    cells = build_junction_tree(DOMAIN, [("c", "f")], max_cells=10**6).cells
    chosen = [
        advise(
            DOMAIN,
            rho=BUDGET.rho,
            contribution=ONE_ROW,
            workload=Workload.of_cliques(DOMAIN, [(("b", "d"), 1)]),
            max_cells=cells,
            expected_rows=None,
            zeros=found,
        ).mechanism.name
        for found in ((), zeros)
    ]
    assert chosen == ["oneshot", "independent"]
