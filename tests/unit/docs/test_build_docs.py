"""What `make docs` finds in built pages."""

from __future__ import annotations

import importlib.util

import pytest
from doc_pages import ROOT

spec = importlib.util.spec_from_file_location("build_docs", ROOT / "scripts" / "build_docs.py")
build_docs = importlib.util.module_from_spec(spec)
spec.loader.exec_module(build_docs)


@pytest.fixture
def site(tmp_path):
    (tmp_path / "index.html").write_text(
        '<h1 id="top">A</h1><a href="other.html#here">b</a><a href="#top">t</a>'
    )
    (tmp_path / "other.html").write_text('<p id="here"></p><a href="https://example.org/">elsewhere</a>')
    return tmp_path


def test_pages_whose_links_lead_somewhere_have_no_fault(site):
    assert build_docs.faults(site) == []


@pytest.mark.parametrize(
    ("html", "said"),
    [
        ('<a href="gone.html">', "links to gone.html, which is not there"),
        ('<a href="index.html#gone">', "links to index.html#gone, which is not there"),
        ('<a href="#gone">', "links to #gone, which is not there"),
        ('<script src="https://cdn.example.org/a.js"></script>', "loads https://cdn.example.org/a.js"),
        ('<link href="//fonts.example.org/f.css">', "loads //fonts.example.org/f.css"),
        ('<img src="gone.png">', "links to gone.png, which is not there"),
    ],
)
def test_a_dead_link_and_anything_loaded_from_elsewhere_are_faults(site, html, said):
    (site / "third.html").write_text(html)
    assert build_docs.faults(site) == [f"third.html {said}"]
