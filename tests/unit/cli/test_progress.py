"""Progress in a log: stages, and long work now and then with its rate and the time left."""

from __future__ import annotations

import io
import json
from contextlib import contextmanager
from datetime import UTC, datetime

import pytest

from spark_dp.pipeline.progress import Progress, Reading, duration
from spark_dp.pipeline.progress_lines import EVERY_SECONDS, JsonLines, Lines


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def log():
    return io.StringIO()


def work(progress, clock, *, seconds, total=100):
    """Tells of a hundred tasks that are done evenly in some seconds."""
    meter = progress.meter("Spark", "tasks")
    for done in range(total + 1):
        meter(done, total)
        clock.now += seconds / total


def test_a_stage_says_what_it_does_and_how_long_it_took(log, clock):
    progress = Progress(face=Lines(log), clock=clock)
    with progress.stage("fit", "the model"):
        progress.say("3 steps")
        clock.now += 2.5
    assert log.getvalue().splitlines() == ["fit: the model", "  3 steps", "fit: done in 2.5 s"]
    assert progress.seconds == {"fit": 2.5}


def test_short_work_leaves_no_line(log, clock):
    work(Progress(face=Lines(log), clock=clock), clock, seconds=EVERY_SECONDS * 0.9)
    assert log.getvalue() == ""


def test_long_work_leaves_a_line_about_every_thirty_seconds(log, clock):
    work(Progress(face=Lines(log), clock=clock), clock, seconds=EVERY_SECONDS * 4)
    lines = log.getvalue().splitlines()
    assert lines[0] == "Spark: 25/100 tasks, 0.83/s, 1 min 30 s left"
    assert len(lines) == 3


def test_each_piece_of_work_waits_anew(log, clock):
    progress = Progress(face=Lines(log), clock=clock)
    for _ in range(5):
        work(progress, clock, seconds=EVERY_SECONDS * 0.9)
    assert log.getvalue() == ""


def test_the_rate_is_of_what_was_done_since_the_work_was_first_seen(clock):
    """What was done before, at another speed, says nothing about the time left."""
    reading = Reading(stage="", what="Spark", unit="tasks", done=90, total=100, seconds=10, before=80)
    assert (reading.rate, reading.seconds_left) == (1.0, 10.0)


def test_a_step_of_unknown_length_says_how_long_it_goes_on(log, clock):
    progress = Progress(face=Lines(log), clock=clock)
    progress.step("estimate: step 1")
    clock.now += EVERY_SECONDS + 1
    progress.step("estimate: step 2")
    assert log.getvalue() == "estimate: step 2: 31 s\n"


def test_a_line_of_json_has_the_documented_keys(log, clock):
    face = JsonLines(log, now=lambda: datetime(2024, 1, 31, 12, tzinfo=UTC))
    progress = Progress(face=face, clock=clock)
    with progress.stage("measure", "counts"):
        progress.warn("loud")
        work(progress, clock, seconds=EVERY_SECONDS * 2)
    found = [json.loads(line) for line in log.getvalue().splitlines()]
    assert [f["event"] for f in found] == ["stage-begin", "warning", "progress", "stage-end"]
    assert {f["time"] for f in found} == {"2024-01-31T12:00:00.000+00:00"}
    assert all(f["stage"] == "measure" for f in found)
    assert [f["level"] for f in found] == ["info", "warning", "info", "info"]
    assert found[2]["total"] == 100
    assert found[2]["seconds_left"] == pytest.approx(30, abs=1)
    assert found[3]["seconds"] > 0


def test_quiet_says_nothing_and_follows_nothing(capsys):
    progress = Progress(None)
    progress.follow(lambda begin: pytest.fail("Spark was asked"))
    with progress.stage("fit", "the model"):
        progress.say("something")
        progress.meter("Spark", "tasks")(1, 2)
    assert capsys.readouterr() == ("", "")


def test_spark_is_followed_within_stages_only(log):
    followed = []

    @contextmanager
    def watch(begin):
        followed.append("begins")
        yield
        followed.append("ends")

    progress = Progress(face=Lines(log))
    with progress.stage("measure", ""):
        progress.follow(watch)
    assert followed == ["begins", "ends"]
    with pytest.raises(ValueError, match="broken"), progress.stage("generate", ""):
        raise ValueError("broken")
    assert followed == ["begins", "ends"] * 2


def test_tasks_can_be_shown_as_the_rows_that_they_write(log, clock):
    progress = Progress(face=Lines(log), clock=clock)
    with progress.counted_in("writing", 1000, "rows"):
        meter = progress._passing()
    meter(0, 4)
    clock.now += EVERY_SECONDS
    meter(1, 4)
    assert log.getvalue() == "writing: 250/1,000 rows, 8.3/s, 1 min 30 s left\n"


@pytest.mark.parametrize(("seconds", "said"), [(5.6, "6 s"), (200, "3 min 20 s"), (7500, "2 h 5 min")])
def test_a_duration_is_said_as_people_do(seconds, said):
    assert duration(seconds) == said
