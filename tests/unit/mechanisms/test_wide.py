"""What a wide table gets instead of what it cannot have, and what is refused."""

from __future__ import annotations

from fractions import Fraction
from itertools import combinations

import pytest

from spark_dp.errors import DomainTooLargeError
from spark_dp.mechanisms.candidates import countable_candidates
from spark_dp.mechanisms.catalog import MECHANISMS
from spark_dp.mechanisms.wide import Degree, cells_of_degree
from spark_dp.mechanisms.workload import Workload
from spark_dp.privacy.sensitivity import Contribution, Neighbours
from spark_dp.schema.domain import Domain

WIDE = Domain(tuple(f"c{i:02}" for i in range(100)), (100,) * 100)
SMALL = Domain(tuple("abcde"), (2, 3, 4, 5, 6))
ONE_ROW = Contribution(max_rows=1, unit=1, neighbours=Neighbours.ADD_REMOVE)


@pytest.mark.parametrize("degree", range(6))
def test_the_cells_of_a_degree_are_those_of_all_its_groups(degree):
    groups = combinations(SMALL.attributes, degree)
    assert cells_of_degree(SMALL, degree) == sum(map(SMALL.cells, groups))


@pytest.mark.parametrize("asked", [3, 4, 50, 1000])
def test_a_wide_table_gets_pairs_and_is_told_why(asked):
    degree = Degree.of(WIDE, asked)
    assert degree.taken == 2
    assert "161,700 with 1.6e+11 cells" in degree.reason
    assert f"groups of {asked} columns" in degree.reason


@pytest.mark.parametrize(
    "domain, asked", [(SMALL, 1), (SMALL, 3), (SMALL, 5), (SMALL, 9), (WIDE, 1), (WIDE, 2)]
)
def test_what_can_be_had_is_taken_without_a_word(domain, asked):
    degree = Degree.of(domain, asked)
    assert (degree.taken, degree.reason) == (min(asked, len(domain)), None)


def planned(name, domain, max_cells=10**7):
    workload = Workload.of_degree(domain, 2)
    return MECHANISMS[name].plan(
        domain, rho=Fraction(1, 10), contribution=ONE_ROW, workload=workload, max_cells=max_cells
    )


@pytest.mark.parametrize("name", ["mst", "aim"])
def test_rounds_over_all_pairs_of_a_wide_table_are_refused_with_advice(name):
    with pytest.raises(DomainTooLargeError, match=r"Write mechanism\.name: oneshot or auto"):
        planned(name, WIDE)


def test_one_shot_looks_at_every_pair_of_a_wide_table():
    plan = planned("oneshot", WIDE)
    assert sum(1 for clique in plan.countable if len(clique) == 2) == 4950


def test_rounds_over_many_small_columns_are_planned():
    narrow = Domain(WIDE.attributes, (10,) * 100)
    assert len(planned("mst", narrow).queries) > 99
    assert planned("aim", narrow).queries


@pytest.mark.parametrize("name", ["oneshot", "aim", "mst"])
def test_a_limit_that_no_candidate_meets_and_a_table_of_one_column_leave_columns_alone(name):
    assert {len(c) for c in planned(name, SMALL, max_cells=sum(SMALL.sizes)).countable} == {1}
    alone = planned(name, Domain(("a",), (7,)))
    assert alone.countable == (("a",),)
    assert sum(query.rho for query in alone.queries) == alone.rho
    assert countable_candidates(Workload.of_degree(Domain(("a",), (7,)), 2), 100) == ()
