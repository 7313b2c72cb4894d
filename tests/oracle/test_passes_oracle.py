"""Passes over a junction tree, with tables built or boxed, against the joint table; and what they hold in memory."""

from __future__ import annotations

import tracemalloc
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spark_dp.graphical.cliques import maximal_cliques
from spark_dp.graphical.faces import DENSE_CELL, Box
from spark_dp.graphical.junction_tree import build_junction_tree
from spark_dp.graphical.passes import Passes
from spark_dp.schema.domain import Domain

DOMAIN = Domain(("a", "b", "c", "d", "e", "f", "g"), (2, 3, 1, 4, 2, 3, 2))
SUBSETS = [c for n in range(1, 4) for c in combinations(DOMAIN.attributes, n)]
CLIQUES = st.lists(st.sampled_from(SUBSETS), min_size=1, max_size=9)
WAYS = pytest.mark.parametrize("dense_cell", [0.0, np.inf], ids=["built", "boxed"])

# Each kind of clique set by name, so that none depends on what Hypothesis draws.
KINDS = {
    "disconnected": [("a", "b"), ("d", "e"), ("g",)],
    "nested": [("a", "b", "d"), ("a", "b"), ("b",), ("a", "b", "d", "f")],
    "repeated": [("a", "b"), ("b", "a"), ("a", "b")],
    "single": [("a",), ("c",), ("f",)],
    "a loop": [("a", "b"), ("b", "d"), ("d", "e"), ("a", "e")],
    "two loops that share an edge": [("a", "b"), ("b", "d"), ("a", "d"), ("d", "f"), ("b", "f")],
    "all triples of four": [("a", "b", "d"), ("a", "b", "f"), ("a", "d", "f"), ("b", "d", "f")],
    "a loop on a chain": [("a", "b"), ("b", "d"), ("a", "d"), ("d", "e"), ("e", "f"), ("d", "f"), ("f", "g")],
    "all pairs": list(combinations(DOMAIN.attributes, 2)),
}


def compare(cliques, seed, scale, dense_cell, *, forbids, only_maximal, domain=DOMAIN):
    """Runs all passes and compares whatever they return with sums over the joint table."""

    def placed(clique, table):
        return table.reshape([domain.size(a) if a in clique else 1 for a in domain])

    def marginal_of(joint, clique):
        return joint.sum(axis=tuple(i for i, a in enumerate(domain) if a not in clique))

    canonical = dict.fromkeys(domain.canonical(c) for c in cliques)
    sites = maximal_cliques(canonical) if only_maximal else tuple(canonical)
    passes = Passes(build_junction_tree(domain, cliques, max_cells=10**6), sites, dense_cell=dense_cell)
    random = np.random.default_rng(seed)
    for _ in range(2):  # What a pass leaves behind must not reach the next.
        logs = [random.normal(0, scale, domain.shape(s)) for s in sites]
        if forbids:
            logs[0].flat[random.integers(logs[0].size)] = -np.inf
        kept = [log.copy() for log in logs]
        joint_log = sum((placed(s, t) for s, t in zip(sites, logs, strict=True)), np.zeros(domain.sizes))
        log_partition = passes.forward(logs)
        if np.isneginf(joint_log).all():
            assert log_partition == -np.inf
            return
        joint = np.exp(joint_log - joint_log.max())
        assert log_partition == pytest.approx(joint_log.max() + np.log(joint.sum()), rel=1e-12, abs=1e-12)
        joint *= 7.0 / joint.sum()
        for site, found in zip(sites, passes.marginals(7.0), strict=True):
            np.testing.assert_allclose(found, marginal_of(joint, site), rtol=1e-9, atol=1e-12)

        moves = [random.normal(5, 1, domain.shape(s)) for s in sites]
        move = sum(placed(s, t) for s, t in zip(sites, moves, strict=True)) + np.zeros(domain.sizes)
        change = joint * (move - (joint * move).sum() / 7.0)
        for site, found in zip(sites, passes.tangent(moves), strict=True):
            np.testing.assert_allclose(found, marginal_of(change, site), atol=1e-11)
        assert all(np.array_equal(*pair) for pair in zip(logs, kept, strict=True))
    for clique, belief in zip(passes.tree.cliques, passes.beliefs(), strict=True):
        assert belief.flags.c_contiguous
        np.testing.assert_allclose(belief, marginal_of(joint, clique), rtol=1e-9, atol=1e-12)


