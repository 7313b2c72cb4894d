from __future__ import annotations

from fractions import Fraction
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spark_dp.errors import ConfigurationError
from spark_dp.mechanisms.allocation import allot
from spark_dp.mechanisms.workload import Workload
from spark_dp.schema.domain import Domain

DOMAIN = Domain(("a", "b", "c"), (2, 30, 400))


@given(
    st.lists(st.integers(1, 10**6), min_size=1, max_size=12), st.fractions(min_value="1/1000", max_value=9)
)
def test_an_allotment_adds_up_exactly_and_covers_every_marginal_once(sizes, rho):
    domain = Domain(tuple(f"c{i}" for i in range(len(sizes))), tuple(sizes))
    cliques = [(a,) for a in domain]
    parts = allot(domain, cliques, rho)
    assert sum(part.rho for part in parts) == rho
    assert sorted(c for part in parts for c in part.cliques) == sorted(cliques)


def test_larger_marginals_get_more_and_equal_ones_the_same():
    domain = Domain(("a", "b", "c", "d"), (2, 1024, 2, 1))
    shares = {
        c: p.rho / len(p.cliques)
        for p in allot(domain, [(a,) for a in domain], Fraction(1))
        for c in p.cliques
    }
    assert shares["b",] > shares["a",] == shares["c",] >= shares["d",]


def error(domain, parts) -> float:
    """The expected L1 error of all marginals, up to a constant."""
    return sum(
        domain.cells(c) * (len(part.cliques) / float(part.rho)) ** 0.5 for part in parts for c in part.cliques
    )


def test_an_allotment_is_within_five_percent_of_the_least_error_and_an_equal_one_is_not():
    domain = Domain(tuple(f"c{i}" for i in range(9)), (2, 3, 5, 9, 17, 60, 100, 300, 1000))
    cliques = [(a,) for a in domain]
    weights = [domain.cells(c) ** (2 / 3) for c in cliques]
    least = sum(domain.cells(c) * (sum(weights) / w) ** 0.5 for c, w in zip(cliques, weights, strict=True))
    equal = sum(domain.cells(c) * len(cliques) ** 0.5 for c in cliques)
    assert least <= error(domain, allot(domain, cliques, Fraction(1))) <= 1.05 * least
    assert equal > 1.1 * least


def test_a_degree_holds_all_cliques_of_that_many_attributes():
    assert Workload.of_degree(DOMAIN, 2).cliques == tuple(combinations("abc", 2))
    assert Workload.of_degree(DOMAIN, 9).cliques == (("a", "b", "c"),)
    assert Workload.of_degree(DOMAIN, 1).pair_weights() == {}
    assert set(Workload.of_degree(DOMAIN, 3).pair_weights().values()) == {1}


def test_pairs_weigh_what_the_cliques_that_hold_them_weigh():
    workload = Workload.of_cliques(DOMAIN, [(("c", "a"), 1), (("a", "b", "c"), Fraction(3)), (("a", "c"), 2)])
    assert workload.cliques == (("a", "b", "c"),)
    assert workload.pair_weights() == {("a", "b"): Fraction(1, 2), ("a", "c"): 1, ("b", "c"): Fraction(1, 2)}


@pytest.mark.parametrize("degree", [0, -1, True, 2.0, None])
def test_a_degree_that_is_no_positive_integer_is_refused(degree):
    with pytest.raises(ConfigurationError):
        Workload.of_degree(DOMAIN, degree)


@pytest.mark.parametrize("cliques", [[], [((), 1)], [(("a",), 0)], [(("a",), -1)], [(("z",), 1)]])
def test_a_workload_that_makes_no_sense_is_refused(cliques):
    with pytest.raises(ConfigurationError):
        Workload.of_cliques(DOMAIN, cliques)
