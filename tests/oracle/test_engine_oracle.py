"""Inference in blocks, its derivative, estimation of any cliques and structural zeros, against the joint table."""

from __future__ import annotations

from itertools import combinations, permutations
from math import sqrt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize
from support.noise import noisy_marginals

from spark_dp.graphical.cliques import maximal_cliques
from spark_dp.graphical.condensing import condensed
from spark_dp.graphical.estimation import ENTROPY, estimate
from spark_dp.graphical.faces import DENSE_CELL
from spark_dp.graphical.interactions import Interactions
from spark_dp.graphical.junction_tree import GrowingTree, build_junction_tree
from spark_dp.graphical.model import GraphicalModel
from spark_dp.graphical.passes import Passes
from spark_dp.graphical.sampling import SamplingPlan, sample
from spark_dp.graphical.starts import first_potentials
from spark_dp.graphical.triangulation import Triangulation
from spark_dp.graphical.zeros import StructuralZeros
from spark_dp.schema.domain import Domain

DOMAIN = Domain(("a", "b", "c", "d", "e"), (2, 3, 1, 4, 2))
SUBSETS = [c for n in range(1, 4) for c in combinations(DOMAIN.attributes, n)]
CLIQUES = st.lists(st.sampled_from(SUBSETS), min_size=1, max_size=7)
SEEDS = st.integers(0, 10**6)


def placed(clique, table):
    """Shapes a table over a canonical clique so that it broadcasts over the joint table."""
    return table.reshape([DOMAIN.size(a) if a in clique else 1 for a in DOMAIN])


def marginal_of(joint, clique):
    return joint.sum(axis=tuple(i for i, a in enumerate(DOMAIN) if a not in clique))


def inference(cliques, dense_cell=DENSE_CELL):
    sites = maximal_cliques(DOMAIN.canonical(c) for c in cliques)
    return sites, Passes(build_junction_tree(DOMAIN, cliques, max_cells=10**4), sites, dense_cell=dense_cell)


@pytest.mark.parametrize("dense_cell", [0.0, np.inf], ids=["built", "boxed"])
@given(CLIQUES, SEEDS, st.sampled_from([0.1, 3.0, 60.0, 2000.0]), st.booleans())
@settings(max_examples=300, deadline=None)
def test_marginals_and_their_derivatives_are_those_of_the_joint_table(
    dense_cell, cliques, seed, scale, forbids
):
    sites, passes = inference(cliques, dense_cell)
    random = np.random.default_rng(seed)
    logs = [random.normal(0, scale, DOMAIN.shape(s)) for s in sites]
    if forbids:
        logs[0].flat[random.integers(logs[0].size)] = -np.inf
    joint_log = sum((placed(s, t) for s, t in zip(sites, logs, strict=True)), np.zeros(DOMAIN.sizes))
    log_partition = passes.forward(logs)
    if np.isneginf(joint_log).all():
        assert log_partition == -np.inf
        return
    joint = np.exp(joint_log - joint_log.max())
    assert log_partition == pytest.approx(joint_log.max() + np.log(joint.sum()), abs=1e-9)
    joint *= 7.0 / joint.sum()
    found = passes.marginals(7.0)
    assert all(np.allclose(m, marginal_of(joint, s), atol=1e-10) for s, m in zip(sites, found, strict=True))

    moves = [random.normal(0, 1, DOMAIN.shape(s)) for s in sites]
    move = sum(placed(s, t) for s, t in zip(sites, moves, strict=True)) + np.zeros(DOMAIN.sizes)
    change = joint * (move - (joint * move).sum() / 7.0)
    tangent = passes.tangent(moves)
    assert all(np.allclose(m, marginal_of(change, s), atol=1e-9) for s, m in zip(sites, tangent, strict=True))
    for clique, belief in zip(passes.tree.cliques, passes.beliefs(), strict=True):
        assert np.allclose(belief, marginal_of(joint, clique), atol=1e-10)


@given(CLIQUES, SEEDS)
@settings(max_examples=100, deadline=None)
def test_interactions_are_adjoint_unique_and_add_up_to_the_potentials(cliques, seed):
    sites, _ = inference(cliques)
    interactions = Interactions(DOMAIN, sites, sites)
    random = np.random.default_rng(seed)
    tables = [random.normal(0, 1, DOMAIN.shape(s)) for s in sites]
    vector = interactions.gather_potentials(zip(sites, tables, strict=True))
    back = interactions.potentials(vector)
    whole = [
        sum(placed(s, t) for s, t in zip(sites, some, strict=True)) + np.zeros(DOMAIN.sizes)
        for some in (tables, back)
    ]
    assert np.allclose(*whole)
    again = interactions.gather_potentials(zip(sites, back, strict=True))
    assert np.allclose(again, vector)
    joint = random.dirichlet(np.ones(np.prod(DOMAIN.sizes))).reshape(DOMAIN.sizes)
    moments = interactions.moments([marginal_of(joint, s) for s in sites])
    assert vector @ moments == pytest.approx(float((joint * whole[0]).sum()))


