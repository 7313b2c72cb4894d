"""The k least hashes of a row's copies, against hashing every copy by itself."""

import tracemalloc

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spark_dp.spark import bounding
from spark_dp.spark.bounding import hash_copy, least_hashes_of_copies

MASK = 2**64 - 1


def split_mix(base: int, copy: int) -> int:
    """SplitMix64's finaliser in Python's whole numbers."""
    z = (base + (copy + 1) * 0x9E3779B97F4A7C15) & MASK
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
    return z ^ (z >> 31)


def signed(word: int) -> int:
    return word - 2**64 if word >= 2**63 else word


def batch_of(groups):
    return pa.RecordBatch.from_pydict(
        {
            "__unit0": pa.array([f"u{i}" for i in range(len(groups))]),
            "__w0": pa.array(range(len(groups)), pa.int64()),
            "__copies": pa.array([c for _, c in groups], pa.int64()),
            "__order": pa.array([b for b, _ in groups], pa.int64()),
        }
    )


def brute_force(groups, most):
    rows = []
    for i, (base, copies) in enumerate(groups):
        hashes = sorted(signed(split_mix(base & MASK, c)) for c in range(copies))
        rows += [(i, h) for h in hashes[:most]]
    return sorted(rows)


GROUPS = st.lists(st.tuples(st.integers(-(2**63), 2**63 - 1), st.integers(1, 60)), max_size=12)


@settings(max_examples=150, deadline=None)
@given(GROUPS, st.integers(1, 20))
def test_they_are_the_least_of_all_copies_for_any_number_of_copies(groups, most):
    found = least_hashes_of_copies(batch_of(groups), most)
    assert found.schema.names == ["__unit0", "__w0", "__order"]
    pairs = zip(found.column("__w0").to_pylist(), found.column("__order").to_pylist(), strict=True)
    assert sorted(pairs) == brute_force(groups, most)
    assert found.column("__unit0").to_pylist() == [f"u{i}" for i in found.column("__w0").to_pylist()]


def test_copies_of_many_blocks_give_what_one_block_gives():
    base = np.uint64(0xDEADBEEFCAFEF00D)
    whole = np.sort(hash_copy(np.full(5000, base), np.arange(5000, dtype=np.uint64)).view(np.int64))[:7]
    assert np.array_equal(bounding._least_of_many(base, 5000, 7, block=64).view(np.int64), whole)


def test_taking_the_first_copies_instead_of_the_least_is_noticed():
    groups = [(12345, 40)]
    first = sorted((0, signed(split_mix(12345, c))) for c in range(5))
    assert first != brute_force(groups, 5)


@pytest.mark.parametrize("most", [1, 3])
def test_an_empty_batch_stays_empty(most):
    assert least_hashes_of_copies(batch_of([]), most).num_rows == 0


def test_copies_of_one_row_have_hashes_of_their_own():
    hashes = hash_copy(np.full(10_000, np.uint64(42)), np.arange(10_000, dtype=np.uint64))
    assert len(np.unique(hashes)) == 10_000


def peak_of(copies: int, block: int) -> int:
    """The most bytes that are held at once."""
    tracemalloc.start()
    bounding._least_of_many(np.uint64(7), copies, 3, block=block)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return peak


def test_a_hot_row_takes_the_memory_of_a_block_and_not_of_its_copies():
    assert peak_of(1 << 21, 1 << 14) < 64 * (1 << 14)


def test_the_memory_test_notices_a_block_of_all_copies():
    assert peak_of(1 << 21, 1 << 21) > 64 * (1 << 14)
