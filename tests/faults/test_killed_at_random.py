"""kill -9 at any time, also in the middle of Spark's jobs."""

from __future__ import annotations

import random
import signal
import time

import pytest
from support.faults import effects_of
from support.soak import Soak
from support.wreck import Left, Place, require_mended
from support.zygote import zygotes

pytestmark = pytest.mark.platform


@pytest.fixture(scope="session")
def seconds(drivers, source, tmp_path_factory) -> float:
    """How long a run takes on this machine, once Spark is warm."""
    for turn in ("cold", "warm"):
        whole = Place.make(tmp_path_factory.mktemp(turn) / "place", source)
        began = time.monotonic()
        assert drivers.run(*whole.arguments, folder=whole.folder).code == 0
    return time.monotonic() - began


@pytest.mark.parametrize("seed", range(3))
def test_a_run_that_is_killed_again_and_again_ends_with_one_charge(drivers, place, seconds, seed):
    rng = random.Random(seed)
    codes = []
    for _ in range(4):
        driver = drivers.start(*place.arguments, folder=place.folder)
        time.sleep(rng.random() * 0.9 * seconds)
        driver.kill()
        codes.append(driver.wait().code)
    assert -signal.SIGKILL in codes
    assert set(codes) <= {0, -signal.SIGKILL}, codes
    left = Left.of(place, {})
    assert drivers.run(*place.arguments, folder=place.folder).code == 0
    require_mended(place, left, None)


def test_a_driver_with_a_spark_of_its_own_is_killed_in_the_middle_of_a_job(place):
    """The JVM goes with its driver, whatever it is doing."""
    with zygotes(None) as own:
        driver = own.start(*place.arguments, folder=place.folder, fault=place.fault())
        journal = place.folder / "journal"
        while not any("reserved" in name for name in effects_of(journal)):
            time.sleep(0.05)
        time.sleep(random.Random(7).random())
        driver.kill()
        assert driver.wait().code == -signal.SIGKILL
        left = Left.of(place, {})
        again = own.run(*place.arguments, folder=place.folder)
        assert again.code == 0, again.said
    require_mended(place, left, None)


def test_an_account_survives_a_short_soak(drivers, source, tmp_path):
    soak = Soak(folder=tmp_path, source=source, drivers=drivers, runs=10, keys=4, seed=3)
    figures = soak.run()
    assert figures["keys complete"] == 3
    assert figures["keys refused for want of budget"] == 1
    assert figures["killed"] > 0
