"""What every mechanism in the catalog must do."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from desks import BUDGET, ONE_ROW, Desk, spent
from hypothesis import given, settings
from hypothesis import strategies as st
from support.counting import ArraySource, random_codes

from spark_dp.errors import BudgetError, ConfigurationError, DomainTooLargeError
from spark_dp.graphical.estimation import estimate
from spark_dp.mechanisms.catalog import MECHANISMS, mechanism_named
from spark_dp.mechanisms.workload import Workload
from spark_dp.pipeline.plan_limits import require_drawable
from spark_dp.privacy.composition import Accounting
from spark_dp.privacy.ledger import Ledger
from spark_dp.privacy.noise_law import NoiseLaw
from spark_dp.privacy.sensitivity import Contribution, Neighbours
from spark_dp.schema.domain import Domain

MAX_CELLS = 10_000
DOMAIN = Domain(("a", "b", "c", "d"), (2, 3, 1, 20))
CONTRIBUTIONS = [
    ONE_ROW,
    replace(ONE_ROW, neighbours=Neighbours.REPLACE),
    Contribution(max_rows=5, unit=1 << 20, neighbours=Neighbours.ADD_REMOVE),
]
every_mechanism = pytest.mark.parametrize("mechanism", MECHANISMS.values(), ids=MECHANISMS.keys())


def plan_for(mechanism, domain, contribution=ONE_ROW, rho=BUDGET.rho, degree=2, max_cells=MAX_CELLS):
    workload = Workload.of_degree(domain, degree)
    return mechanism.plan(domain, rho=rho, contribution=contribution, workload=workload, max_cells=max_cells)


def table(domain=DOMAIN, rows=400, seed=1, unit=1) -> ArraySource:
    codes = random_codes(domain, rows, seed)
    return ArraySource(domain, codes, np.full(len(codes), unit, dtype=np.int64))


def silent(line: str) -> None:
    pass


@every_mechanism
@pytest.mark.parametrize("contribution", CONTRIBUTIONS, ids=["one-row", "replace", "weighted"])
def test_a_run_spends_exactly_its_budget_and_asks_for_nothing_unplanned(mechanism, contribution, tmp_path):
    source = table(unit=contribution.unit)
    curator = Desk(tmp_path, contribution).curator(source)
    plan = plan_for(mechanism, DOMAIN, contribution)
    measurements = mechanism.measure(curator, plan, silent)
    assert sum(query.rho for query in plan.queries) == plan.rho == BUDGET.rho
    assert BUDGET.rho - Fraction(1, 10**12) <= spent(curator) <= BUDGET.rho
    assert set(source.asked) <= set(plan.countable)
    assert {a for m in measurements for a in m.clique} == set(DOMAIN)


@every_mechanism
def test_a_run_of_a_gaussian_account_spends_its_budget_on_rounded_noise(mechanism, tmp_path):
    desk, budget = Desk(tmp_path, accounting=Accounting.GAUSSIAN), BUDGET.rho_in(Accounting.GAUSSIAN)
    curator = desk.curator(table())
    measurements = mechanism.measure(curator, plan_for(mechanism, DOMAIN, rho=budget), silent)
    assert {m.law for m in measurements} == {NoiseLaw.ROUNDED}
    assert budget - Fraction(1, 10**12) <= spent(curator) <= budget
    assert Ledger.connect(desk.url).show("people").asked.gaussian_rho == spent(curator)


def loudest(mechanism, domain) -> Contribution:
    """The largest bound, within a thousandth, whose noise a plan may have."""
    low, high = 1, 10**9
    while high - low > low / 1000:
        middle = Contribution(max_rows=(low + high) // 2, unit=1 << 20, neighbours=Neighbours.REPLACE)
        try:
            require_drawable(plan_for(mechanism, domain, middle), ())
            low = middle.max_rows
        except ConfigurationError as error:
            assert error.field == "privacy.unit.max_rows"
            high = middle.max_rows
    return Contribution(max_rows=low, unit=1 << 20, neighbours=Neighbours.REPLACE)


@every_mechanism
def test_all_noise_that_a_plan_may_have_can_be_drawn_where_marginals_differ_in_size(mechanism, tmp_path):
    domain = Domain(("a", "b", "c", "d", "e"), (2, 2, 2, 30, 100))
    contribution = loudest(mechanism, domain)
    source = table(domain, unit=contribution.weight)
    curator = Desk(tmp_path, contribution).curator(source)
    plan = plan_for(mechanism, domain, contribution)
    assert max(q.stddev for q in plan.queries if q.kind != "select") > 2**20
    assert mechanism.measure(curator, plan, silent)
    assert spent(curator) >= BUDGET.rho - Fraction(1, 10**12)


@every_mechanism
def test_a_plan_for_more_than_the_run_has_is_refused(mechanism, tmp_path):
    curator = Desk(tmp_path).curator(table())
    plan = plan_for(mechanism, DOMAIN, rho=2 * BUDGET.rho)
    with pytest.raises(BudgetError):
        mechanism.measure(curator, plan, silent)
    assert spent(curator) <= BUDGET.rho


@every_mechanism
@pytest.mark.parametrize(
    "domain",
    [Domain(("a",), (7,)), Domain(("a",), (1,)), Domain(("a", "b"), (2, 3)), Domain(("a", "b"), (1, 1))],
    ids=["one column", "one value", "two columns", "two values"],
)
@pytest.mark.parametrize("rows", [0, 1, 300])
def test_small_tables_give_a_proper_model(mechanism, domain, rows, tmp_path):
    curator = Desk(tmp_path).curator(table(domain, rows))
    plan = plan_for(mechanism, domain)
    estimated = estimate(domain, mechanism.measure(curator, plan, silent), max_cells=MAX_CELLS)
    assert spent(curator) <= BUDGET.rho
    assert estimated.convergence.converged
    assert estimated.model.total >= 0
    assert all(t.sum() == pytest.approx(1.0) and (t >= 0).all() for t in estimated.model.probabilities)


@every_mechanism
def test_a_replay_gives_the_identical_measurements_and_counts_nothing(mechanism, tmp_path):
    desk, plan = Desk(tmp_path), plan_for(mechanism, DOMAIN)
    first = mechanism.measure(desk.curator(table()), plan, silent)
    again = ArraySource(DOMAIN, np.zeros((0, 4), dtype=np.int64))
    replayed = mechanism.measure(desk.curator(again), plan, silent)
    assert again.asked == []
    assert [m.clique for m in first] == [m.clique for m in replayed]
    assert all((m.noisy == r.noisy).all() for m, r in zip(first, replayed, strict=True))


@every_mechanism
def test_a_new_run_draws_anew(mechanism, tmp_path):
    desk, plan = Desk(tmp_path), plan_for(mechanism, DOMAIN)
    first = mechanism.measure(desk.curator(table()), plan, silent)
    other = mechanism.measure(desk.curator(table(), key="other"), plan, silent)
    assert any((m.noisy != o.noisy).any() for m, o in zip(first, other, strict=False))


@every_mechanism
def test_noise_in_rows_grows_with_the_rows_of_a_unit_and_not_with_the_fixed_point(mechanism):
    one = plan_for(mechanism, DOMAIN)
    many = plan_for(
        mechanism, DOMAIN, Contribution(max_rows=7, unit=1 << 20, neighbours=Neighbours.ADD_REMOVE)
    )
    replaced = plan_for(mechanism, DOMAIN, replace(ONE_ROW, neighbours=Neighbours.REPLACE))
    for single, seven, twice in zip(one.queries, many.queries, replaced.queries, strict=True):
        assert seven.stddev == pytest.approx(7 * single.stddev)
        factor = np.sqrt(2) if single.kind == "measure" else 2
        assert twice.stddev == pytest.approx(factor * single.stddev)


@every_mechanism
def test_the_noise_of_the_first_measurements_is_as_planned(mechanism, tmp_path):
    contribution = CONTRIBUTIONS[2]
    plan = plan_for(mechanism, DOMAIN, contribution)
    curator = Desk(tmp_path, contribution).curator(table(unit=contribution.unit))
    planned = {query.name: query.stddev for query in plan.queries if query.kind == "measure"}
    for measured in mechanism.measure(curator, plan, silent):
        if measured.query in planned:
            assert measured.stddev == pytest.approx(planned[measured.query], rel=1e-9)


@every_mechanism
def test_a_plan_is_a_function_of_the_configuration(mechanism):
    assert plan_for(mechanism, DOMAIN) == plan_for(mechanism, DOMAIN)
    assert plan_for(mechanism, DOMAIN) != plan_for(mechanism, DOMAIN, rho=BUDGET.rho / 2)


@every_mechanism
def test_marginals_above_the_models_size_are_not_asked_for(mechanism):
    least = sum(DOMAIN.sizes)
    assert all(DOMAIN.cells(c) <= least for c in plan_for(mechanism, DOMAIN, max_cells=least).countable)
    with pytest.raises(DomainTooLargeError, match="Nothing was spent"):
        plan_for(mechanism, DOMAIN, max_cells=least - 1)


@every_mechanism
@pytest.mark.parametrize("rho", [Fraction(0), Fraction(-1, 10)])
def test_a_budget_that_is_not_positive_is_refused(mechanism, rho):
    with pytest.raises(ConfigurationError):
        plan_for(mechanism, DOMAIN, rho=rho)


@every_mechanism
def test_a_domain_without_columns_is_refused(mechanism):
    with pytest.raises(ConfigurationError, match="no column"):
        plan_for(mechanism, Domain((), ()))


@every_mechanism
@given(
    sizes=st.lists(st.integers(1, 6), min_size=1, max_size=5),
    rows=st.integers(0, 60),
    neighbours=st.sampled_from(Neighbours),
    max_rows=st.integers(1, 9),
    degree=st.integers(1, 3),
    room=st.integers(0, 30),
)
@settings(max_examples=12, deadline=None)
def test_any_small_table_is_measured_within_budget(
    mechanism, sizes, rows, neighbours, max_rows, degree, room
):
    domain = Domain(tuple("abcde"[: len(sizes)]), tuple(sizes))
    contribution = Contribution(max_rows=max_rows, unit=1, neighbours=neighbours)
    max_cells = sum(sizes) + room
    plan = plan_for(mechanism, domain, contribution, degree=degree, max_cells=max_cells)
    source = table(domain, rows)
    with tempfile.TemporaryDirectory() as folder:
        curator = Desk(Path(folder), contribution).curator(source)
        measurements = mechanism.measure(curator, plan, silent)
        assert spent(curator) <= BUDGET.rho
    assert set(source.asked) <= set(plan.countable)
    estimated = estimate(domain, measurements, max_cells=max_cells)
    assert estimated.convergence.converged
    assert estimated.model.cells <= max_cells


def test_an_unknown_mechanism_is_refused_with_the_nearest_name():
    assert mechanism_named("mst").name == "mst"
    with pytest.raises(ConfigurationError, match="Did you mean 'mst'"):
        mechanism_named("mts")
