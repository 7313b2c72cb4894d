from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from desk import BUDGET, DATASET, CrashError, Desk, FailingBlobs

from spark_dp.errors import BudgetExceededError, LedgerError
from spark_dp.privacy.answers import digest
from spark_dp.privacy.events import GaussianEvent
from spark_dp.privacy.scoring import Candidate

ON_BOTH_DATABASES = True
SHARE = BUDGET.rho / 2
CANDIDATES = [
    Candidate(clique=("a",), estimate=np.zeros(2)),
    Candidate(clique=("b",), estimate=np.zeros(3)),
    Candidate(clique=(), estimate=None),
]

KILLED = """
import os, sys
from pathlib import Path
sys.path[:0] = [sys.argv[1], sys.argv[1] + '/../..']
from desk import Desk, BUDGET, Table
desk = Desk(Path(sys.argv[2]), sys.argv[3], opened=True)
class Killed(Table):
    def count(self, cliques):
        os._exit(9)
desk.curator(source=Killed(None)).measure("q", [("a", "b")], rho=BUDGET.rho / 2)
"""


def measure(desk: Desk, **arguments) -> list[int]:
    (measured,) = desk.curator(**arguments).measure("q", [("a", "b")], rho=SHARE)
    return measured.noisy.ravel().tolist()


def select(desk: Desk, **arguments) -> tuple[str, ...] | None:
    return desk.curator(**arguments).select("q", CANDIDATES, rho=SHARE)


def distances(desk: Desk, **arguments) -> list[float]:
    return [d.rows for d in desk.curator(**arguments).score("q", CANDIDATES[:2], rho=SHARE)]


def states(desk: Desk) -> list[str]:
    return [query.state for query in desk.ledger.history(DATASET)[0].queries]


@pytest.mark.parametrize("ask", [measure, select, distances])
@pytest.mark.parametrize(
    "step, prefix, state, persisted",
    [
        ("before write", "specifications", [], False),
        ("after write", "specifications", [], False),
        ("read", "specifications", ["reserved"], False),
        ("before write", "answers", ["reserved"], False),
        ("after write", "answers", ["reserved"], True),
        ("read", "answers", ["reserved"], True),
    ],
)
def test_a_crash_at_any_step_costs_once_and_gives_one_answer(desk: Desk, ask, step, prefix, state, persisted):
    with pytest.raises(CrashError):
        ask(desk, blobs=FailingBlobs(desk.blobs(), step, prefix))
    assert states(desk) == state
    assert bool(desk.files("answers")) == persisted
    read = len(desk.table.asked)
    answer = ask(desk)
    assert len(desk.table.asked) == (read if persisted else read + 1)
    assert ask(desk) == answer
    assert states(desk) == ["answered"]
    assert len(desk.files("answers")) == 1
    assert desk.spent() == BUDGET.rho
    (query,) = desk.ledger.history(DATASET)[0].queries
    assert query.event.rho <= SHARE


def test_an_answer_that_was_persisted_before_a_crash_is_the_one_that_is_used(desk: Desk):
    with pytest.raises(CrashError):
        measure(desk, blobs=FailingBlobs(desk.blobs(), "after write", "answers"))
    (file,) = desk.files("answers")
    with np.load(file) as archive:
        persisted = archive["array_0"].ravel().tolist()
    assert measure(desk) == persisted


def test_an_answer_cut_short_by_a_crash_is_drawn_anew(desk: Desk):
    with pytest.raises(CrashError):
        measure(desk, blobs=FailingBlobs(desk.blobs(), "after write", "answers"))
    (file,) = desk.files("answers")
    file.write_bytes(file.read_bytes()[:100])
    assert measure(desk) == measure(desk)
    assert states(desk) == ["answered"]


def test_a_failure_of_the_source_costs_nothing_more(desk: Desk):
    desk.table.crash = True
    with pytest.raises(CrashError):
        measure(desk)
    desk.table.crash = False
    assert len(measure(desk)) == 6
    assert desk.spent() == BUDGET.rho


def test_a_driver_that_is_killed_is_resumed(desk: Desk):
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, str(Path(__file__).parent), str(desk.folder), desk.url],
        cwd=Path(__file__).parents[3],
        check=False,
    )
    assert killed.returncode == 9
    assert states(desk) == ["reserved"]
    assert len(measure(desk)) == 6
    assert desk.spent() == BUDGET.rho


def test_deleting_the_run_directory_does_not_buy_a_second_draw(desk: Desk):
    measure(desk)
    shutil.rmtree(desk.folder / "2013-W01")
    with pytest.raises(LedgerError, match="second draw"):
        measure(desk)


def test_deleting_an_answer_does_not_buy_a_second_draw(desk: Desk):
    measure(desk)
    desk.files("answers")[0].unlink()
    read = len(desk.table.asked)
    with pytest.raises(LedgerError, match="second draw"):
        measure(desk)
    assert len(desk.table.asked) == read


def test_a_directory_that_is_restored_gives_the_answer_again(desk: Desk):
    answer = measure(desk)
    shutil.copytree(desk.folder / "2013-W01", desk.folder / "copy")
    shutil.rmtree(desk.folder / "2013-W01")
    shutil.move(desk.folder / "copy", desk.folder / "2013-W01")
    assert measure(desk) == answer


