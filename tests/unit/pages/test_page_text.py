"""Nothing in a name or a value can hide, reorder or break what a reader sees."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.pages import HOSTILE

from spark_dp.pages import text


@pytest.mark.parametrize(
    ("written", "seen"),
    [
        ("plain", "plain"),
        ("", "‹empty›"),
        ("  both ", "␣␣both␣"),
        ("   ", "␣␣␣"),
        ("a\u202eb", "a‹U+202E›b"),
        ("a\nb\x00", "a‹U+000A›b‹U+0000›"),
        ("👩\u200d👧", "👩\u200d👧"),
        ("\ud800", "‹U+D800›"),
        ("naïve 日本", "naïve 日本"),
    ],
)
def test_what_would_not_be_seen_is_written_out(written, seen):
    assert text.visible(written) == seen


@given(st.text(st.characters()))
def test_any_text_can_be_written_and_holds_nothing_that_hides(written):
    seen = text.visible(written)
    assert seen.encode()
    assert not {unicodedata.category(c) for c in seen.replace("\u200d", "").replace("\u200c", "")} & {
        "Cc", "Cf", "Co", "Cs", "Zl", "Zp",
    }  # fmt: skip


@pytest.mark.parametrize("written", HOSTILE)
def test_what_is_shown_is_escaped_and_has_a_direction_of_its_own(written):
    inner = str(text.whole(written)).removeprefix("<bdi>").removesuffix("</bdi>")
    assert not set(inner) & set("<>\"'")


def test_in_a_table_a_long_text_is_cut_and_whole_in_its_title():
    assert text.shown("a" * 80) == f"<bdi>{'a' * 80}</bdi>"
    assert text.shown('"' * 81) == f'<bdi title="{"&#34;" * 81}">{"&#34;" * 79}…</bdi>'


@pytest.mark.parametrize(
    ("number", "written"),
    [
        (0.0, "0 %"),
        (1.0, "100.0 %"),
        (0.1234, "12.3 %"),
        (0.02, "2.00 %"),
        (0.00036, "0.036 %"),
        (1e-9, "<0.001 %"),
    ],
)
def test_shares_are_written_in_per_cent(number, written):
    assert text.share(number) == written


@pytest.mark.parametrize(
    ("number", "written"),
    [
        (None, "–"),
        (12.6041, "12.6"),
        (1234567.8, "1,234,568"),
        (-0.00012, "−0.00012"),
        (1e300, "1e+300"),
        (0.0, "0"),
    ],
)
def test_statistics_are_written_short(number, written):
    assert text.value(number) == written
