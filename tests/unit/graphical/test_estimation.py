from __future__ import annotations

import numpy as np
import pytest
from support.noise import measurement, noisy_marginals

from spark_dp.errors import ConfigurationError, DomainTooLargeError, InputError
from spark_dp.graphical import fronts
from spark_dp.graphical.estimation import estimate, estimated_total
from spark_dp.graphical.model import GraphicalModel
from spark_dp.graphical.zeros import StructuralZeros
from spark_dp.schema.domain import Domain

CELLS = 10**6
DOMAIN = Domain(("a", "b", "c"), (2, 3, 4))
CHAIN = [("a", "b"), ("b", "c"), ("a",), ("c",)]
CYCLE = [("a", "b"), ("b", "c"), ("a", "c")]


@pytest.mark.parametrize("cliques", [CHAIN, CYCLE, [("a",), ("b",), ("c",)], [("a", "b", "c"), ("b",)]])
@pytest.mark.parametrize("rows", [50.0, 1e4, 1e9])
def test_an_estimate_converges_and_proves_it(cliques, rows):
    found = estimate(DOMAIN, noisy_marginals(DOMAIN, cliques, rows, 5.0, seed=1), max_cells=CELLS).convergence
    assert found.converged
    assert found.gap <= 1e-3 * found.noise_floor


@pytest.mark.parametrize("cliques", [CHAIN, CYCLE])
def test_an_estimate_that_is_stopped_early_says_that_it_has_not_converged(cliques):
    domain = Domain(("a", "b", "c"), (9, 10, 11))
    measurements = noisy_marginals(domain, cliques, 300.0, 10.0, seed=1)
    stopped = estimate(domain, measurements, max_cells=CELLS, max_iterations=1).convergence
    assert not stopped.converged
    assert stopped.iterations == 1
    best = estimate(domain, measurements, max_cells=CELLS).convergence
    assert best.converged
    assert stopped.gap > best.gap
    # On a chain what was stopped is near the optimum of loss and entropy, and its gap is of both.
    assert cliques == CHAIN or stopped.loss - best.loss <= stopped.gap


@pytest.mark.parametrize(
    "sizes", [(1,), (5,), (1, 1), (1, 7), (2, 1, 3)], ids=lambda sizes: "x".join(map(str, sizes))
)
@pytest.mark.parametrize("rows", [0.0, 1.0, 1e9])
@pytest.mark.parametrize("sigma", [1e-3, 1.0, 1e7])
def test_small_domains_at_extreme_totals_and_noise_give_a_proper_model(sizes, rows, sigma):
    domain = Domain(tuple("abc")[: len(sizes)], sizes)
    cliques = [domain.attributes, *[(a,) for a in domain]]
    estimated = estimate(domain, noisy_marginals(domain, cliques, rows, sigma, seed=3), max_cells=CELLS)
    require_proper(estimated.model)
    assert estimated.convergence.converged


LONG = Domain(tuple(f"c{i:02}" for i in range(40)), tuple(3 + i % 5 for i in range(40)))
SHAPES = {
    "chain": [(f"c{i:02}", f"c{i + 1:02}") for i in range(39)],
    "star": [("c00", f"c{i:02}") for i in range(1, 40)],
    "tree": [(f"c{(i * i) % (i + 1):02}", f"c{i + 1:02}") for i in range(39)],
}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("sigma", [1.0, 300.0])
def test_a_wide_tree_of_pairs_converges_in_a_handful_of_steps(shape, sigma):
    random = np.random.default_rng(4)
    cliques = [*SHAPES[shape], *[(a,) for a in LONG]]
    noisy = [
        measurement(c, 1e4 / LONG.cells(c) + random.normal(0, sigma, LONG.shape(c)), sigma) for c in cliques
    ]
    found = estimate(LONG, noisy, max_cells=CELLS).convergence
    assert found.converged
    assert found.iterations <= 10


