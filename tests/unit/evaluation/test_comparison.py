"""What an evaluation says of three tables, against dictionaries of single rows."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from support.evaluations import CLIQUES, SCHEMA, codes, marginals

from spark_dp.evaluation.columns import MOST_LABELS, compare_column
from spark_dp.evaluation.evaluate import WORST_CELLS, compare_marginals
from spark_dp.evaluation.marginals import Marginal
from spark_dp.schema.columns import Column
from spark_dp.schema.table import TableSchema

RAW, SYNTHETIC = codes(1), codes(2, rows=150)
WEIGHTS = np.random.default_rng(3).integers(1, 1 << 20, 200)


@pytest.fixture(scope="module")
def found():
    return compare_marginals(SCHEMA, marginals(RAW, WEIGHTS, SYNTHETIC), {})


def shares(table, clique, weights=None):
    """The share of each cell that has a row, by its codes."""
    rows = list(zip(*(table[a].tolist() for a in clique), strict=True))
    weights = [1] * len(rows) if weights is None else weights.tolist()
    counted: Counter[tuple[int, ...]] = Counter()
    for row, weight in zip(rows, weights, strict=True):
        counted[row] += weight
    return {cell: weight / sum(weights) for cell, weight in counted.items()}


def distance(left, right):
    return sum(abs(left.get(cell, 0) - right.get(cell, 0)) for cell in {*left, *right}) / 2


def three(clique):
    return shares(RAW, clique), shares(RAW, clique, WEIGHTS), shares(SYNTHETIC, clique)


def test_the_distance_of_each_marginal_of_one_to_three_columns_is_that_of_its_rows(found):
    assert {c.columns for c in found.cliques} == set(CLIQUES)
    for clique in found.cliques:
        raw, bounded, synthetic = three(clique.columns)
        assert clique.distances.raw_to_bounded == pytest.approx(distance(raw, bounded))
        assert clique.distances.bounded_to_synthetic == pytest.approx(distance(bounded, synthetic))
        assert clique.distances.raw_to_synthetic == pytest.approx(distance(raw, synthetic))


@pytest.mark.parametrize("degree", [1, 2, 3])
def test_the_mean_is_over_all_compared_marginals_of_a_degree(found, degree):
    cliques = [c for c in CLIQUES if len(c) == degree]
    by_hand = np.mean([distance(*three(c)[1:]) for c in cliques])
    assert found.mean[degree].bounded_to_synthetic == pytest.approx(by_hand)


def test_cliques_are_ordered_by_degree_and_the_worst_first(found):
    order = [(len(c.columns), -c.distances.bounded_to_synthetic) for c in found.cliques]
    assert order == sorted(order)


def test_the_worst_cells_are_those_whose_shares_differ_most_in_any_marginal(found):
    differences = []
    for clique in CLIQUES:
        _, bounded, synthetic = three(clique)
        differences += [abs(bounded.get(c, 0) - synthetic.get(c, 0)) for c in {*bounded, *synthetic}]
    listed = [abs(cell.shares.bounded - cell.shares.synthetic) for cell in found.worst_cells]
    assert listed == pytest.approx(sorted(differences, reverse=True)[:WORST_CELLS])


def test_a_worst_cell_has_the_labels_and_the_shares_of_its_codes(found):
    for cell in found.worst_cells:
        labels = [SCHEMA.column(a).cell_labels() for a in cell.columns]
        at = tuple(have.index(label) for have, label in zip(labels, cell.cell, strict=True))
        expected = [table.get(at, 0) for table in three(cell.columns)]
        assert [cell.shares.raw, cell.shares.bounded, cell.shares.synthetic] == pytest.approx(expected)


def test_a_column_has_a_share_for_each_label_and_the_rates_that_it_can_have(found):
    rates = {column.name: set(column.rates) for column in found.columns}
    assert rates == {"ward": {"null", "other"}, "age": {"null"}, "score": {"nan"}, "urgent": {"null"}}
    for column in found.columns:
        labels = list(column.labels)
        raw, bounded, synthetic = three((column.name,))
        for have, listed in ((raw, column.shares.raw), (bounded, column.shares.bounded)):
            assert list(listed) == pytest.approx([have.get((i,), 0) for i in range(len(labels))])
        names = {"null": "null", "other": "elsewhere", "nan": "NaN"}
        for name, rate in column.rates.items():
            cell = (labels.index(names[name]),)
            assert (rate.raw, rate.synthetic) == pytest.approx((raw.get(cell, 0), synthetic.get(cell, 0)))


def test_equal_tables_have_no_worst_cell():
    ones = np.ones(200, np.int64)
    found = compare_marginals(SCHEMA, marginals(RAW, ones, RAW), {})
    assert found.worst_cells == ()
    assert found.mean[3].raw_to_synthetic == 0


def test_empty_tables_are_told_apart_from_others():
    nothing = codes(1, rows=0)
    found = compare_marginals(SCHEMA, marginals(RAW, WEIGHTS, nothing), {})
    assert (found.mean[1].raw_to_synthetic, found.mean[1].raw_to_bounded < 1) == (1.0, True)
    empty = compare_marginals(SCHEMA, marginals(nothing, np.zeros(0, np.int64), nothing), {})
    assert (empty.mean[2].raw_to_synthetic, empty.worst_cells) == (0.0, ())


def test_a_column_of_very_many_cells_is_listed_in_groups_of_neighbours():
    settings = {"type": "integer", "min": 0, "max": 2_499_999, "nullable": True}
    column = Column.from_settings("id", settings)
    counts = np.arange(column.size)
    found = compare_column(column, Marginal.of_counts(("id",), counts, counts, counts), None)
    assert (len(found.labels), len(found.shares.raw)) == (MOST_LABELS + 1, MOST_LABELS + 1)
    assert (found.labels[0], found.labels[-1]) == ("0 … 2499", "null")
    assert sum(found.shares.raw) == pytest.approx(1)
    assert found.rates["null"].raw == pytest.approx(counts[-1] / counts.sum())


def test_a_column_that_was_not_counted_has_no_cells():
    found = compare_column(SCHEMA.column("ward"), None, None)
    assert (found.labels, found.shares.raw, found.rates) == ((), (), {})


def test_a_cell_that_bounding_alone_moved_is_not_among_the_worst_of_the_model():
    column = {"type": "integer", "min": 0, "max": 99}
    schema = TableSchema.from_settings({"n": column})
    raw, bounded, synthetic = np.ones(100, np.int64), np.ones(100, np.int64), np.ones(100, np.int64)
    raw[:50] = 1000  # 50 cells that bounding moved much, and the model not
    raw[70], synthetic[70] = 1500, 3  # one that the model moved, by chance to where it was
    marginal = Marginal.of_counts(("n",), raw, bounded, synthetic)
    assert compare_marginals(schema, [marginal], {}).worst_cells[0].cell == ("70",)
