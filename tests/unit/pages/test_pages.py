"""What the pages say, that they load nothing, and that names and values stay text."""

from __future__ import annotations

import html
import re
import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from support.pages import HOSTILE, evaluation, hostile_evaluation, hostile_release, release
from support.processes import ROOT

from spark_dp.graphical.uncertainty import error_bars
from spark_dp.mechanisms.schedules import schedule_of
from spark_dp.pages import template
from spark_dp.pages.evaluation import evaluation_page
from spark_dp.pages.released import _column, released_page
from spark_dp.pages.text import visible
from spark_dp.schema.constraints import Determined, Forbidden

ELEMENTS = """
    html head meta title style body header main footer nav section div span h1 h2 h3 p ul ol li dl dt dd a bdi strong
    code sup br table thead tbody tr th td details summary svg path desc
"""
ATTRIBUTES = """
    lang charset http-equiv content name id class style href title role scope tabindex aria-label aria-hidden viewbox
    preserveaspectratio d
"""


class Reader(HTMLParser):
    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: set[str] = set()
        self.attributes: set[str] = set()
        self.links: set[str] = set()
        self.words: list[str] = []
        self.feed(page)
        self.text = " ".join("".join(self.words).split())

    def handle_starttag(self, tag, attrs):
        self.elements.add(tag)
        self.attributes |= {name for name, _ in attrs}
        self.links |= {value for name, value in attrs if name in ("href", "src")}

    def handle_data(self, data):
        self.words.append(data)


@pytest.fixture(scope="module")
def released():
    return release()


PAGES = {
    "released": lambda: released_page(**release()),
    "hostile release": hostile_release,
    "evaluation": lambda: evaluation_page(evaluation(), dataset="visits"),
    "hostile evaluation": lambda: evaluation_page(hostile_evaluation(), dataset=HOSTILE[1]),
}


@pytest.mark.parametrize("page", PAGES)
def test_a_page_holds_nothing_that_runs_or_loads(page):
    made = PAGES[page]()
    read = Reader(made)
    assert read.elements <= set(ELEMENTS.split())
    assert read.attributes <= set(ATTRIBUTES.split())
    assert all(link.startswith("#") for link in read.links)
    assert "url(" not in made and "@import" not in made
    assert "default-src 'none'; style-src 'unsafe-inline'; img-src data:" in made


@pytest.mark.parametrize("page", ["hostile release", "hostile evaluation"])
def test_hostile_names_and_values_are_there_as_text(page):
    read = Reader(PAGES[page]())
    for written in HOSTILE:
        assert " ".join(visible(written).split()) in read.text


@pytest.mark.parametrize("page", PAGES)
def test_the_same_input_gives_the_same_bytes(page):
    assert PAGES[page]().encode() == PAGES[page]().encode()


def test_a_value_that_a_template_lacks_is_an_error():
    from jinja2 import UndefinedError

    with pytest.raises(UndefinedError):
        template._environment().from_string("{{ gone }}").render()


def test_the_report_says_what_was_promised_asked_and_spent(released):
    text = Reader(released_page(**released)).text
    for words in (
        "(4.0, 1e-06)-differential privacy",
        "more likely than 54.6 times",
        "one person added or removed",
        "10 rows",
        "mst/one-way",
        "mst/pairs",
        "was charged like everything else",
        "marginals.parquet",
        "100,000",
        "ward × age",
        "σ = 88.3 rows",
        "The fit converged",
    ):
        assert words in text


@pytest.mark.parametrize(
    ("neighbours", "unit", "words"),
    [
        ("replace", "person", "whichever one person, with all of its rows, is replaced by another"),
        ("add_remove", "row", "whichever one row is added to the table or removed from it"),
    ],
)
def test_the_promise_in_plain_words_follows_unit_and_neighbours(released, neighbours, unit, words):
    statement = released["statement"] | {"neighbours": neighbours, "unit": unit}
    assert words in Reader(released_page(**released | {"statement": statement})).text


def test_what_a_query_cost_follows_from_its_noise_and_from_whom_it_protects(released):
    def cost(**changed):
        made = released_page(**released | {"statement": released["statement"] | changed})
        return float(re.search(r"mst/one-way</bdi></th>.*?([\d.]+) %</td></tr>", made)[1])

    from spark_dp.privacy.budget import PrivacyBudget

    rho = 4 * 10**2 / (2 * 90**2)  # four marginals, ten rows, sigma 90
    assert cost() == pytest.approx(100 * rho / float(PrivacyBudget(epsilon=4.0, delta=1e-6).rho), rel=0.01)
    assert cost(neighbours="replace") == pytest.approx(2 * cost(), rel=0.01)
    assert cost(max_rows_per_unit=20) == pytest.approx(4 * cost(), rel=0.01)


def test_partitions_of_earlier_runs_are_named_with_what_they_spent(released):
    earlier = released["statement"] | {"run_id": "yesterday"}
    manifest = released["manifest"] | {"earlier_runs": [earlier]}
    assert "run yesterday:" in Reader(released_page(**released | {"manifest": manifest})).text


def test_a_report_before_the_output_is_there_says_nothing_of_it(released):
    assert "Synthetic rows" not in Reader(released_page(**released | {"manifest": {}})).text


def test_a_fit_that_did_not_converge_is_said_to(released):
    fitted = released["fitted"] | {"converged": False}
    assert "did NOT converge" in Reader(released_page(**released | {"fitted": fitted})).text


