"""AIM's own choices, with a curator that answers exactly and selects the best score."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.counting import ArraySource, random_codes
from test_mst import NoiselessCurator

from spark_dp.errors import ConfigurationError
from spark_dp.graphical.junction_tree import build_junction_tree
from spark_dp.graphical.zeros import StructuralZeros
from spark_dp.mechanisms.aim import AIM, AIMShares, importances
from spark_dp.mechanisms.workload import Workload
from spark_dp.privacy.sensitivity import Contribution, Neighbours
from spark_dp.schema.domain import Domain

ONE_ROW = Contribution(max_rows=1, unit=1, neighbours=Neighbours.ADD_REMOVE)
RHO = Fraction(1)
DOMAIN = Domain(("a", "b", "c", "d"), (4, 4, 4, 4))


def run(
    source: ArraySource,
    *,
    degree=3,
    max_cells=10_000,
    shares: AIMShares | None = None,
    workload=None,
    zeros=(),
):
    mechanism = AIM(shares=shares or AIMShares())
    workload = workload or Workload.of_degree(source.domain, degree)
    plan = mechanism.plan(
        source.domain, rho=RHO, contribution=ONE_ROW, workload=workload, max_cells=max_cells, zeros=zeros
    )
    curator, said = NoiselessCurator(source, RHO), []
    measured = mechanism.measure(curator, plan, said.append)
    return plan, curator, [m.clique for m in measured if len(m.clique) > 1], said


def table(rows=20_000):
    return ArraySource(DOMAIN, random_codes(DOMAIN, rows, 1))


def test_the_rounds_use_everything_and_find_what_depends():
    _, curator, chosen, said = run(table())
    assert curator.remaining == 0
    assert {frozenset(pair) for pair in (("a", "b"), ("b", "c"), ("c", "d"))} <= {
        frozenset(p) for c in chosen for p in pairwise(c)
    }
    assert len(said) >= len(chosen)


def test_rounds_get_more_where_they_bring_little():
    _, curator, _, said = run(table())
    selected = [rho for name, rho in curator.charges if name.endswith("/select")]
    assert selected[-1] > 4 * selected[0]
    assert len(selected) < 16 * len(DOMAIN)
    assert any("less noise from now on" in line or "stop" in line for line in said)


def test_independent_columns_get_everything_themselves():
    codes = np.stack(np.unravel_index(np.arange(4**4), (4,) * 4), axis=1)
    _, curator, chosen, _ = run(ArraySource(DOMAIN, codes))
    assert chosen == []
    assert curator.remaining == 0
    assert curator.charges[-1][0].startswith("aim/one-way-again")


@pytest.mark.parametrize("max_cells", [16, 28, 64, 200])
def test_the_model_keeps_within_its_size_and_all_is_spent(max_cells):
    plan, curator, chosen, said = run(table(), max_cells=max_cells)
    assert build_junction_tree(DOMAIN, chosen, max_cells=max_cells).cells <= max_cells
    assert curator.remaining == 0
    if max_cells == 16:
        assert chosen == []
        assert len(plan.countable) == 4
        assert any("no marginal of two columns" in line for line in said)


@settings(max_examples=25, deadline=None)
@given(
    sizes=st.lists(st.integers(1, 5), min_size=1, max_size=4),
    rounds=st.integers(1, 16),
    one_way=st.fractions(min_value=Fraction(1, 100), max_value=Fraction(99, 100)),
    selection=st.fractions(min_value=Fraction(1, 100), max_value=Fraction(99, 100)),
    degree=st.integers(1, 4),
    room=st.integers(0, 100),
    rows=st.integers(0, 3000),
)
def test_whatever_the_rounds_the_budget_is_spent_and_not_exceeded(
    sizes, rounds, one_way, selection, degree, room, rows
):
    domain = Domain(tuple("abcd"[: len(sizes)]), tuple(sizes))
    shares = AIMShares(one_way=one_way, selection=selection, rounds_per_column=rounds)
    source = ArraySource(domain, random_codes(domain, rows, 3))
    plan, curator, chosen, _ = run(source, degree=degree, max_cells=sum(sizes) + room, shares=shares)
    assert curator.remaining == 0
    assert sum(query.rho for query in plan.queries) == RHO
    assert all(rho > 0 for _, rho in curator.charges)
    assert set(chosen) <= set(plan.countable)


def test_more_rounds_than_candidates_measure_some_again():
    domain = Domain(("a", "b"), (4, 4))
    _, curator, chosen, _ = run(ArraySource(domain, random_codes(domain, 5000, 1)))
    assert set(chosen) == {("a", "b")}
    assert curator.remaining == 0


def test_custom_cliques_are_the_only_ones_that_are_looked_at():
    workload = Workload.of_cliques(DOMAIN, [(("a", "b", "d"), 3)])
    plan, _, chosen, _ = run(table(), workload=workload)
    assert set(plan.countable) == {
        *[(a,) for a in DOMAIN],
        ("a", "b"),
        ("a", "d"),
        ("b", "d"),
        ("a", "b", "d"),
    }
    assert chosen
    assert importances(workload, [("a", "b"), ("a", "b", "d")]) == {
        ("a", "b"): Fraction(round(2 / 3 * 2**20), 2**20),
        ("a", "b", "d"): 1,
    }


def test_a_constraint_that_most_rows_break_does_not_take_every_round():
    same = StructuralZeros(clique=("a", "b"), forbidden=np.eye(4, dtype=bool))
    rng = np.random.default_rng(1)
    a, c = rng.integers(0, 4, (2, 20_000))
    codes = np.stack([a, a, c, (c + (rng.random(20_000) < 0.2)) % 4], axis=1)
    _, curator, chosen, _ = run(ArraySource(DOMAIN, codes), zeros=[same], degree=2)
    assert ("c", "d") in chosen
    assert sum({"a", "b"} <= set(clique) for clique in chosen) <= 2
    assert curator.remaining == 0


def test_triples_of_many_cells_are_planned_where_their_pairs_are_not_too_many():
    adult = Domain(tuple("abcdefghijklmn"), (85, 9, 100, 16, 7, 15, 6, 5, 2, 100, 100, 99, 42, 2))
    workload = Workload.of_degree(adult, 3)
    plan = AIM().plan(adult, rho=RHO, contribution=ONE_ROW, workload=workload, max_cells=10**7)
    assert sum(1 for clique in plan.countable if len(clique) == 3) == 364


def test_columns_may_be_chosen_again_and_those_outside_the_workload_are_not():
    skewed = random_codes(DOMAIN, 300, 1)
    workload = Workload.of_cliques(DOMAIN, [(("a", "b"), 1)])
    _, curator, _, _ = run(ArraySource(DOMAIN, skewed), workload=workload)
    offered = {clique for round_ in curator.candidates for clique in round_}
    assert offered == {(), ("a",), ("b",), ("a", "b")}


@pytest.mark.parametrize("shares", [{"one_way": 0}, {"selection": 1}, {"rounds_per_column": 0}])
def test_shares_that_make_no_sense_are_refused(shares):
    with pytest.raises(ConfigurationError):
        AIMShares(**shares)
