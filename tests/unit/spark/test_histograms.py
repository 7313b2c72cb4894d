"""Counting many marginals over blocks of codes, against counting each one by itself."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spark_dp.schema.domain import Domain
from spark_dp.spark import histograms
from spark_dp.spark.histograms import (
    HistogramAccumulator,
    counting_layout,
    margin,
    maximal,
    split_vector,
)

NAMES = "abcdef"


def brute_force(codes, domain, clique, weights=None):
    """One cell at a time, in the clique's own order of axes."""
    counts = np.zeros(domain.shape(clique), np.int64)
    rows = len(next(iter(codes.values())))
    for row in range(rows):
        counts[tuple(int(codes[a][row]) for a in clique)] += 1 if weights is None else int(weights[row])
    return counts


def counted(codes, domain, cliques, rows, weights=None, cover_cells=histograms.COVER_CELLS):
    layout = counting_layout(cliques, domain, cover_cells)
    accumulator = HistogramAccumulator(layout)
    accumulator.add({a: codes[a] for a in layout.attributes}, rows, weights)
    return layout, split_vector(accumulator.vector(), layout, cliques)


@st.composite
def tables(draw):
    sizes = tuple(draw(st.lists(st.integers(1, 5), min_size=1, max_size=6)))
    domain = Domain(tuple(NAMES[: len(sizes)]), sizes)
    subsets = st.permutations(domain.attributes).flatmap(
        lambda order: st.integers(0, min(4, len(order))).map(lambda n: tuple(order[:n]))
    )
    cliques = draw(st.lists(subsets, min_size=1, max_size=6, unique=True))
    rows = draw(st.integers(0, 40))
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    codes = {a: random.integers(0, s, rows).astype(np.uint8) for a, s in zip(domain, sizes, strict=True)}
    weights = random.integers(0, 2**20 + 1, rows) if draw(st.booleans()) else None
    return domain, cliques, rows, codes, weights, draw(st.sampled_from([1, 12, 10**4]))


@settings(max_examples=150, deadline=None)
@given(tables())
def test_any_cliques_of_any_domain_are_counted_as_one_by_one(table):
    domain, cliques, rows, codes, weights, cover = table
    _, answers = counted(codes, domain, cliques, rows, weights, cover)
    for clique in cliques:
        assert answers[clique].dtype == np.int64
        assert np.array_equal(answers[clique], brute_force(codes, domain, clique, weights))


@settings(max_examples=100, deadline=None)
@given(tables())
def test_the_layout_covers_every_clique_once_and_within_its_cells(table):
    domain, cliques, *_, cover = table
    layout = counting_layout(cliques, domain, cover)
    assert len(layout.source) == len(layout.kept)
    for clique in cliques:
        assert any(set(clique) <= set(kept) for kept in layout.kept)
    for kept, source in zip(layout.kept, layout.source, strict=True):
        assert set(kept) <= set(layout.counted[source])
        assert kept == domain.canonical(kept)
    for one, other in itertools.permutations(layout.kept, 2):
        assert not set(one) <= set(other)
    for wide in layout.counted:
        assert domain.cells(wide) <= max(cover, max(domain.cells(k) for k in layout.kept))
    assert layout.vector_cells == layout.offsets[-1] == sum(domain.cells(k) for k in layout.kept)
    assert layout.task_cells == layout.vector_cells + sum(domain.cells(c) for c in layout.counted)


def test_marginals_of_few_attributes_share_one_histogram():
    domain = Domain(("a", "b", "c", "d"), (3, 3, 3, 3))
    pairs = list(itertools.combinations("abcd", 2))
    assert counting_layout(pairs, domain).counted == (("a", "b", "c", "d"),)
    assert set(counting_layout(pairs, domain, cover_cells=1).counted) == set(pairs)


def test_the_empty_clique_counts_the_rows():
    domain = Domain(("a",), (4,))
    layout = counting_layout([()], domain)
    accumulator = HistogramAccumulator(layout)
    accumulator.add({}, 5)
    accumulator.add({}, 3)
    assert layout.attributes == ()
    assert split_vector(accumulator.vector(), layout, [()])[()] == 8


def test_no_clique_at_all_is_an_empty_vector():
    layout = counting_layout([], Domain(("a",), (4,)))
    assert HistogramAccumulator(layout).vector().shape == (0,)


