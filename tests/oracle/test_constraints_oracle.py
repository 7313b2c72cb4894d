"""Structural zeros in several cliques at once, from the estimate to the rows, against the joint table."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.noise import noisy_marginals

from spark_dp.errors import ConfigurationError, InternalError
from spark_dp.graphical.estimation import estimate
from spark_dp.graphical.junction_tree import JunctionTree
from spark_dp.graphical.model import GraphicalModel
from spark_dp.graphical.sampling import MAX_CHUNK_ROWS, SamplingPlan, SamplingStep, sample
from spark_dp.graphical.zeros import StructuralZeros, possible_values
from spark_dp.schema.domain import Domain

DOMAIN = Domain(("a", "b", "c", "d", "e"), (2, 3, 1, 4, 2))
SUBSETS = [c for n in range(1, 4) for c in combinations(DOMAIN.attributes, n)]
BOUND = [c for c in SUBSETS if len(c) > 1 and DOMAIN.cells(c) > 1]
SEEDS = st.integers(0, 10**6)
CLIQUES = st.lists(st.sampled_from(SUBSETS), max_size=5)
FORBIDDEN = st.lists(st.sampled_from(BOUND), min_size=1, max_size=4)


def some_zeros(cliques, seed, part):
    """Draws forbidden cells, axes in any order, and the joint table of what they leave."""
    random = np.random.default_rng(seed)
    allowed, zeros = np.ones(DOMAIN.sizes, dtype=bool), []
    for clique in cliques:
        turned = tuple(random.permutation(clique))
        table = random.random(DOMAIN.shape(turned)) < part
        table.flat[random.integers(table.size)] = False
        zeros.append(StructuralZeros(clique=turned, forbidden=table))
        canonical = DOMAIN.canonical(clique)
        placed = table.transpose([turned.index(a) for a in canonical])
        allowed &= ~placed.reshape([DOMAIN.size(a) if a in clique else 1 for a in DOMAIN])
    return zeros, allowed


@given(FORBIDDEN, SEEDS, st.sampled_from([0.1, 0.4, 0.7]))
@settings(max_examples=300, deadline=None)
def test_possible_values_are_those_of_the_joint_table(cliques, seed, part):
    zeros, allowed = some_zeros(cliques, seed, part)
    found = possible_values(DOMAIN, zeros, max_cells=10**4)
    assert set(found) == {a for clique in cliques for a in clique}
    for attribute, held in found.items():
        axis = DOMAIN.attributes.index(attribute)
        others = tuple(i for i in range(len(DOMAIN)) if i != axis)
        assert (held == allowed.any(axis=others)).all()


@given(
    CLIQUES,
    FORBIDDEN,
    SEEDS,
    st.sampled_from([(60.0, 2.0), (1e6, 0.5), (0.0, 2.0)]),
    st.sampled_from([0.2, 0.5]),
)
@settings(max_examples=60, deadline=None)
def test_neither_a_model_nor_a_row_of_it_is_in_a_forbidden_cell(cliques, forbidden, seed, size, part):
    rows, sigma = size
    zeros, allowed = some_zeros(forbidden, seed, part)
    measurements = noisy_marginals(DOMAIN, cliques, rows, sigma, seed)
    if not allowed.any():
        with pytest.raises(ConfigurationError, match="no row possible"):
            estimate(DOMAIN, measurements, max_cells=10**4, total=rows, zeros=zeros)
        return
    # A few steps: an estimate that stops short obeys the zeros too.
    model = estimate(DOMAIN, measurements, max_cells=10**4, total=rows, zeros=zeros, max_iterations=4).model
    for zero in zeros:
        assert (model.marginal(zero.clique)[zero.forbidden] == 0).all()
    assert (model.marginal(DOMAIN.attributes)[~allowed] == 0).all()
    plan = SamplingPlan.from_bytes(SamplingPlan.from_model(model).to_bytes())
    drawn = sample(plan, 997, np.random.PCG64(seed))
    assert allowed[tuple(drawn[a].astype(int) for a in DOMAIN)].all()


@given(
    weights=st.lists(st.sampled_from([0.0, 1e-300, 1e-17, 1 / 3, 0.1, 1.0, 7.0]), min_size=1, max_size=40),
    rows=st.sampled_from([1, 2, 3, 1000, MAX_CHUNK_ROWS]),
    seed=SEEDS,
)
@settings(max_examples=200, deadline=None)
def test_a_cell_of_weight_zero_gets_no_row_wherever_it_stands(weights, rows, seed):
    table = np.array(weights)
    if not table.any():
        return
    domain = Domain(("a",), (len(table),))
    tree = JunctionTree(domain=domain, cliques=(("a",),), parents=(-1,), separators=((),))
    plan = SamplingPlan.from_model(GraphicalModel(tree=tree, probabilities=(table / table.sum(),), total=1.0))
    drawn = np.bincount(sample(plan, rows, np.random.PCG64(seed))["a"], minlength=len(table))
    assert (drawn[table == 0] == 0).all()
    assert drawn.sum() == rows


class AllOnes(np.random.PCG64):
    """The words of a stream whose uniform number is the greatest below 1."""

    def random_raw(self, size=None, output=True):  # type: ignore[override]
        return np.full(size, 2**64 - 1, np.uint64)


@pytest.mark.parametrize("last", [0.0, 0.5])
def test_no_row_is_left_over_where_the_uniform_number_is_the_greatest(last):
    cumulative = np.array([[0.5, 1.0 if last == 0 else 0.75, 1.0]])
    plan = SamplingPlan(
        domain=Domain(("a",), (3,)), steps=(SamplingStep(given=(), drawn=("a",), cumulative=cumulative),)
    )
    drawn = sample(plan, MAX_CHUNK_ROWS, AllOnes())["a"]
    assert len(drawn) == MAX_CHUNK_ROWS
    assert np.bincount(drawn, minlength=3)[2] <= last * MAX_CHUNK_ROWS


def chain(left, right) -> GraphicalModel:
    domain = Domain(("a", "b", "c"), (2, 2, 2))
    tree = JunctionTree(
        domain=domain, cliques=(("a", "b"), ("b", "c")), parents=(-1, 0), separators=((), ("b",))
    )
    return GraphicalModel(tree=tree, probabilities=(np.array(left), np.array(right)), total=10.0)


def test_what_vanishes_in_one_clique_is_not_reached_through_another():
    # b = 1 is all but impossible: so small that its products with c vanish. Both cells of c may be forbidden there.
    model = chain([[0.4, 0.1], [0.5, 0.0]], [[0.0, 1.0], [0.0, 0.0]])
    drawn = sample(SamplingPlan.from_model(model), 5000, np.random.PCG64(3))
    assert (drawn["b"] == 0).all()
    assert (drawn["c"] == 1).all()
    assert set(drawn["a"]) == {0, 1}


def test_a_model_whose_cliques_share_no_row_generates_nothing():
    with pytest.raises(InternalError, match="Nothing was generated"):
        SamplingPlan.from_model(chain([[0.5, 0.0], [0.5, 0.0]], [[0.0, 0.0], [0.5, 0.5]]))
