"""Executors die, stall and lose what they hold; the curator is given the exact counts that it would have been given.

Each test strikes a real cluster while a named step is at work, sees that it was struck, and compares with
marginals that numpy knows from how the rows were drawn.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.cluster import standalone_cluster
from support.crowds import Crowd, same
from support.engine import (
    TooLateError,
    Watch,
    frozen_worker,
    kill_busy,
    lose_cached_blocks,
    lose_shuffle_files,
    session_on,
    wait_for_executors,
)
from support.passes import Passes
from support.reliability import require_stated
from support.visits import Site

pytestmark = [pytest.mark.platform, pytest.mark.strikes]

K = 5
ROWS = 300_000
SAME = "identical counts"
UNIT = {b: f"{{column: person, max_rows: {K}, bounding: {b}}}" for b in ("weight", "sample")}

FILES, SHUFFLED = 6, 4  # tasks of a pass over the files, and of one over what was shuffled
STEPS = {  # step: bounding, which pass, where in it
    "encode": ("sample", "bounding", {"tasks": FILES}),
    "bound": ("weight", "bounding", {"tasks": FILES}),
    "bound, sampling": ("sample", "counting", {"tasks": FILES}),
    "count": ("weight", "counting", {"tasks": FILES}),
    "count, sampling": ("sample", "counting", {"tasks": SHUFFLED, "after": 2}),
}

STRIKES = 3


@pytest.fixture(scope="module")
def scratch(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("scratch")


@pytest.fixture(scope="module")
def session(tmp_path_factory, scratch) -> Iterator[Any]:
    speculation = {
        "spark.speculation": "true",
        "spark.speculation.interval": "100ms",
        "spark.speculation.quantile": "0.5",
        "spark.speculation.multiplier": "3",
        "spark.speculation.minTaskRuntime": "3s",
    }
    with (
        standalone_cluster(tmp_path_factory.mktemp("cluster"), scratch=scratch) as master,
        session_on(master, **speculation) as session,
    ):
        yield session


@pytest.fixture(scope="module")
def crowd() -> Crowd:
    random = np.random.default_rng(1)
    units = random.geometric(0.0001, ROWS) - 1
    units[: ROWS // 10] = 7  # one unit has a tenth of the rows
    return Crowd.of(random.permutation(units))


@pytest.fixture(scope="module")
def site(tmp_path_factory, crowd) -> Site:
    return crowd.site(tmp_path_factory.mktemp("site"), files=FILES)


@pytest.fixture(scope="module")
def expected(session, site, crowd):
    """By numpy for weights; a sample (that it is k rows of each unit is tested elsewhere) as without faults."""
    wait_for_executors(session)
    return {
        "weight": crowd.marginals(weights=crowd.weights(K)),
        "sample": Passes(session, site, UNIT["sample"]).count(),
    }


def test_without_faults_the_counts_are_the_exact_ones(session, site, crowd, expected):
    assert same(Passes(session, site, UNIT["weight"]).count(), expected["weight"])
    assert expected["sample"][()] <= np.minimum(crowd.sizes, K).sum()
    assert not same(expected["sample"], expected["weight"])


def struck_passes(session, site, step, watching, expected) -> None:
    """Counts under a strike, again where the engine was quicker than the strike; the counts are right each time."""
    bounding, which, _ = STEPS[step]
    for _ in range(STRIKES):
        wait_for_executors(session)
        passes, watch = Passes(session, site, UNIT[bounding]), watching()
        setattr(passes, which, watch)
        try:
            assert same(passes.count(), expected)
        except TooLateError:
            continue
        if watch.failures:
            return
    raise AssertionError(f"{STRIKES} strikes met nothing")


@pytest.mark.parametrize(
    ("victim", "step"),
    [("executor", step) for step in STEPS]
    + [("Python workers", step) for step in STEPS if step != "bound"],  # there Spark works alone
)
def test_counts_are_the_same_after_a_kill(session, site, expected, step, victim):
    bounding, _, where = STEPS[step]
    struck_passes(
        session, site, step, lambda: Watch(session, kill_busy(session, victim), **where), expected[bounding]
    )
    require_stated(f"measure: {step}", f"{victim} killed", SAME)


@pytest.mark.parametrize("step", ["encode", "count"])
def test_counts_are_the_same_where_a_slow_task_is_run_twice(session, site, expected, step):
    bounding, which, where = STEPS[step]
    wait_for_executors(session)
    passes = Passes(session, site, UNIT[bounding])
    with frozen_worker(session) as freeze:
        watch = Watch(session, freeze, **where)
        setattr(passes, which, watch)
        found = passes.count()  # ends while the frozen task still stands
    assert watch.struck is not None
    assert same(found, expected[bounding])
    require_stated(f"measure: {step}", "slow task, speculation", SAME)


@pytest.mark.parametrize("step", ["bound", "bound, sampling", "count", "count, sampling"])
def test_counts_are_the_same_after_shuffle_files_are_lost(session, site, scratch, expected, step):
    bounding, _, where = STEPS[step]
    lost: list[int] = []

    def lose() -> bool:
        lost.append(lose_shuffle_files(scratch))
        return False  # those of this stage may not be there yet

    struck_passes(session, site, step, lambda: Watch(session, lose, **where, done=2), expected[bounding])
    assert sum(lost) > 0
    require_stated(f"measure: {step}", "shuffle files lost", SAME)


@pytest.mark.parametrize("bounding", UNIT)
def test_counts_are_the_same_after_caches_are_evicted(session, site, scratch, expected, bounding):
    wait_for_executors(session)
    passes = Passes(session, site, UNIT[bounding])
    lost: list[int] = []
    passes.between = lambda: lost.extend([lose_cached_blocks(session), lose_shuffle_files(scratch)])
    found = passes.count()
    assert all(lost), "nothing was cached, or nothing shuffled"
    assert same(found, expected[bounding])
    require_stated("measure: count", "cached blocks and their shuffle files lost", SAME)


def test_counts_are_the_same_after_the_holder_of_a_cache_is_killed(session, site, expected):
    for bounding in UNIT:
        passes = Passes(session, site, UNIT[bounding])
        passes.between = wait_for_executors(session)[1].kill
        assert same(passes.count(), expected[bounding])
    require_stated("measure: count", "executor killed between the passes", SAME)


def test_a_pass_that_counts_a_lost_task_twice_would_be_seen(session, site, expected):
    """The twin: the comparison is of every cell, and one row more is another table."""
    more = {clique: counts.copy() for clique, counts in expected["weight"].items()}
    more[("ward",)][0] += 1
    assert not same(more, expected["weight"])
