"""Runs of a benchmark that are kept in a file, and the comparison that is made of them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.aim_table import show
from benchmarks.records import Record, Records, read

RUN = Record(
    who="ours",
    mechanism="oneshot",
    table="none",
    epsilon=1.0,
    seed=0,
    cpu=2.0,
    wall=4.0,
    errors=(0.1, 0.2, 0.3),
)
PEER = replace(RUN, who="peer", mechanism="aim", cpu=50.0, wall=200.0, errors=(0.1, 0.3, 0.6))


def test_a_run_that_a_file_holds_is_found_again_by_what_it_is_of(tmp_path: Path) -> None:
    file = tmp_path / "runs.jsonl"
    Records(file).add(RUN)
    assert Records(file).get(RUN.key) == RUN
    assert Records(file).get(replace(RUN, seed=1).key) is None


def test_of_a_run_done_twice_the_last_counts(tmp_path: Path) -> None:
    file = tmp_path / "runs.jsonl"
    records = Records(file)
    records.add(RUN)
    records.add(replace(RUN, cpu=3.0))
    assert read([file, tmp_path / "missing.jsonl"]) == [replace(RUN, cpu=3.0)]
    assert records.all == (replace(RUN, cpu=3.0),)


def test_ours_is_set_against_the_best_peer_that_ended(capsys: pytest.CaptureFixture[str]) -> None:
    worse = replace(PEER, mechanism="aim-slow", cpu=80.0, errors=(0.1, 0.3, 0.9))
    stopped = replace(PEER, mechanism="aim-stopped", cpu=1.0, errors=None, note="not ended")
    show([RUN, PEER, worse, stopped])
    printed = capsys.readouterr().out
    assert "| none | 1 | oneshot 0.3000 | peer aim 0.6000 | 0.50 | 25×, 50× |" in printed
    assert "not ended" in printed


def test_a_time_that_no_peer_ended_in_is_a_bound(capsys: pytest.CaptureFixture[str]) -> None:
    show([RUN, replace(PEER, errors=None, note="not ended")])
    assert "| none | 1 | oneshot 0.3000 | none that counts | | > 25×, > 50× |" in capsys.readouterr().out


def test_mst_is_set_against_mst_alone(capsys: pytest.CaptureFixture[str]) -> None:
    better = replace(PEER, errors=(0.1, 0.1, 0.1))
    show([replace(RUN, mechanism="mst"), better, replace(PEER, mechanism="mst", errors=(0.1, 0.3, 0.4))])
    assert "| none | 1 | mst 0.3000 | peer mst 0.4000 | 0.75 | 25×, 50× |" in capsys.readouterr().out