@WAYS
@given(
    CLIQUES, st.integers(0, 10**6), st.sampled_from([0.1, 3.0, 60.0, 2000.0]), st.booleans(), st.booleans()
)
@settings(max_examples=200, deadline=None)
def test_marginals_and_their_derivatives_are_those_of_the_joint_table(
    dense_cell, cliques, seed, scale, forbids, only_maximal
):
    compare(cliques, seed, scale, dense_cell, forbids=forbids, only_maximal=only_maximal)


@WAYS
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("only_maximal", [True, False])
def test_every_kind_of_clique_set_has_the_marginals_of_the_joint_table(kind, only_maximal, dense_cell):
    compare(KINDS[kind], 1, 2.0, dense_cell, forbids=False, only_maximal=only_maximal)


@WAYS
@pytest.mark.parametrize("scale", [1.0, 300.0])
@pytest.mark.parametrize("cliques", [["ab", "bc", "ac"], ["ab", "bc", "ac", "abc"], ["ab", "bc", "ad", "cd"]])
def test_tables_of_several_blocks_have_the_marginals_of_the_joint_table(cliques, scale, dense_cell):
    domain = Domain(("a", "b", "c", "d"), (40, 30, 50, 3))
    assert domain.cells(("a", "b", "c")) > 1 << 15
    compare(
        [tuple(c) for c in cliques], 3, scale, dense_cell, forbids=True, only_maximal=False, domain=domain
    )


@given(st.lists(st.sampled_from(SUBSETS), min_size=1, max_size=9))
@settings(max_examples=200, deadline=None)
def test_each_factor_of_a_box_lacks_the_group_of_its_face(cliques):
    factors = [frozenset(DOMAIN.attributes.index(a) for a in c) for c in cliques]
    box = Box.find(DOMAIN.sizes, factors, np.inf)
    if box is None:
        together = [set(c) for c in combinations(range(len(DOMAIN)), 3)]
        assert all(any(three <= f for f in factors) for three in together)
        return
    assert sorted([*box.rest, *(axis for group in box.groups for axis in group)]) == list(range(len(DOMAIN)))
    assert all(box.groups)
    for factor, face in zip(factors, box.faces, strict=True):
        assert not factor & set(box.groups[face])


def test_a_clique_whose_table_would_be_less_work_is_not_boxed():
    # Three axes of two cells and two hundred thousand configurations of the others: products of 2 x 2 matrices.
    assert (
        Box.find(
            (2, 2, 2, 100, 2000), [frozenset({0, 1, 3, 4}), frozenset({1, 2, 3, 4}), frozenset({0, 2, 3, 4})]
        )
        is None
    )


def peak_of_passes(sites, dense_cell):
    """Returns the peak of all passes, and of writing the beliefs, as parts of the model's size."""
    domain = Domain(("a", "b", "c", "d"), (30, 35, 40, 25))
    tree = build_junction_tree(domain, sites, max_cells=10**7)
    assert tree.cells == 30 * 35 * 40 * 25
    logs = [np.random.default_rng(0).normal(0, 1, domain.shape(s)) for s in sites]
    tracemalloc.start()
    try:
        passes = Passes(tree, sites, dense_cell=dense_cell)
        passes.forward(logs)
        passes.marginals(1.0)
        passes.tangent(logs)
        during = tracemalloc.get_traced_memory()[1]
        tracemalloc.reset_peak()
        (belief,) = passes.beliefs()
        after = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert belief.sum() == pytest.approx(1.0)
    return during / (8 * tree.cells), after / (8 * tree.cells)


def test_passes_over_a_boxed_model_hold_less_than_it():
    during, after = peak_of_passes(list(combinations("abcd", 2)), DENSE_CELL)
    assert during < 0.75
    assert after < 1.75


def test_passes_that_build_the_model_hold_it_and_a_copy():
    during, after = peak_of_passes(list(combinations("abcd", 2)), 0.0)
    assert 1.0 <= during < 1.5
    assert after < 2.5
