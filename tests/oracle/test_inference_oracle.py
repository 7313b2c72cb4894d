"""Estimates and models against the joint table, built in full and worked on by brute force."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy.optimize import lsq_linear
from support.noise import noisy_marginals

from spark_dp.graphical.convergence import Target, loss_of, proven_gap
from spark_dp.graphical.estimation import estimate
from spark_dp.graphical.inference import BeliefPropagation, Placement
from spark_dp.graphical.junction_tree import build_junction_tree
from spark_dp.schema.domain import Domain

DOMAIN = Domain(("a", "b", "c", "d"), (2, 3, 1, 4))
SUBSETS = [c for n in range(1, 4) for c in combinations(DOMAIN.attributes, n)]
CLIQUES = st.lists(st.sampled_from(SUBSETS), min_size=1, max_size=6)


def marginal_of(joint, clique):
    """Sums a joint table to a clique, axes in the clique's order."""
    position = {a: i for i, a in enumerate(DOMAIN.attributes)}
    summed = joint.sum(axis=tuple(i for a, i in position.items() if a not in clique))
    kept = [a for a in DOMAIN if a in clique]
    return summed.transpose([kept.index(a) for a in clique])


def placed(clique, table):
    """Shapes a table over a canonical clique so that it broadcasts over the joint table."""
    return table.reshape([DOMAIN.size(a) if a in clique else 1 for a in DOMAIN])


@given(CLIQUES, st.integers(0, 10**6), st.sampled_from([0.1, 3.0, 300.0]))
@settings(max_examples=100, deadline=None)
def test_costs_are_split_into_the_least_of_the_joint_table_and_what_is_left(cliques, seed, scale):
    tree = build_junction_tree(DOMAIN, cliques, max_cells=1000)
    random = np.random.default_rng(seed)
    costs = [random.normal(0, scale, DOMAIN.shape(clique)) for clique in tree.cliques]
    reduced = {}
    least = BeliefPropagation(tree).reduced_costs(lambda i: costs[i].copy(), reduced.__setitem__)
    joint = sum(placed(c, t) for c, t in zip(tree.cliques, costs, strict=True)) + np.zeros(DOMAIN.sizes)
    assert least == pytest.approx(joint.min())
    assert all((table >= 0).all() for table in reduced.values())
    left = sum(placed(clique, reduced[i]) for i, clique in enumerate(tree.cliques)) + least
    assert np.allclose(left, joint, atol=1e-9 * scale)


@given(CLIQUES, st.integers(0, 10**6), st.sampled_from([0.0, 0.3, 0.9]))
@settings(max_examples=100, deadline=None)
def test_tables_are_made_to_agree_by_their_conditionals_from_the_roots_down(cliques, seed, empty):
    tree = build_junction_tree(DOMAIN, cliques, max_cells=1000)
    random = np.random.default_rng(seed)
    tables = [
        random.gamma(0.5, 1.0, DOMAIN.shape(c)) * (random.random(DOMAIN.shape(c)) > empty)
        for c in tree.cliques
    ]
    joint = np.full(DOMAIN.sizes, 7.0)
    for clique, separator, table in zip(tree.cliques, tree.separators, tables, strict=True):
        lost = tuple(i for i, a in enumerate(clique) if a not in separator)
        norm = table.sum(axis=lost, keepdims=True)
        uniform = np.full_like(table, norm.size / table.size)
        joint = joint * placed(clique, np.divide(table, norm, out=uniform, where=norm > 0))
    agreed = BeliefPropagation(tree).agreed(lambda i: tables[i].copy(), 7.0)
    for clique, belief in zip(tree.cliques, agreed, strict=True):
        assert np.allclose(belief, marginal_of(joint, clique), atol=1e-12)


@given(CLIQUES, st.integers(0, 10**6), st.sampled_from([(40.0, 3.0), (1e4, 5.0), (3.0, 20.0)]))
@example([("a",), ("a", "d"), ("b", "d")], 3422, (3.0, 20.0))  # all that was measured of (a, d) is negative
@settings(max_examples=60, deadline=None)
def test_the_loss_of_a_forest_is_that_of_the_best_joint_table_and_the_gap_bounds_it(cliques, seed, size):
    rows, sigma = size
    cliques = [*cliques, *build_junction_tree(DOMAIN, cliques, max_cells=1000).cliques]
    measurements = noisy_marginals(DOMAIN, cliques, rows, sigma, seed)
    estimated = estimate(DOMAIN, measurements, max_cells=1000, total=rows)
    assert estimated.convergence.converged
    offset, optimum = best_joint_loss(measurements, rows)
    loss = sum(
        np.square(estimated.model.marginal(m.clique) - m.values).sum() / (2 * m.stddev**2)
        for m in measurements
    )
    slack = 1e-6 * (1 + abs(optimum))
    assert loss - optimum <= estimated.convergence.gap + slack
    assert loss >= optimum - slack - offset


