from __future__ import annotations

import stat

import pytest
from support.visits import Site

from spark_dp.errors import LedgerError
from spark_dp.pipeline.ledger_marks import keep_head, seen_head
from spark_dp.privacy.ledger import Ledger
from spark_dp.privacy.ledger_chain import Head

OLDER, NEWER = Head(seq=3, digest="a" * 64), Head(seq=4, digest="b" * 64)


@pytest.fixture
def site(tmp_path) -> Site:
    return Site.make(tmp_path)


def test_a_run_remembers_the_newest_entry_that_it_has_seen(site):
    run = site.run(None)
    assert seen_head(run) is None
    for head in (OLDER, NEWER, OLDER):
        keep_head(run, head)
    assert seen_head(run) == NEWER


def test_another_run_of_the_directory_knows_what_the_first_has_seen(site):
    keep_head(site.run(None), NEWER)
    assert seen_head(site.run(None, "run.key=second")) == NEWER
    assert seen_head(site.run(None, "run.key=second", "privacy.dataset=other")) is None
    assert seen_head(site.run(None, "privacy.dataset=other")) is None


def test_the_marks_are_private_and_the_directory_stays_open(site):
    keep_head(site.run(None), NEWER)
    (mark,) = (site.folder / "runs").glob(".ledger-*.json")
    for file in (mark, site.run_folder / "state" / mark.name.removeprefix(".")):
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert b"visits" not in file.read_bytes()
    assert stat.S_IMODE((site.folder / "runs").stat().st_mode) & 0o055


@pytest.mark.parametrize("content", [b"", b"x", b"[]", b'{"seq": 0, "digest": "a"}', b'{"seq": "1"}'])
def test_an_altered_mark_is_refused_by_name(site, content):
    run = site.run(None)
    keep_head(run, NEWER)
    (mark,) = (site.folder / "runs").glob(".ledger-*.json")
    mark.write_bytes(content)
    with pytest.raises(LedgerError, match=r"\.ledger-\w+\.json.*altered"):
        seen_head(run)


def test_an_older_copy_of_the_ledger_is_refused_by_any_run_of_the_directory(site):
    run = site.run(None)
    file = site.folder / "ledger.db"
    copy = file.read_bytes()
    account = begin(site, run)
    keep_head(run, account.head)
    file.write_bytes(copy)
    later = site.run(None, "run.key=second")
    with pytest.raises(LedgerError, match="older copy"):
        begin(site, later)
    assert site.account().spent_rho == 0


def begin(site, run):
    privacy = run.config.privacy
    return Ledger.connect(site.ledger).begin(
        privacy.dataset,
        run.config.run.key,
        "0" * 64,
        privacy.budget,
        privacy.unit.label,
        privacy.neighbours,
        seen_head=seen_head(run),
    )