def least_objective(measurements, rows, entropy, allowed):
    """Returns the least of the loss and the divergence over all joint tables, by its dual in the joint table."""
    combined = {}
    for m in measurements:
        combined.setdefault(m.clique, (m.values, m.stddev**2))
    start = sum(placed(c, t) for c, t in first_potentials(DOMAIN, combined)) + np.zeros(DOMAIN.sizes)
    start = np.where(allowed, start, -np.inf)
    ends = np.cumsum([0, *(m.values.size for m in measurements)])

    def dual(u):
        parts = [
            u[a:b].reshape(m.values.shape) for a, b, m in zip(ends, ends[1:], measurements, strict=False)
        ]
        log = start - sum(placed(m.clique, p) for m, p in zip(measurements, parts, strict=True)) / entropy
        peak = log.max()
        joint = np.exp(log - peak)
        value = rows * entropy * (peak + np.log(joint.sum()))
        joint *= rows / joint.sum()
        slope = []
        for m, p in zip(measurements, parts, strict=True):
            value += float((p * p).sum()) * m.stddev**2 / 2 + float((p * m.values).sum())
            slope.append((p * m.stddev**2 + m.values - marginal_of(joint, m.clique)).ravel())
        return value, np.concatenate(slope)

    found = minimize(
        dual,
        np.zeros(ends[-1]),
        jac=True,
        method="L-BFGS-B",
        options={"maxiter": 5000, "ftol": 1e-15, "gtol": 1e-9},
    )
    return -float(found.fun), start


def objective(model, measurements, rows, entropy, start):
    joint = model.marginal(DOMAIN.attributes)
    loss = sum(
        float(np.square(marginal_of(joint, m.clique) - m.values).sum()) / (2 * m.stddev**2)
        for m in measurements
    )
    held = joint > 0
    return loss + entropy * float((joint[held] * (np.log(joint[held] / rows) - start[held])).sum())


@given(
    st.lists(st.sampled_from(SUBSETS), min_size=2, max_size=6, unique=True),
    SEEDS,
    st.sampled_from([(40.0, 3.0), (1e3, 5.0)]),
    st.sampled_from(["none", "of the table", "against the table"]),
)
@settings(max_examples=90, deadline=None)
def test_an_estimate_is_the_best_joint_table_within_its_gap(cliques, seed, size, forbidden):
    rows, sigma = size
    allowed = np.ones(DOMAIN.sizes, dtype=bool)
    zeros = []
    if forbidden != "none":
        allowed[0, 0], allowed[1, 2] = False, False
        zeros = [StructuralZeros(clique=("b", "a"), forbidden=~allowed[:, :, 0, 0, 0].T)]
    held = allowed if forbidden == "of the table" else None
    measurements = noisy_marginals(DOMAIN, cliques, rows, sigma, seed, held)
    found = estimate(DOMAIN, measurements, max_cells=10**4, total=rows, zeros=zeros, tolerance=1e-4)
    # Zeros that contradict the table by many times the noise may stop it short: it says so, and its gap holds.
    assert found.convergence.converged or forbidden == "against the table"
    assert (found.model.marginal(("a", "b"))[~allowed[:, :, 0, 0, 0]] == 0).all()
    if not found.potentials:
        return  # A forest: its oracle is in test_inference_oracle.
    floor = sum(m.values.size for m in measurements)
    entropy = ENTROPY / sqrt(sum(m.values.size * m.stddev**2 for m in measurements) / floor)
    least, start = least_objective(measurements, rows, entropy, allowed)
    reached = objective(found.model, measurements, rows, entropy, start)
    slack = 1e-5 * (1 + abs(least))
    assert -slack <= reached - least <= found.convergence.gap + slack


@given(CLIQUES, st.lists(st.sampled_from(SUBSETS), max_size=5), SEEDS, st.booleans())
@settings(max_examples=100, deadline=None)
def test_many_marginals_at_once_are_those_of_the_joint_table(cliques, asked, seed, many):
    model = estimate(DOMAIN, noisy_marginals(DOMAIN, cliques, 80.0, 5.0, seed), max_cells=10**4).model
    joint = np.full(DOMAIN.sizes, model.total)
    for clique, separator, table in zip(
        model.tree.cliques, model.tree.separators, model.probabilities, strict=True
    ):
        norm = table.sum(axis=tuple(i for i, a in enumerate(clique) if a not in separator), keepdims=True)
        joint = joint * placed(clique, np.divide(table, norm, out=np.zeros_like(table), where=norm > 0))
    every = [*asked, *[c[::-1] for c in asked], (), DOMAIN.attributes, *[(a,) for a in DOMAIN]]
    if many:
        every += permutations(DOMAIN.attributes, 3)
    found = model.marginals(every)
    for clique in every:
        turned = np.argsort(np.argsort([DOMAIN.attributes.index(a) for a in clique]))
        assert np.allclose(found[clique], marginal_of(joint, clique).transpose(turned), atol=1e-9)


