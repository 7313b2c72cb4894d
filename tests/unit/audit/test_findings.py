"""A finding holds exactly where nothing was proved that contradicts its claim."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from spark_dp.audit.findings import Finding, cells, lines

FINDING = Finding(
    what="measuring",
    mechanism="mst",
    accounting="gaussian",
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


def test_a_limit_is_not_shown_above_what_was_proved_nor_a_claim_below_what_is_made():
    close = replace(FINDING, claimed_epsilon=4.37718, proved_mu=0.9397, proved_epsilon=1.9996)
    shown = cells(close)
    assert shown[6:10] == ("1.000", "0.939", "4.378", "1.999")
    assert cells(replace(close, claimed_mu=1.0000000000000002))[6] == "1.000"


def test_a_finding_within_its_claim_holds():
    assert FINDING.holds
    assert replace(FINDING, what="choosing", claimed_mu=None, proved_mu=None).holds


def test_the_table_rounds_a_limit_down_as_a_larger_one_is_not_proved():
    shown = "\n".join(lines([replace(FINDING, proved_mu=0.9319, proved_epsilon=1.9999)], confidence=0.99))
    assert " 0.931 " in shown
    assert " 1.999 " in shown


@pytest.mark.parametrize("broken", [{"proved_mu": 1.01}, {"proved_epsilon": 4.7}, {"heaviest": 3.0001}])
def test_a_finding_beyond_its_claim_is_broken(broken):
    found = replace(FINDING, **broken)
    assert not found.holds
    assert "BROKEN" in "\n".join(lines([FINDING, found], confidence=0.99))
    assert json.loads(json.dumps(found.facts()))["holds"] is False