@pytest.mark.parametrize("kind", ["answers", "specifications"])
def test_an_altered_record_is_refused(desk: Desk, kind):
    measure(desk)
    (file,) = desk.files(kind)
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(bytes(content))
    read = len(desk.table.asked)
    with pytest.raises(LedgerError, match="altered"):
        measure(desk)
    assert len(desk.table.asked) == read


def test_another_runs_answer_is_refused_or_ignored(desk: Desk):
    measure(desk)
    (foreign,) = desk.files("answers")
    curator = desk.curator("two", blobs=desk.blobs("two"))
    (desk.folder / "two" / "answers").mkdir(parents=True)
    shutil.copy(foreign, desk.folder / "two" / "answers" / foreign.name)
    (measured,) = curator.measure("q", [("a", "b")], rho=SHARE)
    assert measured.noisy.ravel().tolist() != measure(desk)
    shutil.copy(foreign, desk.folder / "two" / "answers" / foreign.name)
    with pytest.raises(LedgerError, match="altered"):
        measure(desk, key="two", blobs=desk.blobs("two"))


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE spark_dp_queries SET rho = '1/1000000'",
        'UPDATE spark_dp_queries SET event = \'{"kind": "gaussian", "mu_squared": "1/1000000"}\'',
        "UPDATE spark_dp_queries SET event = 'x'",
        "UPDATE spark_dp_queries SET answer_digest = NULL",
        "UPDATE spark_dp_queries SET state = 'reserved'",
    ],
)
def test_an_altered_query_in_the_ledger_is_refused(desk: Desk, statement):
    measure(desk)
    desk.alter(statement)
    with pytest.raises(LedgerError, match="altered"):
        measure(desk)


def test_a_cheaper_event_with_a_matching_rho_contradicts_the_stored_query(desk: Desk):
    measure(desk)
    desk.alter(
        "UPDATE spark_dp_queries SET rho = '1/2000', "
        'event = \'{"kind": "gaussian", "mu_squared": "1/1000"}\'',
    )
    with pytest.raises(LedgerError, match="altered"):
        measure(desk)


def test_a_driver_that_was_taken_over_can_do_nothing_more(desk: Desk):
    zombie = desk.begin()
    curator = desk.curator(account=zombie)
    answer = measure(desk)
    read = len(desk.table.asked)
    with pytest.raises(LedgerError, match="taken this run over"):
        curator.measure("q", [("a", "b")], rho=SHARE)
    for step in (
        lambda: zombie.reserve(1, "r", "measure", "d", GaussianEvent(mu_squared=SHARE)),
        lambda: zombie.mark_answered(0, "d"),
        zombie.require_held,
        zombie.complete,
    ):
        with pytest.raises(LedgerError, match="taken this run over"):
            step()
    assert len(desk.table.asked) == read
    assert measure(desk) == answer


def test_a_driver_that_is_taken_over_while_it_counts_does_not_draw(desk: Desk):
    class Slow(type(desk.table)):
        def count(self, cliques):
            self.answer = measure(desk)
            return super().count(cliques)

    slow = Slow(desk.table.joint)
    with pytest.raises(LedgerError, match="taken this run over"):
        measure(desk, source=slow)
    assert len(desk.files("answers")) == 1
    assert measure(desk) == slow.answer


def test_a_driver_that_is_taken_over_while_it_persists_cannot_replace_the_answer(desk: Desk):
    answers = []

    class Stopped(FailingBlobs):
        def write(self, name, content):
            if name.startswith("answers"):
                answers.append(measure(desk))
            self.inner.write(name, content)

    with pytest.raises(LedgerError, match="taken this run over"):
        measure(desk, blobs=Stopped(desk.blobs(), "", ""))
    assert len(desk.files("answers")) == 2
    assert measure(desk) == answers[0]


def test_one_query_is_answered_once(desk: Desk):
    account = desk.begin()
    account.reserve(0, "q", "measure", "d", GaussianEvent(mu_squared=SHARE))
    account.mark_answered(0, digest(b"one"))
    with pytest.raises(LedgerError, match="another process answered"):
        account.mark_answered(0, digest(b"two"))
    with pytest.raises(LedgerError):
        account.mark_answered(1, digest(b"never reserved"))
    assert account.find(0).answer_digest == digest(b"one")


def test_the_ledger_itself_refuses_what_exceeds_a_run(desk: Desk):
    account = desk.begin()
    account.reserve(0, "q", "measure", "d", GaussianEvent(mu_squared=2 * SHARE))
    with pytest.raises(BudgetExceededError):
        account.reserve(1, "r", "measure", "d", GaussianEvent(mu_squared=3 * SHARE))
    account.reserve(1, "r", "measure", "d", GaussianEvent(mu_squared=2 * SHARE))
    assert [query.name for query in desk.ledger.history(DATASET)[0].queries] == ["q", "r"]


def test_a_complete_run_is_replayed_and_not_continued(desk: Desk):
    answer = measure(desk)
    desk.begin().complete()
    assert measure(desk) == answer
    curator = desk.curator()
    curator.measure("q", [("a", "b")], rho=SHARE)
    with pytest.raises(LedgerError, match="complete"):
        curator.measure("r", [("a",)], rho=SHARE)
