"""What a driver needs goes away in the middle: the ledger, the run directory, room on a disk.

The driver stops itself before a step; meanwhile something is taken away; it goes on and fails; what was taken comes
back, and the same key runs again.
"""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from support.postgres import PostgresServer
from support.reliability import require_as_documented
from support.wreck import Left, Place, files_of, names_below, require_mended

pytestmark = pytest.mark.platform

BY_THE_RULES = ("setpriv", "--bounding-set=-dac_override,-dac_read_search")
"""Makes root obey a folder's permissions."""


@contextmanager
def small_disk(folder: Path, megabytes: int = 4) -> Iterator[Path]:
    """A file system of a few megabytes."""
    folder.mkdir(parents=True)
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(folder)],
        check=False,
        capture_output=True,
    )
    if mounted.returncode != 0:
        pytest.skip("this user may mount nothing: no small disk to fill")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


@contextmanager
def full(disk: Path) -> Iterator[None]:
    """Leaves no room."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            pass
    yield
    filler.unlink()


@contextmanager
def moved(file: Path) -> Iterator[None]:
    file.rename(file.with_name("elsewhere"))
    yield
    file.with_name("elsewhere").rename(file)


@contextmanager
def locked(file: Path) -> Iterator[None]:
    connection = sqlite3.connect(file, isolation_level=None)
    connection.execute("BEGIN EXCLUSIVE")
    yield
    connection.execute("ROLLBACK")
    connection.close()


@contextmanager
def closed(*paths: Path) -> Iterator[None]:
    """Takes the permissions away, of folders and of all in them."""
    every = [p for path in paths for p in (path, *(path.rglob("*") if path.is_dir() else ()))]
    modes = {p: p.stat().st_mode for p in every}
    for p in reversed(every):
        p.chmod(0o500 if p.is_dir() else 0o000)
    yield
    for p, mode in modes.items():
        p.chmod(mode)


def fail(drivers, place: Place, step: str, taken, *, lock_seconds: int = 60, prefix=()) -> tuple[str, Left]:
    """Runs a driver from which something is taken at a step; returns how it ended and what it left."""
    before = files_of(place.output) if place.output.exists() else {}
    fault = place.fault(step, act="stop", lock_seconds=lock_seconds)
    driver = drivers.start(*place.arguments, "--json", folder=place.folder, fault=fault, prefix=prefix)
    driver.wait_until_stopped()
    with taken:
        driver.signal(signal.SIGCONT)
        ended = driver.wait()
    assert ended.code > 0, ended.said
    assert "Traceback" not in ended.said, ended.said
    assert str(place.url) not in ended.said
    retriable = '"retriable": true' in ended.said
    assert retriable == (ended.code == 75), ended.said
    (place.folder / "journal").unlink()
    return f"exit {ended.code}{', retriable' if retriable else ''}", Left.of(place, before)


def resumed(drivers, place: Place, left: Left, how: str) -> str:
    again = drivers.run(*place.arguments, folder=place.folder)
    assert again.code == 0, again.said
    require_mended(place, left, None)
    charged = "charged" if left.charged else "given back"
    return f"{how}; {len(left.answers)} answers kept, {charged}; run again: complete, one charge"


def row(group: str, step: str, fault: str, outcome: str) -> dict[str, str]:
    return {"part": "driver", "step": f"{group}: before {step}", "fault": fault, "outcome": outcome}


def test_a_ledger_that_goes_away_midway_costs_nothing_more(drivers, place, tmp_path):
    rows = []
    ways: list[tuple[str, Callable[[Place], object], tuple[str, ...]]] = [
        ("its file moved away", lambda p: moved(p.folder / "ledger.db"), ()),
        ("its file locked by another program", lambda p: locked(p.folder / "ledger.db"), ()),
        ("its file closed to the user", lambda p: closed(p.folder / "ledger.db"), BY_THE_RULES),
    ]
    for step in ("state/answer 0 written", "state/answer 1 written"):
        for fault, take, prefix in ways:
            one = place.copy(tmp_path / "one")
            how, left = fail(drivers, one, step, take(one), lock_seconds=1, prefix=prefix)
            rows.append(row("ledger unreachable", step, fault, resumed(drivers, one, left, how)))
            shutil.rmtree(one.folder)
    require_as_documented("ledger unreachable", rows)


def test_a_server_of_the_ledger_that_goes_away_midway_costs_nothing_more(drivers, source, tmp_path):
    server, rows = PostgresServer(), []

    @contextmanager
    def down() -> Iterator[None]:
        server.stop("immediate")
        yield
        server.start()

    try:
        for step in ("state/answer 0 written", "state/answer 1 written"):
            place = Place.make(tmp_path / step[-9], source, ledger=server.new_database())
            how, left = fail(drivers, place, step, down())
            rows.append(
                row("PostgreSQL", step, "the server stopped at once", resumed(drivers, place, left, how))
            )
    finally:
        server.remove()
    require_as_documented("PostgreSQL", rows)


@pytest.mark.parametrize("what", ["run directory", "ledger", "output"])
def test_a_disk_that_is_full_midway_costs_nothing_more(drivers, source, tmp_path, what):
    steps = {
        "run directory": (
            "state/answer 0 written",
            "state/answer 1 written",
            "released/model/model.npz written",
        ),
        "ledger": ("state/answer 0 written", "state/answer 1 written"),
        "output": ("Spark writes", "Spark counts"),
    }[what]
    rows = []
    for number, step in enumerate(steps):
        folder = tmp_path / f"place{number}"
        with small_disk(tmp_path / f"disk{number}") as disk:
            parts = {
                "run directory": {"runs": disk / "runs"},
                "ledger": {"ledger": f"sqlite:///{disk}/ledger.db"},
                "output": {"out": disk / "out"},
            }[what]
            place = Place.make(folder, source, **parts)
            how, left = fail(drivers, place, step, full(disk))
            rows.append(row(f"disk full, {what}", step, "no room left", resumed(drivers, place, left, how)))
    require_as_documented(f"disk full, {what}", rows)


@pytest.mark.skipif(shutil.which("setpriv") is None, reason="root cannot give up its rights here")
def test_a_folder_that_is_closed_midway_costs_nothing_more(drivers, place, tmp_path):
    prefix = BY_THE_RULES if os.geteuid() == 0 else ()
    rows = []
    for step, folders in (
        ("state/answer 0 written", ("runs/first",)),
        ("state/answer 1 written", ("runs/first",)),
        ("released/model/model.npz written", ("runs/first",)),
        ("_out.staging and out exchanged", (".",)),
    ):
        publishing = folders == (".",)
        one = place.copy(tmp_path / "one", mode="overwrite" if publishing else "error")
        if publishing:
            assert drivers.run(*one.arguments, folder=one.folder).code == 0
            one.config.write_text(one.config.read_text().replace("seed: 5", "seed: 6"))
        taken = (
            closed(*(one.folder / name for name in folders)) if not publishing else _closed_only(one.folder)
        )
        how, left = fail(drivers, one, step, taken, prefix=prefix)
        if publishing:
            one.config.write_text(one.config.read_text().replace("seed: 6", "seed: 5"))
        rows.append(
            row("folder closed", step, f"{folders[0]} closed to the user", resumed(drivers, one, left, how))
        )
        shutil.rmtree(one.folder)
    require_as_documented("folder closed", rows)


@contextmanager
def _closed_only(folder: Path) -> Iterator[None]:
    mode = folder.stat().st_mode
    folder.chmod(0o500)
    yield
    folder.chmod(mode)


def test_a_run_without_the_fault_leaves_what_the_others_are_compared_with(drivers, place):
    """The twin: what is checked above is not there before the run."""
    with pytest.raises(AssertionError):
        require_mended(place, Left.of(place, {}), None)
    assert drivers.run(*place.arguments, folder=place.folder).code == 0
    require_mended(place, Left.of(place, {}), names_below(place.folder))
