"""Sampled rows against the distribution that they are drawn from."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from spark_dp.graphical.junction_tree import build_junction_tree
from spark_dp.graphical.model import GraphicalModel
from spark_dp.graphical.sampling import SamplingPlan, sample
from spark_dp.schema.domain import Domain

DOMAIN = Domain(("a", "b", "c"), (4, 3, 5))
ROWS = 4096


def chain() -> GraphicalModel:
    """A distribution in which a and c are independent given b, and strongly dependent without it."""
    random = np.random.default_rng(5)
    b = np.array([0.5, 0.3, 0.2])
    a_given_b = random.dirichlet(np.full(4, 0.5), 3).T
    c_given_b = random.dirichlet(np.full(5, 0.5), 3)
    tree = build_junction_tree(DOMAIN, [("a", "b"), ("b", "c")], max_cells=100)
    tables = {("a", "b"): a_given_b * b, ("b", "c"): b[:, None] * c_given_b}
    return GraphicalModel(tree=tree, probabilities=tuple(tables[c] for c in tree.cliques), total=1.0)


MODEL = chain()
PLAN = SamplingPlan.from_model(MODEL)


def histogram(codes, clique):
    shape = DOMAIN.shape(clique)
    flat = np.ravel_multi_index([codes[a].astype(np.int64) for a in clique], shape)
    return np.bincount(flat, minlength=int(np.prod(shape))).reshape(shape)


def chunk(number: int, rows: int = ROWS):
    return sample(PLAN, rows, np.random.PCG64(np.random.SeedSequence(11, spawn_key=(number,))))


def independent_rows(number: int):
    """Rows drawn one by one from the joint table: the ordinary way, with the ordinary variance."""
    joint = MODEL.marginal(DOMAIN.attributes).ravel()
    random = np.random.default_rng(number)
    flat = random.choice(joint.size, size=ROWS, p=joint / joint.sum())
    return dict(zip(DOMAIN, np.unravel_index(flat, DOMAIN.sizes), strict=True))


def strays(codes) -> float:
    """How far the root's cells are from the floor or the ceiling of what is expected; 0 where none is."""
    root = MODEL.tree.cliques[0]
    expected = ROWS * MODEL.marginal(root)
    counts = histogram(codes, root)
    return float(np.maximum(np.floor(expected) - counts, counts - np.ceil(expected)).max())


@pytest.mark.parametrize("number", range(5))
def test_every_cell_of_the_root_has_the_floor_or_the_ceiling_of_its_expectation(number):
    assert strays(chunk(number)) <= 0


@pytest.mark.parametrize("number", range(5))
def test_rows_drawn_one_by_one_do_not(number):
    assert strays(independent_rows(number)) > 0


def test_every_cell_given_its_separator_has_the_floor_or_the_ceiling_of_its_expectation():
    codes = chunk(1)
    for clique, separator in zip(MODEL.cliques, MODEL.tree.separators, strict=True):
        lost = tuple(i for i, a in enumerate(clique) if a not in separator)
        counts, probabilities = histogram(codes, clique), MODEL.marginal(clique)
        given = probabilities / probabilities.sum(axis=lost, keepdims=True)
        expected = counts.sum(axis=lost, keepdims=True) * given
        assert (np.abs(counts - expected) < 1).all()


def mean_z(draw, trials: int = 300) -> float:
    """The largest standardised deviation of the mean of all joint cells over many chunks."""
    counts = np.stack([histogram(draw(i), DOMAIN.attributes) for i in range(trials)])
    expected = ROWS * MODEL.marginal(DOMAIN.attributes)
    error = counts.std(axis=0, ddof=1) / np.sqrt(trials)
    deviation = np.abs(counts.mean(axis=0) - expected)
    return float((deviation / np.maximum(error, 0.5 / trials)).max())


def test_the_joint_distribution_is_the_models_on_average():
    assert mean_z(chunk) < stats.norm.isf(1e-6 / 60)


def test_a_distribution_off_by_ten_percent_in_one_cell_is_noticed():
    def biased(number):
        codes = chunk(number)
        hit = (codes["a"] == 0) & (codes["b"] == 0) & (np.arange(ROWS) % 10 == 0)
        return {**codes, "a": np.where(hit, 1, codes["a"])}

    assert mean_z(biased) > stats.norm.isf(1e-6 / 60)


def conditional_dependence_p(codes) -> float:
    """The p-value of a chi-square test that a and c are independent given b."""
    statistic, freedom = 0.0, 0
    for table in np.moveaxis(histogram(codes, DOMAIN.attributes), 1, 0):
        kept = table[table.sum(axis=1) > 0][:, table.sum(axis=0) > 0]
        if min(kept.shape) > 1:
            found = stats.contingency.chi2_contingency(kept, correction=False)
            statistic, freedom = statistic + found.statistic, freedom + found.dof
    return float(stats.chi2.sf(statistic, freedom))


def test_what_the_model_holds_independent_given_a_separator_is_independent_in_the_rows():
    values = [conditional_dependence_p(chunk(i)) for i in range(200)]
    assert stats.kstest(values, "uniform").pvalue > 1e-6


def test_rows_left_in_the_order_of_their_groups_are_not_independent():
    def sorted_within_groups(number):
        codes = chunk(number)
        order = np.lexsort((codes["a"], codes["b"]))
        other = np.lexsort((codes["c"], codes["b"]))
        return {"a": codes["a"][order], "b": codes["b"][order], "c": codes["c"][other]}

    values = [conditional_dependence_p(sorted_within_groups(i)) for i in range(20)]
    assert stats.kstest(values, "uniform").pvalue < 1e-6


def test_a_pair_that_no_clique_holds_is_as_close_as_sampling_allows():
    expected = MODEL.marginal(("a", "c"))

    def distance(codes) -> float:
        return float(np.abs(histogram(codes, ("a", "c")) / ROWS - expected).sum() / 2)

    ours = np.mean([distance(chunk(i)) for i in range(100)])
    ordinary = np.mean([distance(independent_rows(i)) for i in range(100)])
    independent = np.outer(expected.sum(axis=1), expected.sum(axis=0))
    assert ours <= ordinary
    assert ours < 0.1 * np.abs(expected - independent).sum() / 2


def order_p(codes) -> float:
    """The p-value that the codes of the first half of the rows are like those of the second."""
    halves = [np.bincount(h, minlength=4) for h in np.split(codes["a"].astype(np.int64), 2)]
    table = np.stack(halves)
    return float(stats.contingency.chi2_contingency(table[:, table.sum(axis=0) > 0]).pvalue)


def test_rows_are_in_random_order():
    assert min(order_p(chunk(i)) for i in range(50)) > 1e-6


def test_sorted_rows_are_noticed():
    assert order_p({"a": np.sort(chunk(0)["a"])}) < 1e-6
