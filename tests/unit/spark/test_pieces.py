"""Vectors cut into rows and added up again."""

import numpy as np
import pytest

from spark_dp.schema.domain import Domain
from spark_dp.spark import counting
from spark_dp.spark.bounding import MARK_PRIME
from spark_dp.spark.counting import Counted, pieces, sums_of
from spark_dp.spark.histograms import counting_layout


def added(vectors, cells):
    total = counting._Sum(cells)
    for slot, counted in enumerate(vectors):
        for batch in pieces(counted, slot=slot):
            for row in batch.to_pylist():
                total.add(row)
    return total.counted()


@pytest.mark.parametrize("cells", [0, 1, 4, 5, 8, 9])
def test_pieces_add_up_to_the_sum_of_the_vectors(monkeypatch, cells):
    monkeypatch.setattr(counting, "PIECE_CELLS", 4)
    random = np.random.default_rng(3)
    vectors = [
        Counted(
            random.integers(0, 2**40, cells), int(random.integers(9)), int(random.integers(9)), MARK_PRIME - 1
        )
        for _ in range(3)
    ]
    found = added(vectors, cells)
    assert np.array_equal(found.vector, np.sum([v.vector for v in vectors], axis=0))
    assert found.rows == sum(v.rows for v in vectors)
    assert found.weight == sum(v.weight for v in vectors)
    assert found.mark == 3 * (MARK_PRIME - 1) % MARK_PRIME


def test_a_piece_has_no_more_cells_than_allowed(monkeypatch):
    monkeypatch.setattr(counting, "PIECE_CELLS", 4)
    made = list(pieces(Counted(np.arange(9), 1, 1, 1), slot=0))
    assert [len(batch.column("cells")[0].as_py()) // 8 for batch in made] == [4, 4, 1]
    assert [batch.column("rows")[0].as_py() for batch in made] == [1, 0, 0]


@pytest.mark.parametrize(("cells", "sums"), [(1, 8), (2**21, 8), (2**23, 4), (2**25, 1), (2**26, 1)])
def test_the_driver_receives_fewer_vectors_where_they_are_long(cells, sums):
    layout = counting_layout([("a",)], Domain(("a",), (cells,)))
    assert sums_of(layout) == sums


def test_the_exact_counts_have_no_picture():
    source = counting.SparkMarginals(Domain(("a",), (2,)), [("a",)], lambda: None)
    source._vectors.append((counting_layout([("a",)], Domain(("a",), (2,))), np.array([31337, 4242])))
    assert "31337" not in repr(source)