def test_a_model_of_independent_columns_keeps_no_relation(released):
    alone = tuple(m for m in released["measurements"] if len(m.clique) == 1)
    assert "None: the columns" in Reader(released_page(**released | {"measurements": alone})).text


def with_rules(made):
    """The same release, of a schema that rules out and determines something."""
    schema = made["schema"]
    first, second, third = schema.names[:3]
    young = Forbidden(cells=((first, (0, 2)), (second, (0, 1))))
    known = Determined(source=third, target=first, codes=(0,) * schema.domain.size(third))
    return made | {"schema": replace(schema, constraints=(young, known))}


def test_declared_rules_are_named_and_said_to_cost_nothing(released):
    text = Reader(released_page(**with_rules(released))).text
    assert "No row of the output has ward A, C and age" in text
    assert "cost determines ward in every row of the output" in text
    assert "declared and not learned" in text and "no listed relation or rule ties" in text


def test_a_release_without_rules_has_no_section_for_them(released):
    made = released_page(**released)
    assert "#rules" not in made and "Rules that" not in made and "or rule ties" not in made


def test_hostile_names_and_values_in_rules_are_there_as_text():
    made = released_page(**with_rules(release(HOSTILE, HOSTILE)))
    read = Reader(made)
    assert read.elements <= set(ELEMENTS.split()) and read.attributes <= set(ATTRIBUTES.split())
    assert "No row of the output has <script>document" in read.text


def shown_noise(released, measurements):
    text = Reader(released_page(**released | {"measurements": measurements})).text
    return [float(found.replace(",", "")) for found in re.findall(r"σ = ([\d.,]*\d) rows", text)]


def test_a_column_that_was_asked_twice_is_shown_with_less_noise(released):
    (once,) = (m for m in released["measurements"] if m.clique == ("ward",))
    assert 90.0 in shown_noise(released, (once,))
    assert 63.6 in shown_noise(released, (once, once))


def test_a_column_that_was_asked_only_with_another_is_shown_as_their_margin(released):
    (pair,) = (m for m in released["measurements"] if m.clique == ("ward", "age"))
    assert 90 * 25**0.5 in shown_noise(released, (pair,))


def test_a_column_has_the_error_bars_that_a_query_gives(released):
    measurements, model = released["measurements"], released["model"]
    bars = error_bars(model, measurements, ("ward",), schedule=schedule_of(measurements))
    shown = _column(released["schema"].column("ward"), measurements, model)
    assert shown.stddev == bars.stddev
    assert shown.stddev < 90.0  # the pair adds to what the column's own measurement says


def test_a_column_that_was_not_asked_is_said_to_be_even(released):
    few = tuple(m for m in released["measurements"] if "when" not in m.clique)
    assert "nothing was asked about it" in Reader(released_page(**released | {"measurements": few})).text


def test_an_evaluation_begins_with_the_banner_and_has_it_in_its_title():
    made = evaluation_page(evaluation(), dataset="visits")
    assert "<title>NOT PRIVATE" in made
    assert Reader(made[made.index("<body>") :]).text.startswith("NOT PRIVATE")


def test_an_evaluation_parts_bounding_from_noise_and_model():
    found = evaluation()
    text = Reader(evaluation_page(found, dataset="visits")).text
    for degree, mean in found.mean.items():
        for number in (mean.raw_to_bounded, mean.bounded_to_synthetic, mean.raw_to_synthetic):
            assert f"{number:.3f}" in text, degree
    assert "Bias of bounding: raw → bounded" in text
    assert "336,776" in text and "146,380" in text


def test_the_worst_columns_come_first():
    found = evaluation(tuple(f"c{i}" for i in range(8)))
    made = evaluation_page(found, dataset="visits")
    order = re.findall(r'<section class="column">\n<h3><bdi>(.*?)</bdi>', made)
    assert order == [clique.columns[0] for clique in found.of_degree(1)]


def test_a_column_too_large_to_be_counted_is_named_and_has_no_chart():
    facts = evaluation().facts()
    facts["columns"][0] |= {"labels": [], "shares": {"raw": [], "bounded": [], "synthetic": []}, "rates": {}}
    facts["cliques"] = [c for c in facts["cliques"] if "ward" not in c["columns"]]
    text = Reader(evaluation_page(type(evaluation()).from_facts(facts), dataset="visits")).text
    assert "too many cells to be counted" in text


def test_an_evaluation_of_one_column_has_no_heat_map():
    assert "No pair was compared" in evaluation_page(evaluation(("only",)), dataset="visits")


def test_pages_of_wide_tables_stay_small():
    names = tuple(f"column_{i}" for i in range(100))
    page = evaluation_page(evaluation(names), dataset="wide")
    assert len(page.encode()) < 1_500_000
    assert "60 columns without a pair among the worst are left out" in html.unescape(page)
    assert len(released_page(**release(names)).encode()) < 1_500_000


def test_templates_are_found_in_the_zip_that_is_shipped(tmp_path):
    subprocess.run([sys.executable, str(ROOT / "deploy" / "package.py")], check=True, capture_output=True)
    code = (
        "import sys; sys.path[:] = [p for p in sys.path if 'site-packages' in p or 'python3' in p]\n"
        f"sys.path.insert(0, {str(ROOT / 'dist' / 'spark_dp.zip')!r})\n"
        "import spark_dp.pages.template as t\n"
        "assert '.zip' in t.__file__, t.__file__\n"
        "for name in ('released.html', 'evaluation.html'): t._environment().get_template(name)\n"
        "assert 'overflow-wrap' in t._source('style.css')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
