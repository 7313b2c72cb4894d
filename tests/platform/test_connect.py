"""The main path through a Spark Connect server of this machine."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support.processes import finish
from support.visits import Site

pytestmark = pytest.mark.platform


@pytest.mark.parametrize("bounding", ["weight", "sample"])
def test_a_run_through_spark_connect(tmp_path, bounding):
    site = Site.make(tmp_path)
    config = site.config_file(unit=f"{{column: person, max_rows: 10, bounding: {bounding}}}")
    config.write_text(
        re.sub(r"^spark:.*$", "evaluate: {against_input: true}", config.read_text(), flags=re.M)
    )
    done = finish(
        [sys.executable, "-m", "spark_dp.cli", "run", str(config)], tmp_path, SPARK_REMOTE="local[2]"
    )
    assert done.returncode == 0, done.stderr[-3000:]
    manifest = json.loads((site.output / "_manifest.json").read_text())
    assert manifest["rows"] == site.synthetic().num_rows > 0
    assert "NOT PRIVATE" in done.stdout
    assert site.account().spent_rho > 0


SCRIPT = Path(__file__).with_name("connect_session.py")


@pytest.fixture(scope="module")
def inputs(tmp_path_factory) -> Path:
    """Ids in files of two widths, of which one lies apart, and of one width."""
    folder = tmp_path_factory.mktemp("inputs")
    for name, first in (("types/a", pa.int16()), ("apart/ds=1/a", pa.int32())):
        (folder / name).parent.mkdir(parents=True)
        pq.write_table(pa.table({"id": pa.array([5], first)}), folder / f"{name}.parquet")
    for name in ("types", "apart", "alike"):
        (folder / name).mkdir(exist_ok=True)
        pq.write_table(pa.table({"id": pa.array([65536, 65541], pa.int32())}), folder / name / "b.parquet")
    return folder


@pytest.fixture(scope="module")
def seen(inputs) -> dict[str, Any]:
    """What a session of Spark Connect does."""
    done = finish([sys.executable, str(SCRIPT)], inputs, SPARK_REMOTE="local[1]")
    assert done.returncode == 0, done.stderr[-2000:]
    return dict(json.loads(done.stdout.strip().split("\n")[-1]))


def test_the_session_of_that_run_is_a_connect_session(seen, inputs):
    """The twin: without the variable the same code opens a classic session."""
    assert seen["connect"]
    classic = finish([sys.executable, str(SCRIPT)], inputs)
    assert json.loads(classic.stdout.strip().split("\n")[-1]) == {"connect": False}, classic.stderr[-2000:]


def test_a_filter_through_spark_connect_reads_no_name_that_the_table_has_not(seen):
    """Its plan is not to be seen there: without the look at names Spark would take `user` for who runs it."""
    kept, *refused = seen["filters"].values()
    assert kept == 2
    assert len(refused) == 3
    assert all("one row at a time" in message for message in refused)


def test_through_spark_connect_no_file_decides_how_others_are_read(seen):
    """It keeps both spellings of an option: of 65,536 the first file's 16 bits would leave 0."""
    assert all("same types" in message for message in seen["files"]["types"])
    assert all("the same depth" in message for message in seen["files"]["apart"])
    assert seen["files"]["alike"] == [[65536, 65541]] * 2