@pytest.mark.parametrize("shape", SHAPES)
def test_elimination_and_conjugate_gradients_find_the_same_optimum(shape, monkeypatch):
    random = np.random.default_rng(5)
    noisy = [measurement(c, random.normal(40, 30, LONG.shape(c)), 30.0) for c in SHAPES[shape]]
    exact = estimate(LONG, noisy, max_cells=CELLS, tolerance=1e-6).convergence
    monkeypatch.setattr(fronts, "LARGEST_FRONT", 0)
    rounds = estimate(LONG, noisy, max_cells=CELLS, tolerance=1e-5).convergence
    assert exact.iterations <= rounds.iterations
    assert -exact.gap <= rounds.loss - exact.loss <= rounds.gap


def require_proper(model: GraphicalModel) -> None:
    for table in model.probabilities:
        assert np.isfinite(table).all()
        assert (table >= 0).all()
        assert table.sum() == pytest.approx(1.0)
    assert model.total >= 0


@pytest.mark.parametrize("noisy", [[-3.0, -1.0], [0.0, 0.0], [2.0, -5.0]])
def test_a_total_that_is_not_positive_gives_the_uniform_model_of_no_rows(noisy):
    estimated = estimate(Domain(("a", "b"), (2, 3)), [measurement(("a",), noisy)], max_cells=CELLS)
    assert estimated.model.total == 0.0
    assert (estimated.model.marginal(("a", "b")) == 0).all()
    assert np.allclose(estimated.model.probabilities[0], 1 / estimated.model.probabilities[0].size)


def test_an_attribute_that_nothing_measures_is_uniform():
    model = estimate(DOMAIN, [measurement(("a",), [10.0, 30.0])], max_cells=CELLS).model
    assert np.allclose(model.marginal(("c",)), 10.0)
    assert np.allclose(model.marginal(("a", "c")), np.outer([2.5, 7.5], np.ones(4)))


def test_nothing_measured_gives_the_uniform_model_of_the_given_total():
    estimated = estimate(DOMAIN, [], max_cells=CELLS, total=24.0)
    assert np.allclose(estimated.model.marginal(("a", "b", "c")), 1.0)
    assert estimated.convergence.converged


def test_measurements_of_one_clique_are_combined_by_inverse_variance():
    domain = Domain(("a",), (2,))
    both = [measurement(("a",), [10.0, 20.0], sigma=1.0), measurement(("a",), [14.0, 24.0], sigma=2.0)]
    model = estimate(domain, both, max_cells=CELLS).model
    assert np.allclose(model.marginal(("a",)), [10.8, 20.8], rtol=1e-4)


def test_a_measurement_with_its_axes_in_another_order_is_turned():
    values = np.arange(1.0, 7.0).reshape(3, 2)
    model = estimate(DOMAIN, [measurement(("b", "a"), values)], max_cells=CELLS).model
    assert np.allclose(model.marginal(("b", "a")), values, rtol=1e-4)
    assert np.allclose(model.marginal(("a", "b")), values.T, rtol=1e-4)


def test_the_total_is_the_inverse_variance_mean_of_the_noisy_totals():
    found = estimated_total(
        DOMAIN, [measurement(("a",), [10.0, 20.0], 1.0), measurement(("b",), [10.0, 10.0, 16.0], 2.0)]
    )
    assert found == pytest.approx((30 / 2 + 36 / 12) / (1 / 2 + 1 / 12))
    assert estimated_total(DOMAIN, []) == 0.0
    assert estimate(DOMAIN, [measurement((), 40.0)], max_cells=CELLS).model.total == pytest.approx(40.0)


def test_a_model_above_the_limit_is_refused():
    domain = Domain(("a", "b"), (10_000, 10_000))
    ones = [measurement(("a",), np.ones(10_000)), measurement(("b",), np.ones(10_000))]
    assert estimate(domain, ones, max_cells=20_000).model.cells == 20_000
    with pytest.raises(DomainTooLargeError):
        estimate(domain, ones, max_cells=19_999)


def test_progress_is_told_of_each_step():
    said: list[str] = []
    estimate(DOMAIN, noisy_marginals(DOMAIN, CHAIN, 1e4, 5.0, 1), max_cells=CELLS, progress=said.append)
    assert said
    assert all(line.startswith("estimate: step") for line in said)


