"""Which marginals are compared, and that their cells stay within the limit."""

from __future__ import annotations

import itertools
import math

import pytest

from spark_dp.evaluation import choice
from spark_dp.evaluation.choice import choose_cliques, combination_at
from spark_dp.schema.domain import Domain

SMALL = Domain(("b", "a", "c", "d"), (2, 3, 5, 7))
WIDE = Domain(tuple(f"c{i}" for i in range(100)), tuple(2 + i % 9 for i in range(100)))


def cells(domain, cliques):
    return sum(domain.cells(clique) for clique in cliques)


def test_all_marginals_of_up_to_three_columns_are_compared_where_they_fit():
    found = choose_cliques(SMALL, cells=10_000)
    assert found.cliques == tuple(
        itertools.chain.from_iterable(itertools.combinations(SMALL.attributes, n) for n in (1, 2, 3))
    )
    assert {n: (c.compared, c.of) for n, c in found.coverage.items()} == {1: (4, 4), 2: (6, 6), 3: (4, 4)}


@pytest.mark.parametrize("budget", [0, 1, 17, 100, 1000, 20_000, 60_000, 200_000, 10_000_000])
def test_the_cells_of_a_wide_table_stay_within_the_limit(budget):
    found = choose_cliques(WIDE, cells=budget)
    assert cells(WIDE, found.cliques) <= budget
    assert len(set(found.cliques)) == len(found.cliques)
    assert all(clique == WIDE.canonical(clique) for clique in found.cliques)
    for degree in (1, 2, 3):
        compared = sum(len(clique) == degree for clique in found.cliques)
        assert (found.coverage[degree].compared, found.coverage[degree].of) == (
            compared,
            math.comb(100, degree),
        )


def test_a_wide_table_has_all_its_columns_and_pairs_and_some_of_its_triples_compared():
    found = choose_cliques(WIDE, cells=1 << 24).coverage
    assert {n: (c.compared, c.of) for n, c in found.items()} == {
        1: (100, 100),
        2: (4950, 4950),
        3: (1000, 161_700),
    }


def test_triples_keep_their_part_where_pairs_do_not_fit():
    found = choose_cliques(WIDE, cells=20_000).coverage
    assert 0 < found[2].compared < 4950
    assert found[3].compared > 0


def test_the_choice_is_fixed():
    assert choose_cliques(WIDE, cells=50_000) == choose_cliques(WIDE, cells=50_000)


def test_the_triples_that_are_chosen_are_spread_over_all_columns():
    triples = [c for c in choose_cliques(WIDE, cells=1 << 24).cliques if len(c) == 3]
    assert {a for triple in triples for a in triple} == set(WIDE.attributes)


def test_a_marginal_that_is_too_large_by_itself_is_left_out_and_the_others_are_not():
    domain = Domain(("huge", "a", "b"), (choice.MOST_CELLS, 2, 3))
    found = choose_cliques(domain, cells=1 << 24)
    assert found.cliques == (("huge",), ("a",), ("b",), ("a", "b"))


def test_one_column_has_no_pairs():
    found = choose_cliques(Domain(("a",), (2,)), cells=100)
    assert (found.cliques, list(found.coverage)) == ((("a",),), [1])


@pytest.mark.parametrize("degree", [1, 2, 3])
def test_every_combination_has_one_rank(degree):
    found = {combination_at(rank, degree) for rank in range(math.comb(9, degree))}
    assert found == set(itertools.combinations(range(9), degree))
