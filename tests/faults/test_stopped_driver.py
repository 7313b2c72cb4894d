"""SIGSTOP of a driver, a second run of the same key, SIGCONT of the first: one of the two draws."""

from __future__ import annotations

import shutil
import signal

import pytest
from support.reliability import require_as_documented
from support.wreck import Left, Place, files_of, names_below, require_mended

pytestmark = pytest.mark.platform

LEASE = {"SPARK_DP_LEASE_SECONDS": "1"}


@pytest.fixture(scope="module")
def undisturbed(drivers, source, tmp_path_factory) -> list[str]:
    place = Place.make(tmp_path_factory.mktemp("undisturbed") / "place", source)
    assert drivers.run(*place.arguments, folder=place.folder).code == 0
    return names_below(place.folder)


def stopped(drivers, place, folder, step, *more: str, mode: str = "error"):
    """Returns a copy of a place, a driver that stopped there before a step, and what the next driver came to.

    A driver that stopped just while its lease was being renewed holds the lock of a SQLite file, and the next one ends
    with exit code 75 when it has waited for it long enough: that is not what is looked at here.
    """
    for _ in range(5):
        one = place.copy(folder, mode=mode)
        asked = (*one.arguments, *more)
        first = drivers.start(*asked, folder=one.folder, fault=one.fault(step, act="stop"), **LEASE)
        first.wait_until_stopped()
        second = drivers.run(
            *one.arguments, *(m.replace("=9", "=10") for m in more), folder=one.folder, **LEASE
        )
        if second.code == 0:
            return one, first, second
        first.kill()
        first.wait()
        shutil.rmtree(one.folder)
        assert second.code == 75 and "The ledger's database refused" in second.said, (step, second.said)
    raise AssertionError(f"Five times in a row at {step} the file was locked")


def said_of(ended) -> str:
    """The kind of error that the first driver ended with."""
    if "Another driver has taken this run over" in ended.said:
        return f"refused: another driver has taken the run over (exit {ended.code})"
    if "is gone: another driver of this run" in ended.said:
        return f"refused: another driver of the run writes the output (exit {ended.code})"
    for told in ("While writing the synthetic table, Spark failed", "could not be put into its place"):
        if told in ended.said:
            return f"refused: {told[0].lower()}{told[1:]} (exit {ended.code})"
    raise AssertionError(f"{ended.code}: {ended.said}")


def test_a_driver_that_is_stopped_replaced_and_woken_draws_and_releases_nothing(
    drivers, place, undisturbed, tmp_path
):
    rows = []
    for step in (
        "state/mark of the ledger written",
        "state/specification 0 written",
        "state/answer 0 written",
        "state/answer 2 written",
        "released/measurements/marginals.parquet written",
        "released/measurements/_committed.json written",
    ):
        one, first, _ = stopped(drivers, place, tmp_path / "one", step)
        left, released = Left.of(one, {}), files_of(one.run_root / "first" / "released")
        first.signal(signal.SIGCONT)
        ended = first.wait()
        require_mended(one, left, undisturbed)
        assert files_of(one.run_root / "first" / "released") == released
        rows.append(
            {
                "part": "driver",
                "step": f"two drivers: {step}",
                "fault": "SIGSTOP just before, a second run, SIGCONT",
                "outcome": f"second: complete; first {said_of(ended)}; one charge, one draw",
            }
        )
        shutil.rmtree(one.folder)
    require_as_documented("two drivers", rows)


def test_a_driver_that_is_stopped_while_it_publishes_cannot_take_the_table_of_its_successor_away(
    drivers, place, tmp_path
):
    assert drivers.run(*place.arguments, folder=place.folder).code == 0
    rows = []
    for step in (
        "Spark writes",
        "Spark counts",
        "_out.staging/_manifest.json written",
        "_out.staging and out exchanged",
    ):
        one, first, _ = stopped(
            drivers, place, tmp_path / "one", step, "--set", "run.seed=9", mode="overwrite"
        )
        made = files_of(one.output)
        first.signal(signal.SIGCONT)
        ended = first.wait()
        again = drivers.run(*one.arguments, "--set", "run.seed=10", folder=one.folder, **LEASE)
        if ended.code == 0:
            said = "first: complete, and takes its place again"
        else:
            assert files_of(one.output) == made
            said = f"first {said_of(ended)}"
        assert again.code == 0, again.said
        assert [p.name for p in one.folder.iterdir() if p.name.startswith("_")] == []
        rows.append(
            {
                "part": "driver",
                "step": f"two drivers, publishing: {step}",
                "fault": "SIGSTOP just before, a second run, SIGCONT",
                "outcome": f"second: complete; {said}; the output is whole, nothing left over",
            }
        )
        shutil.rmtree(one.folder)
    require_as_documented("two drivers, publishing", rows)
