from __future__ import annotations

from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spark_dp.errors import DomainTooLargeError
from spark_dp.graphical.cliques import downward_closure, maximal_cliques, smallest_superset
from spark_dp.graphical.junction_tree import build_junction_tree
from spark_dp.schema.domain import Domain

DOMAIN = Domain(("a", "b", "c", "d", "e"), (2, 3, 4, 5, 1))
SUBSETS = [c for n in range(4) for c in combinations(DOMAIN.attributes, n)]


def holds_running_intersection(tree) -> bool:
    """Whether what a clique shares with all cliques before it lies in its parent."""
    for node, clique in enumerate(tree.cliques):
        before = {a for other in tree.cliques[:node] for a in other}
        parent = set(tree.cliques[tree.parents[node]]) if tree.parents[node] >= 0 else set()
        shared = set(clique) & before
        if not shared <= parent or set(tree.separators[node]) != shared or tree.parents[node] >= node:
            return False
    return True


@given(st.lists(st.sampled_from(SUBSETS), max_size=7))
@settings(max_examples=60, deadline=None)
def test_every_tree_covers_its_cliques_and_keeps_the_running_intersection(cliques):
    tree = build_junction_tree(DOMAIN, cliques, max_cells=10**6)
    assert holds_running_intersection(tree)
    assert {a for clique in tree.cliques for a in clique} == set(DOMAIN)
    assert maximal_cliques(tree.cliques) == tree.cliques
    assert all(smallest_superset(DOMAIN, clique, tree.cliques) is not None for clique in cliques)


def test_a_tree_with_a_wrong_parent_is_recognised():
    tree = build_junction_tree(DOMAIN, [("a", "b"), ("b", "c"), ("c", "d")], max_cells=10**6)
    wrong = type(tree)(
        domain=tree.domain,
        cliques=tree.cliques,
        parents=(-1, 0, 0, *tree.parents[3:]),
        separators=tree.separators,
    )
    assert holds_running_intersection(tree)
    assert not holds_running_intersection(wrong)


def test_a_cycle_is_triangulated_without_the_large_attribute_meeting_all():
    domain = Domain(("a", "b", "c", "d"), (100, 2, 2, 100))
    tree = build_junction_tree(domain, [("a", "b"), ("b", "d"), ("c", "d"), ("a", "c")], max_cells=10**6)
    assert sorted(tree.cliques) == [("a", "b", "c"), ("b", "c", "d")]
    assert tree.cells == 800


def test_a_tree_above_the_limit_is_refused_before_anything_is_allocated():
    domain = Domain(tuple("abcdefgh"), (1000,) * 8)
    with pytest.raises(DomainTooLargeError, match=r"Nothing was allocated") as refused:
        build_junction_tree(domain, [domain.attributes], max_cells=10**7)
    assert str(1000**8) in str(refused.value)


def test_a_tree_exactly_at_the_limit_is_built():
    assert build_junction_tree(DOMAIN, [("a", "b")], max_cells=6 + 4 + 5 + 1).cells == 16
    with pytest.raises(DomainTooLargeError):
        build_junction_tree(DOMAIN, [("a", "b")], max_cells=15)


def test_attributes_that_nothing_names_stand_alone():
    tree = build_junction_tree(DOMAIN, [], max_cells=100)
    assert sorted(tree.cliques) == [(a,) for a in DOMAIN]
    assert set(tree.parents) == {-1}


def test_the_downward_closure_has_every_subset_once_in_order():
    assert downward_closure(DOMAIN, [("c", "a"), ("a", "c"), ("b",)]) == (("a",), ("b",), ("c",), ("a", "c"))


def test_of_several_supersets_the_one_with_fewest_cells_is_found():
    assert smallest_superset(DOMAIN, ("a",), [("a", "d"), ("a", "b"), ("c",)]) == 1
    assert smallest_superset(DOMAIN, ("a", "e"), [("a", "d"), ("b", "e")]) is None
