from __future__ import annotations

import hashlib

import numpy as np
import pytest
from support.noise import measurement, noisy_marginals

from spark_dp.errors import InputError
from spark_dp.graphical.estimation import estimate
from spark_dp.graphical.sampling import MAX_CHUNK_ROWS, SamplingPlan, SamplingStep, sample
from spark_dp.schema.domain import Domain

DOMAIN = Domain(("a", "b", "c", "d", "e"), (2, 3, 4, 300, 1))
CLIQUES = [("a", "b"), ("b", "c"), ("d",)]


def a_plan() -> SamplingPlan:
    domain = Domain(DOMAIN.attributes[:3], DOMAIN.sizes[:3])
    measured = [
        *noisy_marginals(domain, CLIQUES[:2], 1e4, 5.0, seed=2),
        measurement(("d",), np.arange(300.0)),
    ]
    return SamplingPlan.from_model(estimate(DOMAIN, measured, max_cells=10**6, total=1e4).model)


def stream(seed: int, chunk: int) -> np.random.PCG64:
    return np.random.PCG64(np.random.SeedSequence(seed, spawn_key=(chunk,)))


def digest(codes) -> str:
    return hashlib.sha256(b"".join(codes[a].astype("<u8").tobytes() for a in sorted(codes))).hexdigest()


def test_a_chunk_is_a_function_of_plan_seed_number_and_rows():
    plan = a_plan()
    first = digest(sample(plan, 1000, stream(7, 3)))
    assert digest(sample(SamplingPlan.from_bytes(plan.to_bytes()), 1000, stream(7, 3))) == first
    others = {digest(sample(plan, n, stream(s, c))) for s, c, n in [(8, 3, 1000), (7, 4, 1000), (7, 3, 999)]}
    assert len(others | {first}) == 4


def test_a_chunk_of_a_fixed_plan_is_the_same_everywhere():
    step = SamplingStep(given=(), drawn=("a",), cumulative=np.array([[0.25, 0.5, 1.0]]))
    given = np.array([[0.5, 1.0], [0.125, 1.0], [1.0, 1.0]])
    plan = SamplingPlan(
        domain=Domain(("a", "b"), (3, 2)),
        steps=(step, SamplingStep(given=("a",), drawn=("b",), cumulative=given)),
    )
    assert digest(sample(plan, 100, stream(7, 0))) == GOLDEN


GOLDEN = "60ce2fc19936b1002b19f7f2d13f641706964c59c1b251024fdf47baef611cb0"


def test_codes_are_of_the_smallest_type_and_in_range():
    codes = sample(a_plan(), 5000, stream(1, 0))
    assert list(codes) == list(DOMAIN)
    for attribute, values in codes.items():
        assert values.dtype == (np.uint16 if attribute == "d" else np.uint8)
        assert values.max() < DOMAIN.size(attribute)


@pytest.mark.parametrize("rows", [0, 1, 2, MAX_CHUNK_ROWS])
def test_a_chunk_has_the_rows_asked_for(rows):
    assert {len(values) for values in sample(a_plan(), rows, stream(1, 0)).values()} == {rows}


@pytest.mark.parametrize("rows", [-1, MAX_CHUNK_ROWS + 1])
def test_other_numbers_of_rows_are_refused(rows):
    with pytest.raises(ValueError, match="rows"):
        sample(a_plan(), rows, stream(1, 0))


def test_a_cell_of_probability_zero_is_never_drawn():
    model = estimate(Domain(("a",), (3,)), [measurement(("a",), [5.0, -9.0, 5.0], 0.1)], max_cells=9).model
    codes = sample(SamplingPlan.from_model(model), 1001, stream(1, 0))["a"]
    assert (codes != 1).all()
    assert abs(int((codes == 0).sum()) - 500.5) < 1


def test_a_clique_with_more_separator_cells_than_rows_relabels_its_groups():
    sizes = (3000, 2)
    domain = Domain(("a", "b"), sizes)
    step = SamplingStep(given=(), drawn=("a",), cumulative=np.arange(1, 3001)[None, :] / 3000)
    certain = np.zeros((3000, 2))
    certain[:, 1] = 1.0
    certain[::2, 0] = 1.0
    plan = SamplingPlan(
        domain=domain, steps=(step, SamplingStep(given=("a",), drawn=("b",), cumulative=certain))
    )
    codes = sample(plan, 50, stream(1, 0))
    assert (codes["b"] == codes["a"] % 2).all()


def test_a_table_that_does_not_rise_to_one_is_refused():
    for bad in ([[0.5, 0.4, 1.0]], [[0.5, 0.9]], [[np.nan, 1.0]]):
        with pytest.raises(ValueError, match="rise to 1"):
            SamplingStep(given=(), drawn=("a",), cumulative=np.array(bad))


def test_a_truncated_plan_is_refused():
    with pytest.raises(InputError):
        SamplingPlan.from_bytes(a_plan().to_bytes()[:-10])
