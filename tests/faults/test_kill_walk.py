"""kill -9 of the driver just before each of its durable effects, then the same key again."""

from __future__ import annotations

import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from support.faults import effects_of
from support.reliability import require_as_documented
from support.wreck import Left, Place, files_of, names_below, require_mended
from support.zygote import Zygotes

pytestmark = pytest.mark.platform


@pytest.fixture(scope="module")
def measured(drivers, source, tmp_path_factory) -> Place:
    """A run that is measured and fitted, and an old output of another seed."""
    place = Place.make(tmp_path_factory.mktemp("measured") / "place", source)
    assert drivers.run(*place.arguments, folder=place.folder).code == 0
    return place


def walk(drivers: Zygotes, start: Place, folder: Path, group: str, **fault: object) -> list[dict[str, str]]:
    """Kills a run from `start` before each of its effects, and runs it again; returns a row for each."""
    whole = start.copy(folder / "whole")
    before = files_of(whole.output) if whole.output.exists() else {}
    kept = {name: content for name, content in before.items() if name.startswith("a=kept/")} or None
    ended = drivers.run(*whole.arguments, folder=whole.folder, fault=whole.fault(**fault))
    assert ended.code == 0, ended.said
    effects, expected = effects_of(whole.folder / "journal"), names_below(whole.folder)
    steps = numbered(effects)

    def kill(number: int) -> dict[str, str]:
        place = start.copy(folder / str(number))
        ended = drivers.run(*place.arguments, folder=place.folder, fault=place.fault(number, **fault))
        assert ended.code == -9, ended.said
        assert effects_of(place.folder / "journal") == effects[:number]
        left = Left.of(place, before)
        again = drivers.run(*place.arguments, folder=place.folder)
        assert again.code == 0, (effects[number - 1], again.said)
        require_mended(place, left, expected, kept)
        shutil.rmtree(place.folder)
        said = f"{left.output}; {len(left.answers)} answers kept; one charge; run again: complete, nothing left over"
        return {
            "part": "driver",
            "step": f"{group}: {steps[number - 1]}",
            "fault": "kill -9 just before",
            "outcome": said,
        }

    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(kill, range(1, len(effects) + 1)))


def with_old_output(drivers: Zygotes, measured: Place, folder: Path, mode: str) -> Place:
    """Copies a measured run, and gives it an output of another seed, with a partition that no run makes."""
    start = measured.copy(folder, mode=mode)
    shutil.rmtree(start.output)
    assert drivers.run(*start.arguments, "--set", "run.seed=9", folder=start.folder).code == 0
    if mode == "overwrite_partitions":
        shutil.copytree(start.output / "a=p", start.output / "a=kept")
    return start


def numbered(names: list[str]) -> list[str]:
    """The same, with a number for those that come again."""
    times = [names[: i + 1].count(name) for i, name in enumerate(names)]
    return [f"{name} ({n})" if n > 1 else name for name, n in zip(names, times, strict=True)]


def test_a_driver_killed_before_any_of_its_effects_is_resumed_at_one_charge(drivers, source, tmp_path):
    start = Place.make(tmp_path / "start", source)
    require_as_documented("run", walk(drivers, start, tmp_path, "run"))


def test_the_healing_of_a_swap_may_be_killed_as_well(drivers, measured, tmp_path):
    """One partition is set aside and not yet replaced when the first driver is killed; then those that heal are."""
    start = with_old_output(drivers, measured, tmp_path / "start", "overwrite_partitions")
    fault = start.fault("_out.staging/a=q renamed to out/a=q", exchange=False)
    assert drivers.run(*start.arguments, folder=start.folder, fault=fault).code == -9
    group = "healing partitions, no exchange"
    require_as_documented(group, walk(drivers, start, tmp_path, group, exchange=False))


@pytest.mark.parametrize("exchange", [True, False], ids=["exchanged", "renamed"])
@pytest.mark.parametrize("mode", ["overwrite", "overwrite_partitions"])
def test_the_old_output_stays_until_the_new_one_is_complete(drivers, measured, tmp_path, mode, exchange):
    start = with_old_output(drivers, measured, tmp_path / "start", mode)
    group = f"{mode}{'' if exchange else ', no exchange'}"
    require_as_documented(group, walk(drivers, start, tmp_path, group, exchange=exchange))