def best_joint_loss(measurements, rows):
    """Returns the residual of the total's equation in the loss, and the least loss over all joint tables.

    The total is imposed as one more, very heavy equation of a bounded least-squares problem.
    """
    cells = np.arange(np.prod(DOMAIN.sizes)).reshape(DOMAIN.sizes)
    equations, right = [], []
    for m in measurements:
        for index in np.ndindex(*m.noisy.shape):
            where = tuple(index[m.clique.index(a)] if a in m.clique else slice(None) for a in DOMAIN)
            row = np.zeros(cells.size)
            row[cells[where].ravel()] = 1 / (np.sqrt(2) * m.stddev)
            equations.append(row)
            right.append(m.values[index] / (np.sqrt(2) * m.stddev))
    heavy = 1e4 / measurements[0].stddev
    equations.append(np.full(cells.size, heavy))
    right.append(heavy * rows)
    found = lsq_linear(np.array(equations), np.array(right), (0, np.inf), method="bvls", tol=1e-13)
    residual = np.array(equations)[:-1] @ found.x - right[:-1]
    missing = abs(found.x.sum() - rows) / measurements[0].stddev
    return 1e3 * missing, float(np.square(residual).sum())


@given(CLIQUES, CLIQUES, st.integers(0, 10**6))
@settings(max_examples=60, deadline=None)
def test_marginals_in_and_out_of_the_model_are_those_of_its_joint_table(cliques, asked, seed):
    model = estimate(DOMAIN, noisy_marginals(DOMAIN, cliques, 50.0, 5.0, seed), max_cells=1000).model
    joint = full_joint(model)
    for clique in [*asked, *[c[::-1] for c in asked], (), DOMAIN.attributes]:
        assert np.allclose(model.marginal(clique), marginal_of(joint, clique), atol=1e-9)


def full_joint(model):
    """Multiplies conditionals over the tree: an independent way from a model to its joint table."""
    joint = np.full(DOMAIN.sizes, model.total)
    for clique, separator, table in zip(
        model.tree.cliques, model.tree.separators, model.probabilities, strict=True
    ):
        lost = tuple(i for i, a in enumerate(clique) if a not in separator)
        norm = table.sum(axis=lost, keepdims=True)
        given = np.divide(table, norm, out=np.zeros_like(table), where=norm > 0)
        joint = joint * given.reshape([DOMAIN.size(a) if a in clique else 1 for a in DOMAIN])
    return joint


@given(CLIQUES, st.integers(0, 10**6))
@settings(max_examples=40, deadline=None)
def test_the_gap_bounds_the_loss_of_any_consistent_marginals_whatever_the_slopes(cliques, seed):
    random = np.random.default_rng(seed)
    measurements = noisy_marginals(DOMAIN, cliques, 60.0, 4.0, seed)
    tree = build_junction_tree(DOMAIN, cliques, max_cells=1000)
    targets = []
    for m in measurements:
        node = next(i for i, c in enumerate(tree.cliques) if set(m.clique) <= set(c))
        place = Placement.of(tree, m.clique, tree.cliques[node])
        targets.append(
            Target(node=node, place=place, values=m.values.reshape(place.shape), variance=m.stddev**2)
        )
    propagation = BeliefPropagation(tree)
    tables = [random.gamma(1.0, 1.0, DOMAIN.shape(c)) for c in tree.cliques]
    beliefs = propagation.agreed(tables.__getitem__, 60.0)
    slopes = [random.normal(0, 1, t.values.shape) for t in targets]
    _, optimum = best_joint_loss(measurements, 60.0)
    exact = [t.residual(beliefs) / t.variance for t in targets]
    for any_slopes in (slopes, exact):
        gap = proven_gap(propagation, targets, beliefs, lambda i, slopes=any_slopes: slopes[i].copy())
        assert loss_of(targets, beliefs) - optimum <= gap + 1e-6 * (1 + abs(optimum))


def test_no_smaller_gap_would_be_true():
    domain = Domain(("a",), (2,))
    tree = build_junction_tree(domain, [("a",)], max_cells=2)
    place = Placement.of(tree, ("a",), ("a",))
    target = Target(node=0, place=place, values=np.array([10.0, 20.0]), variance=1.0)
    beliefs = [np.array([15.0, 15.0])]
    gap = proven_gap(BeliefPropagation(tree), [target], beliefs, lambda _: np.zeros(2))
    assert gap == pytest.approx(loss_of([target], beliefs))
    assert not loss_of([target], beliefs) <= 0.99 * gap
