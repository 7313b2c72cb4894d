"""The page on reliability has the tables that were seen, and no others."""

from __future__ import annotations

import importlib.util
import json

from doc_pages import DOCS, ROOT, page

spec = importlib.util.spec_from_file_location("reliability", ROOT / "scripts" / "reliability.py")
reliability = importlib.util.module_from_spec(spec)
spec.loader.exec_module(reliability)

STATED = json.loads((DOCS / "reliability.json").read_text(encoding="utf-8"))
ROW = {"part": "driver", "step": "run: x", "fault": "f", "outcome": "o"}


def test_the_page_is_what_the_script_writes():
    assert reliability.with_tables(page("reliability.md"), STATED) == page("reliability.md")


def test_a_page_that_says_something_else_is_found_out():
    altered = page("reliability.md").replace("one charge", "two charges")
    assert reliability.with_tables(altered, STATED) != altered


def test_every_row_says_what_was_done_and_what_came_of_it():
    assert {row["part"] for row in STATED} <= {"driver", "engine"}
    assert all(row["step"] and row["fault"] and row["outcome"] for row in STATED)
    assert len({(row["part"], row["step"], row["fault"]) for row in STATED}) == len(STATED)


def test_what_was_seen_last_replaces_what_is_stated_of_its_group():
    other = {**ROW, "step": "other: y"}
    seen = [{**ROW, "outcome": "first"}, {**ROW, "step": "run: gone"}, {**ROW, "outcome": "second"}]
    assert reliability.merged([ROW, other], seen) == [other, {**ROW, "outcome": "second"}]


def test_of_the_engine_each_row_stands_for_itself():
    old, new = ({**ROW, "part": "engine", "fault": fault} for fault in ("f", "g"))
    assert reliability.merged([old], [new, {**old, "outcome": "other"}]) == [{**old, "outcome": "other"}, new]