def test_no_row_at_all_leaves_every_cell_there_and_zero():
    domain = Domain(("a", "b"), (2, 3))
    _, answers = counted({"a": np.zeros(0, int), "b": np.zeros(0, int)}, domain, [("b", "a"), ()], 0)
    assert answers[("b", "a")].shape == (3, 2)
    assert not answers[("b", "a")].any()
    assert answers[()] == 0


def test_the_axes_of_an_answer_are_in_the_order_of_the_question():
    domain = Domain(("a", "b", "c"), (2, 3, 4))
    random = np.random.default_rng(1)
    codes = {a: random.integers(0, s, 500) for a, s in zip(domain, domain.sizes, strict=True)}
    cliques = list(itertools.permutations("abc"))
    _, answers = counted(codes, domain, cliques, 500)
    for clique in cliques:
        assert np.array_equal(answers[clique], brute_force(codes, domain, clique))
    assert not np.array_equal(answers[("a", "b", "c")].ravel(), answers[("c", "b", "a")].ravel())


def test_a_margin_sums_out_what_is_not_wanted():
    counts = np.arange(24, dtype=np.int64).reshape(2, 3, 4)
    assert np.array_equal(margin(counts, ("a", "b", "c"), ("c", "a")), counts.sum(axis=1).T)
    assert margin(counts, ("a", "b", "c"), ()) == counts.sum()


def test_blocks_add_up_to_the_whole(monkeypatch):
    domain = Domain(("a", "b"), (7, 5))
    random = np.random.default_rng(2)
    codes = {"a": random.integers(0, 7, 1000), "b": random.integers(0, 5, 1000)}
    _, whole = counted(codes, domain, [("a", "b")], 1000)
    monkeypatch.setattr(histograms, "BLOCK_ROWS", 64)
    _, blocks = counted(codes, domain, [("a", "b")], 1000)
    assert np.array_equal(whole[("a", "b")], blocks[("a", "b")])


def test_weights_near_their_limit_are_added_exactly():
    domain = Domain(("a",), (2,))
    rows = histograms.BLOCK_ROWS
    weights = np.full(rows, 2**31 - 1)
    _, answers = counted({"a": np.arange(rows) % 2}, domain, [("a",)], rows, weights)
    assert answers[("a",)].tolist() == [(2**31 - 1) * rows // 2] * 2


def test_repeats_and_subsets_are_no_longer_there():
    domain = Domain(("a", "b", "c"), (2, 2, 2))
    assert maximal([("b", "a"), ("a", "b"), ("a",), (), ("c",)], domain) == (("a", "b"), ("c",))
    assert maximal([()], domain) == ((),)


def test_a_code_outside_of_its_domain_is_never_counted_silently():
    domain = Domain(("a",), (2,))
    with pytest.raises(ValueError, match=r"shape|broadcast"):
        counted({"a": np.array([0, 2])}, domain, [("a",)], 2)
    with pytest.raises(ValueError, match="negative"):
        counted({"a": np.array([0, -1])}, domain, [("a",)], 2)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_a_cover_grows_by_the_attribute_that_covers_most_for_its_size(data):
    sizes = data.draw(st.lists(st.sampled_from([1, 2, 3, 5, 20, 300]), min_size=1, max_size=6))
    domain = Domain(tuple(NAMES[: len(sizes)]), tuple(sizes))
    cliques = data.draw(
        st.lists(
            st.lists(st.sampled_from(domain.attributes), max_size=3, unique=True).map(tuple), max_size=12
        )
    )
    limit = data.draw(st.sampled_from([0, 10, 1000, 1 << 14]))
    layout = counting_layout(cliques, domain, limit)
    left = [frozenset(c) for c in layout.kept]
    for number, cover in enumerate(layout.counted):
        grown = max(left, key=lambda c: (domain.cells(c), -layout.kept.index(domain.canonical(c))))
        while True:
            gains = {
                a: sum(not c <= grown and c <= grown | {a} for c in left) / domain.size(a) ** 0.25
                for a in domain.attributes
                if a not in grown and domain.cells(grown | {a}) <= limit
            }
            best = max(gains, key=gains.__getitem__, default=None)
            if best is None or not gains[best]:
                break
            grown |= {best}
        assert domain.canonical(grown) == cover
        covered = {c for c in left if c <= grown}
        assert covered == {
            frozenset(c) for c, s in zip(layout.kept, layout.source, strict=True) if s == number
        }
        left = [c for c in left if c not in covered]
    assert not left