@given(CLIQUES, st.sampled_from(SUBSETS))
@settings(max_examples=100, deadline=None)
def test_a_growing_tree_foretells_at_least_the_size_of_the_tree_that_is_built(cliques, candidate):
    grown = GrowingTree(DOMAIN, cliques)
    built = build_junction_tree(DOMAIN, [*cliques, candidate], max_cells=10**6)
    assert built.cells <= grown.cells_with(candidate)
    assert grown.cells == grown.cells_with(cliques[0])


WIDER = Domain(tuple("abcdefghij"), (2, 5, 3, 1, 4, 2, 6, 3, 2, 7))
FEW = [c for n in range(4) for c in combinations(WIDER.attributes, n)]


@given(st.lists(st.sampled_from(FEW), max_size=14), st.lists(st.sampled_from(FEW), max_size=6))
@settings(max_examples=200, deadline=None)
def test_one_more_clique_costs_what_it_costs_from_scratch(cliques, candidates):
    graph = Triangulation(WIDER, cliques)
    for candidate in candidates:
        scratch = Triangulation(WIDER, [*cliques, candidate])
        exactly = sum(WIDER.cells(node) for node in scratch.nodes(restarts=0))
        assert graph.cells_with(candidate) == exactly
        assert sum(WIDER.cells(node) for node in scratch.nodes()) <= exactly


@given(st.lists(st.sampled_from(FEW), max_size=14), st.lists(st.sampled_from(FEW), max_size=8))
@settings(max_examples=200, deadline=None)
def test_a_growing_tree_knows_sizes_that_earlier_candidates_and_rounds_worked_out(cliques, candidates):
    tree, held = GrowingTree(WIDER, cliques), list(cliques)
    for candidate in candidates:
        for asked in candidates:
            scratch = Triangulation(WIDER, [*held, asked])
            exactly = sum(WIDER.cells(node) for node in scratch.nodes(restarts=0))
            assert tree.rebuilt_with(asked) == exactly <= tree.at_most_with(asked)
            assert all(
                sum(map(WIDER.cells, scratch.nodes(restarts=turns))) <= tree.at_most_with(asked)
                for turns in (1, 8)
            )
        tree = tree.grown(candidate)
        held.append(candidate)
        assert tree.cells == GrowingTree(WIDER, held).cells


def test_a_tree_that_gets_no_new_edge_stays_the_same():
    tree = GrowingTree(WIDER, [("a", "b"), ("b", "c"), ("a", "c")])
    assert tree.grown(("a", "b", "c")) is tree
    assert tree.grown(("a", "d")) is not tree


@given(CLIQUES, SEEDS, st.sampled_from([1, 6, 12, 24, 48]))
@settings(max_examples=100, deadline=None)
def test_a_condensed_tree_is_the_same_distribution_in_fewer_tables(cliques, seed, small):
    model = estimate(DOMAIN, noisy_marginals(DOMAIN, cliques, 80.0, 5.0, seed), max_cells=10**4).model
    tree, tables = condensed(model.tree, model.probabilities, small=small)
    sizes = {DOMAIN.cells(clique) for clique in model.cliques}
    assert all(t.shape == DOMAIN.shape(c) for c, t in zip(tree.cliques, tables, strict=True))
    assert all(DOMAIN.cells(clique) <= small or DOMAIN.cells(clique) in sizes for clique in tree.cliques)
    for node, parent in enumerate(tree.parents):
        earlier = {a for clique in tree.cliques[:node] for a in clique}
        assert earlier & set(tree.cliques[node]) == set(tree.separators[node])
        assert parent < node and (parent < 0 or set(tree.separators[node]) <= set(tree.cliques[parent]))
    fewer = GraphicalModel(tree=tree, probabilities=tuple(tables), total=model.total)
    for clique in SUBSETS:
        assert np.allclose(fewer.marginal(clique), model.marginal(clique), atol=1e-9)
    if small >= DOMAIN.cells(DOMAIN.attributes):
        assert set(tree.parents) == {-1}


def test_no_sampled_row_is_in_a_forbidden_cell():
    forbidden = np.zeros((4, 2), dtype=bool)
    forbidden[1, 0] = forbidden[3, :] = True
    measurements = noisy_marginals(DOMAIN, [("a", "b"), ("b", "d"), ("a", "d")], 500.0, 20.0, seed=2)
    model = estimate(
        DOMAIN, measurements, max_cells=10**4, zeros=[StructuralZeros(clique=("d", "e"), forbidden=forbidden)]
    ).model
    rows = sample(SamplingPlan.from_model(model), 20_000, np.random.PCG64(1))
    assert not forbidden[rows["d"], rows["e"]].any()
    assert np.unique(rows["d"]).size == 3
