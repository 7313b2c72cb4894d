"""The main path through a Spark Connect server of this machine."""

from __future__ import annotations

import json
import re
import sys

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


def test_the_session_of_that_run_is_a_connect_session(tmp_path):
    """The twin: without the variable the same code opens a classic session."""
    script = (
        "from spark_dp.spark.session import open_session, is_connect;"
        "print(is_connect(open_session({'spark.ui.enabled': 'false'})))"
    )
    remote = finish([sys.executable, "-c", script], tmp_path, SPARK_REMOTE="local[1]")
    assert remote.stdout.strip().endswith("True"), remote.stderr[-2000:]
    classic = finish([sys.executable, "-c", script], tmp_path)
    assert classic.stdout.strip().endswith("False"), classic.stderr[-2000:]


def test_a_filter_through_spark_connect_reads_no_name_that_the_table_has_not(tmp_path):
    """Its plan is not to be seen there: without the look at names Spark would take `user` for who runs it."""
    script = (
        "from spark_dp.errors import ConfigurationError\n"
        "from spark_dp.spark.filters import filter_rows\n"
        "from spark_dp.spark.session import open_session\n"
        "rows = open_session({'spark.ui.enabled': 'false'}).range(3)\n"
        "print('kept', filter_rows(rows, 'id > 0').count())\n"
        "for condition in ('user != string(id)', '_pos < id', 'ra${x}nd() < id'):\n"
        "    try:\n"
        "        filter_rows(rows, condition)\n"
        "    except ConfigurationError as error:\n"
        "        print('refused', 'one row at a time' in error.message)\n"
    )
    done = finish([sys.executable, "-c", script], tmp_path, SPARK_REMOTE="local[1]")
    assert done.stdout.split("\n")[-5:-1] == ["kept 2", *["refused True"] * 3], done.stderr[-2000:]


def test_through_spark_connect_no_file_decides_how_others_are_read(tmp_path):
    """It keeps both spellings of an option: of 65,536 the first file's 16 bits would leave 0."""
    for folder, first in (("types", pa.array([5], pa.int16())), ("apart/ds=1", pa.array([5], pa.int32()))):
        (tmp_path / folder).mkdir(parents=True)
        pq.write_table(pa.table({"id": first}), tmp_path / folder / "a.parquet")
    for folder in ("types", "apart", "alike"):
        (tmp_path / folder).mkdir(exist_ok=True)
        pq.write_table(
            pa.table({"id": pa.array([65536, 65541], pa.int32())}), tmp_path / folder / "b.parquet"
        )
    script = (
        "from spark_dp.errors import InputError\n"
        "from spark_dp.spark.session import open_session\n"
        "from spark_dp.spark.tables import read_table\n"
        "session = open_session({'spark.ui.enabled': 'false'})\n"
        "for folder in ('types', 'apart', 'alike'):\n"
        "    for option in ('mergeschema', 'mergeSchema'):\n"
        "        try:\n"
        "            rows = read_table(session, path=None, table=f'parquet.`{folder}`', options={option: 'false'})\n"
        "            print('read', sorted(row[0] for row in rows.collect()))\n"
        "        except InputError as error:\n"
        "            print('refused', 'same types' in error.message, 'the same depth' in error.message)\n"
    ).replace("`{folder}`", f"`{tmp_path}/{{folder}}`")
    done = finish([sys.executable, "-c", script], tmp_path, SPARK_REMOTE="local[1]")
    expected = ["refused True False", "refused False True", "read [65536, 65541]"]
    assert done.stdout.split("\n")[-7:-1] == [line for line in expected for _ in range(2)], done.stderr[
        -2000:
    ]