def test_a_model_survives_its_bytes_exactly():
    model = estimate(DOMAIN, noisy_marginals(DOMAIN, CHAIN, 1e4, 5.0, 1), max_cells=CELLS).model
    read = GraphicalModel.from_bytes(model.to_bytes())
    assert read.to_bytes() == model.to_bytes()
    assert (read.marginal(("c", "a")) == model.marginal(("c", "a"))).all()
    assert read.total == model.total


@pytest.mark.parametrize(
    "damage", [lambda b: b[:-30], lambda b: b"", lambda b: b.replace(b"header", b"hxader")]
)
def test_damaged_bytes_are_refused_without_pickle(damage):
    model = estimate(DOMAIN, [measurement(("a",), [1.0, 2.0])], max_cells=CELLS).model
    with pytest.raises(InputError):
        GraphicalModel.from_bytes(damage(model.to_bytes()))


def test_a_warm_start_reaches_the_same_model_in_fewer_steps():
    domain = Domain(tuple("abcd"), (6, 5, 4, 3))
    ring = [("a", "b"), ("b", "c"), ("c", "d"), ("a", "d")]
    measurements = noisy_marginals(domain, ring, 1e4, 10.0, seed=4)
    before = estimate(domain, measurements[:3], max_cells=CELLS)
    cold = estimate(domain, measurements, max_cells=CELLS, tolerance=1e-6)
    near = estimate(domain, measurements, max_cells=CELLS, tolerance=1e-2)
    warm = estimate(domain, measurements, max_cells=CELLS, tolerance=1e-6, warm_start=near)
    from_a_forest = estimate(domain, measurements, max_cells=CELLS, tolerance=1e-6, warm_start=before)
    assert warm.convergence.iterations < cold.convergence.iterations
    for other in (warm, from_a_forest):
        assert other.convergence.converged
        assert np.allclose(other.model.marginal("abcd"), cold.model.marginal("abcd"), atol=0.3)


def test_zeros_that_leave_no_row_are_refused():
    first = np.zeros((2, 3), dtype=bool)
    first[0] = True
    second = np.zeros((2, 4), dtype=bool)
    second[1] = True
    zeros = [
        StructuralZeros(clique=("a", "b"), forbidden=first),
        StructuralZeros(clique=("a", "c"), forbidden=second),
    ]
    for measurements in ([], noisy_marginals(DOMAIN, CYCLE, 100.0, 5.0, seed=1)):
        with pytest.raises(ConfigurationError, match="leave no row possible"):
            estimate(DOMAIN, measurements, max_cells=CELLS, total=100.0, zeros=zeros)


@pytest.mark.parametrize(
    "forbidden", [np.ones((2, 3), dtype=bool), np.zeros(2, dtype=bool), np.zeros((2, 3))]
)
def test_zeros_that_forbid_everything_or_have_a_wrong_shape_are_refused(forbidden):
    with pytest.raises(ConfigurationError, match="forbidden"):
        StructuralZeros(clique=("a", "b"), forbidden=forbidden)


def test_zeros_of_another_shape_than_their_marginal_are_refused():
    zeros = [StructuralZeros(clique=("a", "b"), forbidden=np.zeros((3, 2), dtype=bool))]
    with pytest.raises(ConfigurationError, match="shape"):
        estimate(DOMAIN, [], max_cells=CELLS, total=10.0, zeros=zeros)


def test_zeros_hold_where_nothing_was_measured_and_where_there_are_no_rows():
    forbidden = np.zeros((3, 2), dtype=bool)
    forbidden[2, 1] = True
    zeros = [StructuralZeros(clique=("b", "a"), forbidden=forbidden)]
    for rows in (50.0, 0.0):
        model = estimate(DOMAIN, [], max_cells=CELLS, total=rows, zeros=zeros).model
        assert model.total == rows
        table = next(t for c, t in zip(model.cliques, model.probabilities, strict=True) if c == ("a", "b"))
        assert table[1, 2] == 0
        assert np.allclose(table[table > 0], 1 / 5)


@pytest.mark.parametrize("entropy", [0.0, -1.0, float("nan")])
def test_an_entropy_that_is_not_positive_is_refused(entropy):
    with pytest.raises(ValueError, match="must be positive"):
        estimate(DOMAIN, [], max_cells=CELLS, total=10.0, entropy=entropy)
