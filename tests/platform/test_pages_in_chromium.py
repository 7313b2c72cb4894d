"""The pages in a real browser, on a wide and on a narrow screen."""

from __future__ import annotations

import pytest
from support.browser import chromium
from support.pages import HOSTILE, evaluation, hostile_evaluation, hostile_release, release

from spark_dp.pages.evaluation import evaluation_page
from spark_dp.pages.released import released_page
from spark_dp.pages.text import visible

pytestmark = pytest.mark.platform

WIDE, NARROW = 1280, 375
WIDE_TABLE = tuple(f"column_{i}" for i in range(60))
PAGES = {
    "released": lambda: released_page(**release()),
    "released, hostile": hostile_release,
    "released, many columns": lambda: released_page(
        **release(WIDE_TABLE, tuple(f"value {i}" for i in range(60)))
    ),
    "evaluation": lambda: evaluation_page(evaluation(), dataset="visits"),
    "evaluation, hostile": lambda: evaluation_page(hostile_evaluation(), dataset=HOSTILE[1]),
    "evaluation, many columns": lambda: evaluation_page(evaluation(WIDE_TABLE), dataset="wide"),
}
BAD = {
    "ran a script": "<script>document.documentElement.dataset.ran = 1</script>",
    "asked for": '<img src="nowhere.png">',
    "holds <img": "<img>",
    "holds the handler onclick": '<p onclick="x()">text</p>',
    "wrote to the console": "<script>console.log('here')</script>",
    "wider than the screen": '<div style="width: 2000px">wide</div>',
    "not seen": '<svg class="chart" style="display: none"></svg>',
    "empty chart": '<svg class="chart" width="100" height="100"><path d=""/></svg>',
    "overlap": '<div class="x" style="position: relative"><span style="position: absolute; left: 9px">one</span>'
    '<span style="position: absolute; left: 12px">two</span></div>',
    "tiny": '<p style="font-size: 8px">small print</p>',
}


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    with chromium(tmp_path_factory.mktemp("profile")) as opened:
        yield opened


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """Writes a page, once."""
    folder, written = tmp_path_factory.mktemp("pages"), {}

    def write(name):
        if name not in written:
            written[name] = folder / f"{len(written)}.html"
            written[name].write_text(PAGES[name](), encoding="utf-8")
        return written[name]

    return write


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [WIDE, NARROW])
@pytest.mark.parametrize("name", PAGES)
def test_a_page_runs_and_loads_nothing_fits_the_screen_and_shows_its_charts(browser, page, name, width, dark):
    browser.open(page(name), width=width, dark=dark)
    assert browser.faults() == []
    assert len(browser.all("svg.chart")) >= 4


@pytest.mark.parametrize("fault", BAD)
def test_the_same_look_finds_what_is_wrong_with_a_bad_page(browser, tmp_path, fault):
    bad = tmp_path / "bad.html"
    bad.write_text(f'<!DOCTYPE html><meta name="viewport" content="width=device-width">{BAD[fault]}')
    browser.open(bad, width=NARROW)
    assert any(fault in found for found in browser.faults()), browser.faults()


@pytest.mark.parametrize("width", [WIDE, NARROW])
@pytest.mark.parametrize("name", ["released, hostile", "evaluation, hostile"])
def test_hostile_names_and_values_are_seen_as_text(browser, page, name, width):
    browser.open(page(name), width=width)
    text = " ".join(browser.text().split())
    for written in HOSTILE:
        assert " ".join(visible(written).split()) in text


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [WIDE, NARROW])
def test_the_banner_is_the_first_thing_seen_of_an_evaluation(browser, page, width, dark):
    browser.open(page("evaluation, hostile"), width=width, dark=dark)
    (banner,) = browser.all("#not-private")
    assert banner.is_displayed()
    assert "NOT PRIVATE" in banner.text
    assert banner.rect["y"] == 0
    assert banner.rect["width"] == width
    colour = "return getComputedStyle(arguments[0]).backgroundColor.match(/\\d+/g).map(Number)"
    red, green, blue = browser.run(colour, banner)[:3]
    assert red > 150 and green < 60 and blue < 70
    assert browser.driver.title.startswith("NOT PRIVATE")


def test_the_report_has_no_such_banner(browser, page):
    browser.open(page("released"), width=WIDE)
    assert browser.all("#not-private") == []


@pytest.mark.parametrize("name", ["released", "evaluation"])
def test_behind_each_chart_is_a_table_that_opens_without_a_script(browser, page, name):
    browser.open(page(name), width=NARROW)
    for card in browser.all(".column"):
        folded = card.find_element("css selector", "details")
        browser.run("arguments[0].scrollIntoView()", folded)
        folded.find_element("css selector", "summary").click()
        assert folded.find_element("css selector", "td").is_displayed()
    assert browser.overflow() <= 0
