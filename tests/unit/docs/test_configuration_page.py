"""The page on the configuration has every setting that the reader knows, and no other."""

from __future__ import annotations

import re

import pytest
from doc_pages import page, rows, sections

from spark_dp.errors import ConfigurationError
from spark_dp.pipeline.config import parse_config
from spark_dp.schema.settings import KEYS

LEAST = """
input: {path: in}
output: {path: out}
privacy: {epsilon: 1, delta: 1e-9, unit: {column: id, max_rows: 3}, ledger: sqlite:///l.db, dataset: d}
schema: {a: {type: boolean}, b: {type: boolean}}
run: {directory: runs, key: k}
"""
SECTIONS = {
    name: body
    for name, body in sections(page("configuration.md")).items()
    if name
    not in ("schema", "constraints", "spark")  # whose keys are the user's columns, a list's items and Spark's
}


def settings(section: str) -> dict[str, list[str]]:
    """The documented settings of a section: type, default and meaning by name."""
    found = rows(sections(page("configuration.md"))[section])
    return {row[0].strip("`"): row[1:] for row in found}


def refused(*overrides: str) -> str:
    with pytest.raises(ConfigurationError) as caught:
        parse_config(LEAST, overrides)
    return caught.value.message


@pytest.mark.parametrize("section", SECTIONS)
def test_the_settings_of_a_section_are_those_that_the_reader_offers(section):
    known = re.search(r"Choose one of: ([\w, ]+)\.", refused(f"{section}.zzzz=1"))
    assert known is not None
    assert set(settings(section)) == set(known.group(1).split(", "))


def test_every_section_has_its_part_of_the_page():
    known = re.search(r"Choose one of: ([\w, ]+)\.", refused("zzzz=1"))
    assert known is not None
    documented = {name.partition(".")[0] for name in sections(page("configuration.md"))}
    assert documented == set(known.group(1).split(", "))


def test_the_settings_of_a_column_are_those_that_a_column_knows():
    assert set(settings("schema")) == set(KEYS)


@pytest.mark.parametrize("section", [name for name in SECTIONS if name != "mechanism.workload"])
def test_what_is_required_is_refused_when_it_is_missing(section):
    for name, (_, default, _) in settings(section).items():
        overrides = [f"{section}.{name}="]
        if default == "required":
            assert "is missing" in refused(*overrides)
        elif not default.startswith("this or"):
            parse_config(LEAST, overrides)


@pytest.mark.parametrize("section", SECTIONS)
def test_a_default_is_what_holds_when_nothing_is_said(section):
    usual = parse_config(LEAST)
    for name, (_, default, _) in settings(section).items():
        if default.startswith("`") and default.endswith("`"):
            stated = default.strip("`")
            same = parse_config(LEAST, [f"{section}.{name}={stated}"])
            assert same == usual, f"{section}.{name}"


def test_every_choice_of_one_word_is_on_the_page():
    for field in (
        "output.mode",
        "privacy.neighbours",
        "privacy.unit.nulls",
        "privacy.unit.bounding",
        "mechanism.name",
    ):
        section, _, name = field.rpartition(".")
        offered = _choices(field)
        meaning = " ".join(settings(section)[name])
        assert offered, field
        assert [word for word in offered if f"`{word}`" not in meaning] == [], field


def _choices(field: str) -> list[str]:
    if field == "mechanism.name":
        from spark_dp.mechanisms.catalog import MECHANISMS

        return list(MECHANISMS)
    found = re.search(r"Choose one of: ([\w, ]+)\.", refused(f"{field}=zzzz"))
    return found.group(1).split(", ") if found else []
