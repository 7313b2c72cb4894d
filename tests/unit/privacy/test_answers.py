from __future__ import annotations

import io
import json
from fractions import Fraction

import numpy as np
import pytest

from spark_dp.errors import LedgerError
from spark_dp.privacy.answers import FORMAT, digest, join, pack, split, unpack
from spark_dp.privacy.queries import Answer, MeasureSpecification, ScoredCandidate, SelectSpecification

ARRAYS = {"0": np.arange(6, dtype=np.int64).reshape(2, 3), "1": np.array(-5, dtype=np.int64)}


def archive(**members) -> bytes:
    stream = io.BytesIO()
    np.savez(stream, **members)
    return stream.getvalue()


def header(**fields) -> np.ndarray:
    return np.frombuffer(json.dumps(fields).encode(), dtype=np.uint8)


def test_what_is_packed_is_unpacked():
    fields, arrays = unpack("answer", pack("answer", {"p": "1/3"}, ARRAYS))
    assert fields == {"p": "1/3"}
    assert set(arrays) == set(ARRAYS)
    assert all(np.array_equal(arrays[name], ARRAYS[name]) for name in ARRAYS)
    assert arrays["1"].shape == ()


@pytest.mark.parametrize("largest", [127, 2**15 - 1, 2**31 - 1, 2**63 - 1])
def test_numbers_take_as_few_bytes_as_the_largest_needs(largest):
    held = np.zeros(10_000, dtype=np.int64)
    for number in (largest, -largest - 1):
        held[7] = number
        content = pack("answer", {}, {"0": held})
        assert len(content) < (int(largest).bit_length() + 1) // 8 * held.size + 1000
        _, arrays = unpack("answer", content)
        assert arrays["0"].dtype == np.int64
        assert np.array_equal(arrays["0"], held)


def test_joined_arrays_are_taken_apart_and_other_shapes_refused():
    arrays = [np.arange(6).reshape(2, 3), np.array(4), np.zeros((0, 2), np.int64), np.arange(2)]
    shapes, joined = join(arrays)
    again = split(shapes, joined)
    assert all(np.array_equal(a, b) and a.shape == b.shape for a, b in zip(arrays, again, strict=True))
    assert split(*join([])) == []
    for others in ([], shapes[1:], [*shapes, [1]]):
        with pytest.raises(ValueError, match="is not"):
            split(others, joined)


@pytest.mark.parametrize("kept", [0, 1, 10, 200, -1])
def test_a_truncated_record_is_refused(kept):
    content = pack("answer", {}, ARRAYS)
    with pytest.raises(LedgerError, match="truncated or altered"):
        unpack("answer", content[:kept])


def test_a_record_with_a_flipped_bit_is_refused():
    content = bytearray(pack("answer", {}, {"0": np.arange(1000, dtype=np.int64)}))
    content[len(content) // 2] ^= 1
    with pytest.raises(LedgerError):
        unpack("answer", bytes(content))


@pytest.mark.parametrize(
    "content",
    [
        archive(array_0=ARRAYS["0"]),
        archive(header=header(format=FORMAT, kind="answer")),
        archive(header=header(format=FORMAT + 1, kind="answer", fields={})),
        archive(header=header(format=FORMAT, kind="specification", fields={})),
        archive(header=header(format=FORMAT, kind="answer", fields={}), array_0=np.zeros(2)),
        archive(header=np.frombuffer(b"[]", dtype=np.uint8)),
        archive(header=header(format=FORMAT, kind="answer", fields={}), array_0=np.array([{}], dtype=object)),
        archive(header=header(format=FORMAT, kind="answer", fields={}), array_0=np.zeros(2, dtype=np.uint8)),
        b"no archive",
    ],
)
def test_a_record_of_another_format_version_kind_or_type_is_refused(content):
    with pytest.raises(LedgerError):
        unpack("answer", content)


def test_specifications_and_answers_are_read_as_they_were_written():
    measure = MeasureSpecification(
        name="q", cliques=(("a", "b"), ()), sigma_squared=Fraction(7, 3), l2_squared=2**90, unit=2**20
    )
    assert MeasureSpecification.from_bytes(measure.to_bytes()) == measure

    select = SelectSpecification(
        name="s",
        candidates=(
            ScoredCandidate(clique=("a",), estimate=np.array([1, -2]), bias=-(2**70), weight=Fraction(1, 3)),
            ScoredCandidate(clique=None, estimate=None, bias=0, weight=Fraction(0)),
        ),
        epsilon=Fraction(1, 7),
        sensitivity=Fraction(5, 3),
    )
    again = SelectSpecification.from_bytes(select.to_bytes())
    assert (again.name, again.epsilon, again.sensitivity) == ("s", Fraction(1, 7), Fraction(5, 3))
    assert [(c.clique, c.bias, c.weight) for c in again.candidates] == [
        (("a",), -(2**70), Fraction(1, 3)),
        (None, 0, Fraction(0)),
    ]
    assert again.candidates[0].estimate.tolist() == [1, -2]

    answer = Answer(run_id="r", ordinal=3, spec_digest="d", values=tuple(ARRAYS.values()))
    read = Answer.from_bytes(answer.to_bytes())
    assert (read.run_id, read.ordinal, read.spec_digest) == ("r", 3, "d")
    assert all(np.array_equal(a, b) for a, b in zip(read.values, answer.values, strict=True))


@pytest.mark.parametrize(
    "kind, read",
    [
        ("measure specification", MeasureSpecification.from_bytes),
        ("select specification", SelectSpecification.from_bytes),
        ("answer", Answer.from_bytes),
    ],
)
def test_a_record_that_lacks_fields_is_refused(kind, read):
    with pytest.raises(LedgerError, match="lacks fields"):
        read(pack(kind, {}, {}))


def test_a_digest_is_sha_256():
    assert digest(b"") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
