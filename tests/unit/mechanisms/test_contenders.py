"""What a round of AIM may choose from, against sizes that are worked out anew each time."""

from __future__ import annotations

from fractions import Fraction
from itertools import combinations

import numpy as np
from hypothesis import example, given, settings
from hypothesis import strategies as st
from support.noise import noisy_marginals

from spark_dp.graphical.estimation import estimate
from spark_dp.graphical.triangulation import Triangulation
from spark_dp.graphical.zeros import StructuralZeros
from spark_dp.mechanisms.aim import AIM, importances
from spark_dp.mechanisms.contenders import Contenders
from spark_dp.mechanisms.workload import Workload
from spark_dp.privacy.sensitivity import Contribution, Neighbours
from spark_dp.schema.domain import Domain

ONE_ROW = Contribution(max_rows=1, unit=1, neighbours=Neighbours.ADD_REMOVE)
DOMAIN = Domain(tuple("abcdef"), (2, 3, 2, 4, 1, 3))
COLUMNS = [(a,) for a in DOMAIN]
GROUPS = [c for n in (2, 3) for c in combinations(DOMAIN.attributes, n)]


def contenders(max_cells=10_000, *, compared_cells=10**6, zeros=()):
    workload = Workload.of_degree(DOMAIN, 3)
    plan = AIM().plan(
        DOMAIN, rho=Fraction(1), contribution=ONE_ROW, workload=workload, max_cells=max_cells, zeros=zeros
    )
    found = Contenders(plan, importances(workload, GROUPS), compared_cells=compared_cells)
    return plan, found


def size_anew(cliques):
    return sum(map(DOMAIN.cells, Triangulation(DOMAIN, cliques).nodes(restarts=0)))


@settings(max_examples=60, deadline=None)
@given(
    rounds=st.lists(st.tuples(st.sampled_from(GROUPS), st.integers(15, 150)), min_size=1, max_size=5),
    forbids=st.booleans(),
)
@example(rounds=[(("a", "b"), 15), (("a", "b"), 16), (("a", "d", "e"), 22), (("a", "b"), 19)], forbids=True)
def test_what_fits_is_what_fits_when_every_size_is_worked_out_anew(rounds, forbids):
    zeros = ()
    if forbids:
        zeros = (StructuralZeros(clique=("a", "d"), forbidden=np.eye(2, 4, dtype=bool)),)
    plan, found = contenders(150, zeros=zeros)
    measured, least = noisy_marginals(DOMAIN, COLUMNS, 500.0, 5.0, 1), dict.fromkeys(GROUPS, 0)
    for chosen, limit in rounds:
        held = [*(m.clique for m in measured), *(zero.clique for zero in zeros)]
        model = estimate(DOMAIN, measured, max_cells=10_000, zeros=zeros)
        asked = {c.clique for c in found.candidates(model, measured, 5.0, limit)}
        nodes = [set(node) for node in Triangulation(DOMAIN, held).nodes(restarts=0)]
        for clique in GROUPS:
            allowed = plan.max_cells if any(set(clique) <= node for node in nodes) else limit
            if least[clique] > allowed:
                assert clique not in asked
                continue
            cells = size_anew([*held, clique])
            least[clique] = cells if cells > allowed else 0
            assert (clique in asked) == (cells <= allowed)
        measured = [*measured, *noisy_marginals(DOMAIN, [chosen], 500.0, 5.0, 2)]


def test_estimates_are_the_models_marginals_and_a_bias_is_less_where_something_is_known():
    _, found = contenders()
    measured = noisy_marginals(DOMAIN, [*COLUMNS, ("a", "b")], 500.0, 5.0, 1)
    fitted = estimate(DOMAIN, measured, max_cells=10_000)
    candidates = {c.clique: c for c in found.candidates(fitted, measured, 5.0, 10_000)}
    assert set(candidates) == set(GROUPS)
    for clique, candidate in candidates.items():
        assert np.allclose(candidate.estimate, fitted.model.marginal(clique))
    assert candidates["a", "b"].bias < 0.9 * candidates["b", "c"].bias


def test_the_largest_are_left_out_where_a_round_would_compare_too_much_or_noise_is_all_there_is():
    measured = noisy_marginals(DOMAIN, COLUMNS, 500.0, 5.0, 1)
    fitted = estimate(DOMAIN, measured, max_cells=10_000)

    def cells(sigma, compared_cells):
        _, found = contenders(compared_cells=compared_cells)
        return [DOMAIN.cells(c.clique) for c in found.candidates(fitted, measured, sigma, 10_000)]

    everything = sorted(map(DOMAIN.cells, GROUPS))
    few = sorted(cells(5.0, 60))
    assert few == everything[: len(few)]
    assert 60 - everything[len(few)] < sum(few) <= 60
    assert max(cells(200.0, 10**6)) < max(everything)
    assert sorted(cells(5.0, 10**6)) == everything
