"""A finding holds exactly where nothing was proved that contradicts its claim; the page has such a table."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import pytest
from support.processes import ROOT

from spark_dp.audit.findings import Finding, lines, markdown

FINDING = Finding(
    what="measuring",
    mechanism="mst",
    bounding="weight",
    max_rows=3,
    claimed_mu=1.0,
    proved_mu=0.93,
    claimed_epsilon=4.6,
    proved_epsilon=1.9,
    delta=1e-5,
    trials=40_000,
    heaviest=2.999,
)
PAGE = (ROOT / "docs" / "audit.md").read_text(encoding="utf-8")


def test_a_finding_within_its_claim_holds():
    assert FINDING.holds
    assert replace(FINDING, what="choosing", claimed_mu=None, proved_mu=None).holds


@pytest.mark.parametrize("broken", [{"proved_mu": 1.01}, {"proved_epsilon": 4.7}, {"heaviest": 3.0001}])
def test_a_finding_beyond_its_claim_is_broken(broken):
    found = replace(FINDING, **broken)
    assert not found.holds
    assert "BROKEN" in "\n".join(lines([FINDING, found], confidence=0.99))
    assert json.loads(json.dumps(found.facts()))["holds"] is False


def test_the_page_has_a_table_of_findings_that_hold_and_come_within_ten_percent():
    table = PAGE.partition("<!-- table: audit -->")[2].partition("<!-- end -->")[0]
    assert markdown([]) in table
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in table.strip().splitlines()[2:]]
    assert {len(row) for row in rows} == {12}
    assert all(row[-1] == "holds" for row in rows)
    measuring = [row for row in rows if row[0] == "measuring"]
    assert {row[2] for row in measuring} == {"weight", "sample"}
    assert all(float(row[6]) >= 0.9 * float(row[5]) for row in measuring)
    assert any(row[0] == "choosing" for row in rows)
    assert all(re.fullmatch(r"[\d,]+", row[10]) for row in rows)
