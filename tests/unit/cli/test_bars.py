"""Bars on a real pseudo-terminal: seen while work goes on, and gone when it is over, however it ends."""

from __future__ import annotations

import sys

import pytest
from support.terminal import on_a_terminal

from spark_dp.pipeline.progress_bars import SHOWN_AFTER_SECONDS

SCRIPT = f"""
import os, sys, time
from spark_dp.commands.voice import progress_for
progress = progress_for(quiet={{quiet}}, log_format="text")
try:
    with progress.stage("measure", "bound and count"):
        meter = progress.meter("Spark", "tasks")
        for done in range(8):
            meter(done, 8)
            time.sleep({SHOWN_AFTER_SECONDS} / 3)
            {{during}}
        meter(8, 8)
        progress.say("all counted")
finally:
    progress.close()
print("the result")
"""


def run(tmp_path, during="pass", *, quiet=False, **environment):
    file = tmp_path / "work.py"
    file.write_text(SCRIPT.format(during=during, quiet=quiet))
    wait = environment.pop("interrupt_at", None)
    return on_a_terminal([sys.executable, str(file)], tmp_path, interrupt_at=wait, **environment)


def test_a_bar_shows_how_much_is_done_how_fast_and_what_is_left(tmp_path):
    seen = run(tmp_path)
    assert any("tasks" in line and "/s" in line and "left" in line for line in seen.drawn), seen.drawn
    assert seen.lines[:4] == ["measure: bound and count", "  all counted", seen.lines[2], "the result"]
    assert seen.lines[2].startswith("measure: done in")
    assert "tasks" not in seen.text


def test_a_bar_vanishes_when_the_work_fails(tmp_path):
    seen = run(tmp_path, "if done == 6: sys.exit('it failed')")
    assert seen.code == 1
    assert [line for line in seen.lines if line] == ["measure: bound and count", "it failed"]
    assert any("tasks" in line for line in seen.drawn)


def test_a_bar_vanishes_at_ctrl_c_and_the_cursor_is_there(tmp_path):
    seen = run(tmp_path, interrupt_at="3/8")
    assert seen.code != 0
    assert "tasks" not in "\n".join(line for line in seen.lines if "meter" not in line)
    assert seen.raw.rfind("\x1b[?25h") > seen.raw.rfind("\x1b[?25l")


def test_what_another_process_writes_to_the_terminal_is_not_overwritten(tmp_path):
    seen = run(tmp_path, "done == 5 and os.write(2, b'a line of Spark\\n')")
    assert sum("a line of Spark" in line for line in seen.lines) == 1
    assert seen.lines[-2:] == ["the result", ""]


@pytest.mark.parametrize("how", [{"quiet": True}, {"TERM": "dumb"}])
def test_there_is_no_bar_where_none_is_wanted(tmp_path, how):
    seen = run(tmp_path, **how)
    assert seen.drawn == []
    assert "\x1b" not in seen.raw
    assert "the result" in seen.text


def test_a_bar_stays_on_the_terminal_while_standard_error_is_turned_away(tmp_path):
    """As while Spark starts."""
    away = "done == 2 and os.dup2(os.open(os.devnull, os.O_WRONLY), 2)"
    assert any("7/8" in line for line in run(tmp_path, away).drawn)


def test_control_sequences_in_a_name_are_shown_and_not_obeyed(tmp_path):
    seen = run(tmp_path, "done == 3 and progress.say('name \\x1b[2J\\x07 end')")
    assert "  name \\x1b[2J\\x07 end" in seen.lines


def test_work_that_is_over_at_once_draws_no_bar(tmp_path):
    seen = run(tmp_path, "break")
    assert seen.drawn == []
