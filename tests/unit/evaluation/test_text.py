"""An evaluation in a terminal."""

from __future__ import annotations

import dataclasses
import unicodedata

import pytest
from support.evaluations import example

from spark_dp.evaluation.results import CellComparison, CliqueComparison, Coverage, OfTables, Statistic
from spark_dp.evaluation.terminal import fitted, shown, width_of
from spark_dp.evaluation.text import WIDTH, evaluation_text, number

HOSTILE = "\x1b[31m\x07red\u202egnirts\u2066\n\r\t\x9b2J\u200b\ue000\x00"
LONG = "a_very_long_name_of_a_column_" * 9
WIDE = "列の名前" * 20
HEAPED = "e" + "\u0301" * 5000


def named(name: str):
    """The example, with every name and label replaced."""
    found = example()
    columns = tuple(
        dataclasses.replace(
            column,
            name=name,
            labels=tuple(name for _ in column.labels),
            numbers={
                s: Statistic(raw=-9_999_999.4, synthetic=1e-300)
                for s in ("mean", "stddev", "p5", "p25", "p50", "p75", "p95")
            },
        )
        for column in found.columns
    )
    return dataclasses.replace(
        found,
        unit=name,
        columns=columns,
        cliques=tuple(
            CliqueComparison(columns=(name,) * len(c.columns), distances=c.distances) for c in found.cliques
        ),
        worst_cells=tuple(
            CellComparison(columns=(name,) * len(c.columns), cell=(name,) * len(c.columns), shares=c.shares)
            for c in found.worst_cells
        ),
    )


NAMES = {
    "short": "a",
    "hostile": HOSTILE,
    "long": LONG,
    "wide": WIDE,
    "heaped": HEAPED,
    "empty": "",
    "faces": "\N{GRINNING FACE}" * 60,
}


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_no_name_makes_a_line_too_wide_or_breaks_it(name):
    lines = evaluation_text(named(name)).split("\n")
    assert len(lines) == len(evaluation_text(named("a")).split("\n"))
    assert max(map(width_of, lines)) <= WIDTH
    assert sum(map(len, lines)) < 100_000


def test_nothing_in_a_name_reaches_the_terminal_as_a_control():
    text = evaluation_text(named(HOSTILE)).replace("\n", "")
    assert not [c for c in text if unicodedata.category(c) in ("Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp")]
    assert "\\x1b[31m" in text


def test_hostile_characters_are_shown_by_their_numbers():
    assert shown("\x1b\u202e\U000e0001é列") == "\\x1b\\u202e\\U000e0001é列"


def test_a_text_is_fitted_to_columns_of_the_terminal_and_not_to_characters():
    assert fitted("列列列", 5) == "列列…"
    assert (fitted("列", 4), fitted("列", 4, right=True)) == ("列  ", "  列")
    assert fitted("e\u0301x", 3) == "e\u0301x "


def test_the_worst_columns_pairs_and_cells_come_first():
    found = example()
    text = evaluation_text(found)
    worst = found.of_degree(1)[0].columns[0]
    after = text[text.index("columns, worst first") :].splitlines()[1]
    assert after.startswith(worst)
    pairs = text[text.index("pairs, the worst") :].splitlines()[1]
    assert pairs.startswith(" × ".join(found.of_degree(2)[0].columns))


def test_only_rates_that_differ_are_listed():
    found = example()
    rate = {"null": OfTables(raw=0.2, bounded=0.2, synthetic=0.2)}
    equal = dataclasses.replace(
        found, columns=tuple(dataclasses.replace(c, rates=rate) for c in found.columns)
    )
    assert "all of 4 equal" in evaluation_text(equal)
    differ = {"null": OfTables(raw=0.2, bounded=0.2, synthetic=0.25)}
    one = dataclasses.replace(
        found, columns=(dataclasses.replace(found.columns[0], rates=differ), *equal.columns[1:])
    )
    assert "ward: null" in evaluation_text(one)
    assert "age: null" not in evaluation_text(one)


def test_a_table_of_which_a_part_was_compared_says_so():
    found = dataclasses.replace(
        example(), marginals={1: Coverage(compared=100, of=100), 3: Coverage(compared=1000, of=161_700)}
    )
    assert "1,000 of 161,700 triples" in evaluation_text(found)
    assert "a fixed part" in evaluation_text(found)


def test_an_evaluation_without_any_marginal_is_still_told():
    found = dataclasses.replace(example(), mean={}, cliques=(), columns=(), worst_cells=())
    assert "Rows" in evaluation_text(found)


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (None, "–"),
        (0.0, "0"),
        (12.6391, "12.64"),
        (1048.36, "1,048"),
        (-9_999_999.4, "-9,999,999"),
        (12_345_678.0, "1.23e+07"),
        (0.00012, "1.20e-04"),
        (0.5, "0.5000"),
        (-1e300, "-1.00e+300"),
    ],
)
def test_a_number_takes_ten_columns_at_most(value, written):
    assert number(value) == written
    assert len(written) <= 10
