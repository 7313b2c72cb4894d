"""Axes have round numbers and room for their labels; drawings show the numbers they are made of."""

from __future__ import annotations

import itertools
import re

import numpy as np
import pytest

from spark_dp.pages.axis import NARROW, WIDE, cell_ticks, joined, round_ticks
from spark_dp.pages.charts import MOST_BARS, MOST_LISTED, MOST_ROWS, Series, chart_of
from spark_dp.pages.matrix import matrix_of


def chart(labels, values, *, in_order, half=0.0, kind="bar"):
    series = Series(name="noisy", kind=kind, values=np.array(values, float), half=half)
    return chart_of(labels, [series], in_order=in_order, write="{:g}".format, write_tick="{:g}".format)


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [
        (0, 100, [0, 20, 40, 60, 80, 100]),
        (-3, 12, [0, 5, 10]),
        (0, 0.034, [0, 0.01, 0.02, 0.03]),
        (0, 0, [0]),
    ],
)
def test_ticks_are_round_numbers_with_zero(low, high, ticks):
    assert round_ticks(low, high) == pytest.approx(ticks)


@pytest.mark.parametrize("count", [1, 2, 5, 24, 48])
@pytest.mark.parametrize("label", ["{}", "2024-01-01 10:00:00.{}", "category number {} of many"])
def test_ticks_have_room_on_a_wide_and_on_a_narrow_screen(count, label):
    ticks = cell_ticks([label.format(i) for i in range(count)])
    for room, seen in ((WIDE, ticks), (NARROW, [t for t in ticks if not t.fine])):
        boxes = []
        for tick in seen:
            width, place = len(tick.text) * 7, tick.at / 100 * room
            left = place - {"first": 0, "middle": width / 2, "last": width}[tick.anchor]
            boxes.append((left, left + width))
        assert all(b[0] > a[1] for a, b in itertools.pairwise(boxes))
    assert ticks[0].text


def test_bins_that_meet_have_ticks_at_their_edges():
    ticks = cell_ticks(["[-60, -15)", "[-15, 0)", "[0, 600]"])
    assert [(round(t.at), t.text) for t in ticks] == [(0, "-60"), (33, "-15"), (67, "0"), (100, "600")]


def test_moments_are_shown_as_days_where_that_tells_them_apart():
    assert [t.text for t in cell_ticks(["[2024-01-01 00:00:00, 2024-02-01 12:00:00)"])] == [
        "2024-01-01",
        "2024-02-01",
    ]
    assert cell_ticks(["[2024-01-01 00:00:00, 2024-01-01 12:00:00)"])[0].text == "2024-01-01 00:00:00"


def test_neighbouring_cells_are_named_by_their_ends():
    assert joined("[0, 1)", "[4, 5]") == "[0, 5]"
    assert joined("3", "7") == "3 … 7"
    assert joined("3", "3") == "3"


def numbers(path: str) -> list[list[float]]:
    return [[float(n) for n in point.split()] for point in re.split("[MLz]+", path) if point]


def test_bars_reach_from_zero_to_their_value_and_whiskers_as_far_again():
    bars = chart(["a", "b"], [10.0, -5.0], in_order=2, half=5.0).bars
    bar, whisker = (numbers(shape.path) for shape in bars.shapes)
    assert [y for _, y in bar[:2]] == pytest.approx([60.0, 20.0])  # from 15 at the top to -10 at the bottom
    assert [y for _, y in bar[4:6]] == pytest.approx([60.0, 80.0])
    assert [y for _, y in whisker] == pytest.approx([40.0, 0.0, 100.0, 60.0])


def test_rows_run_along_the_same_scale():
    rows = chart(["a", "b"], [10.0, -5.0], in_order=0, half=5.0).rows
    bar, whisker = (numbers(shape.path) for shape in rows.shapes[1:])
    assert rows.shapes[0].path == "M40 0V2"  # where zero is
    assert [x for x, _ in bar[:2]] == pytest.approx([40.0, 80.0])
    assert [x for x, _ in whisker] == pytest.approx([60.0, 100.0, 0.0, 40.0])


def test_more_cells_than_bars_are_taken_together_with_their_noise():
    made = chart([str(i) for i in range(105)], np.ones(105), in_order=105, half=3.0)
    assert made.bars.taken_together == 3
    assert made.bars.cells == 35 <= MOST_BARS
    low, high = 3 - 3 * 3**0.5, 3 + 3 * 3**0.5
    bar, whisker = (numbers(shape.path) for shape in made.bars.shapes)
    assert bar[0][1] == pytest.approx(100 * high / (high - low), abs=0.01)
    assert [y for _, y in whisker[:2]] == pytest.approx([100.0, 0.0], abs=0.01)
    assert len(made.listed) == 105


def test_of_many_cells_without_order_the_largest_are_drawn():
    made = chart([str(i) for i in range(300)], np.arange(300.0), in_order=0)
    assert made.rows.labels == tuple(str(i) for i in range(299, 299 - MOST_ROWS, -1))
    assert made.rows.left_out == 300 - MOST_ROWS
    assert (len(made.listed), made.not_listed) == (MOST_LISTED, 300 - MOST_LISTED)


@pytest.mark.parametrize("in_order", [0, 1])
@pytest.mark.parametrize("value", [0.0, -4.0, 1e15])
def test_one_cell_of_any_value_is_drawn(in_order, value):
    assert "nan" not in repr(chart(["only"], [value], in_order=in_order)).lower()


def test_null_and_other_cells_are_apart_from_the_scale():
    made = chart(["[0, 1)", "[1, 2]", "null"], [1.0, 2.0, 3.0], in_order=2)
    assert made.bars.cells == 2
    assert made.rows.labels == ("null",)


def test_a_heat_map_has_each_pair_once_the_darkest_where_it_is_greatest():
    pairs = {frozenset("ab"): 0.1, frozenset("bc"): 0.9}
    made = matrix_of("abc", pairs, framed=frozenset({frozenset("bc")}))
    assert [[f.text for f in line] for line in made.lines] == [[".10"], ["", ".90"]]
    assert [[f.level for f in line] for line in made.lines] == [[1], [0, 9]]
    assert made.lines[1][1].framed
