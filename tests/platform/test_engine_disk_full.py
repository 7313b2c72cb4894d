"""A disk fills up, on executors or under the output: a clear error, and the same key again is charged once."""

from __future__ import annotations

import json

import numpy as np
import pytest
from support.cluster import standalone_cluster
from support.crowds import SCHEMA, Crowd
from support.disks import enlarge, small_disk
from support.engine import session_on
from support.reliability import require_stated

from spark_dp.errors import TransientError
from spark_dp.pipeline.runner import run_all

pytestmark = [pytest.mark.platform, pytest.mark.strikes]

FULL = "TransientError, exit code 75, retriable; the same key again: one charge, one output"
UNIT = "{column: person, max_rows: 5, bounding: sample}"


@pytest.fixture(scope="module")
def crowd() -> Crowd:
    return Crowd.of(np.random.default_rng(2).integers(0, 60_000, 400_000))


def require_failure_told(site, error: TransientError) -> None:
    assert (error.exit_code, error.retriable) == (75, True)
    outcome = json.loads((site.run_folder / "state" / "outcome.json").read_text())
    assert (outcome["exit_code"], outcome["retriable"]) == (75, True)


def test_a_full_scratch_disk_spends_nothing_and_the_same_key_goes_on(tmp_path, crowd):
    site = crowd.site(tmp_path / "site")
    with small_disk(tmp_path / "scratch", "2m") as scratch:
        (tmp_path / "cluster").mkdir()
        with (
            standalone_cluster(tmp_path / "cluster", scratch=scratch) as master,
            session_on(master) as session,
        ):
            with pytest.raises(TransientError) as caught:
                run_all(site.run(session, schema=SCHEMA, unit=UNIT))
            require_failure_told(site, caught.value)
            assert site.account().spent_rho == 0
            assert site.released() == {}
            enlarge(scratch)
            made = run_all(site.run(session, schema=SCHEMA, unit=UNIT))
            once = site.account().spent_rho
            assert once > 0
            assert site.synthetic().num_rows == made.manifest["rows"]
    require_stated("measure: bound, sampling", "executors' disk full", FULL)


def test_a_full_disk_under_the_output_leaves_the_old_output_and_the_same_key_goes_on(tmp_path, crowd):
    site = crowd.site(tmp_path / "site")
    with small_disk(tmp_path / "site" / "disk", "3m") as disk, session_on("local[2]") as spark:
        small, large = f"output.path={disk}/out", "output.rows=3000000"
        how = {"schema": SCHEMA, "unit": UNIT}
        before = run_all(site.run(spark, small, "output.rows=1000", **how)).manifest
        once = site.account().spent_rho
        with pytest.raises(TransientError) as caught:
            run_all(site.run(spark, small, large, "output.mode=overwrite", **how))
        require_failure_told(site, caught.value)
        assert json.loads((disk / "out" / "_manifest.json").read_text()) == before
        enlarge(disk)
        after = run_all(site.run(spark, small, large, "output.mode=overwrite", **how)).manifest
        assert after["rows"] == 3_000_000
        assert site.account().spent_rho == once
        assert sorted(p.name for p in disk.iterdir()) == ["out"]
    require_stated("generate: write", "disk of the output full", FULL)
