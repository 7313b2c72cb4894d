"""kill -9 at any time, also in the middle of Spark's jobs."""

from __future__ import annotations

import random
import signal
import time

import pytest
from support.faults import effects_of
from support.soak import Soak
from support.wreck import Left, require_mended
from support.zygote import zygotes

pytestmark = pytest.mark.platform


@pytest.mark.parametrize("seed", range(3))
def test_a_run_that_is_killed_again_and_again_ends_with_one_charge(drivers, place, seed):
    rng = random.Random(seed)
    for _ in range(4):
        driver = drivers.start(*place.arguments, folder=place.folder)
        time.sleep(rng.random() * 4)
        driver.signal(signal.SIGKILL)
        driver.wait()
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
        driver.signal(signal.SIGKILL)
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
