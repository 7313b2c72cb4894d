"""A change of the input during a run is noticed, and what cannot be read is told without its content."""

import os
import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from spark_dp.errors import InputChangedError, InputError
from spark_dp.spark.snapshot import require_unchanged, snapshot_files, snapshot_rows

pytestmark = pytest.mark.spark


@pytest.fixture
def path(tmp_path):
    folder = tmp_path / "t" / "ds=a%3Ab"
    folder.mkdir(parents=True)
    for i in range(3):
        pq.write_table(pa.table({"x": [i]}), folder / f"p {i}.parquet")
    return str(tmp_path / "t")


def files(path):
    return sorted(str(file) for file in Path(path).rglob("*") if file.is_file())


def test_an_input_that_stays_is_unchanged(spark, path):
    before = snapshot_files(spark, path)
    assert len(before.files) == 3
    require_unchanged(spark, path, before)
    assert snapshot_files(spark, path).digest == before.digest


def appended(path):
    pq.write_table(pa.table({"x": [9]}), files(path)[0] + ".new.parquet")


def removed(path):
    Path(files(path)[0]).unlink()


def rewritten(path):
    pq.write_table(pa.table({"x": [8]}), files(path)[0])
    os.utime(files(path)[0], (1, 1))


def renamed(path):
    Path(files(path)[0]).rename(files(path)[0] + ".parquet")


def replaced_alike(path):
    """By another file of the same name, size and time."""
    file = Path(files(path)[0])
    was = file.stat()
    copy = file.with_name(".copy")
    copy.write_bytes(bytes(reversed(file.read_bytes())))
    copy.replace(file)
    os.utime(file, ns=(was.st_atime_ns, was.st_mtime_ns))


def written_within_a_millisecond(path):
    file = Path(files(path)[0])
    was = file.stat()
    file.write_bytes(bytes(reversed(file.read_bytes())))
    in_it = was.st_mtime_ns // 1_000_000 * 1_000_000
    os.utime(file, ns=(was.st_atime_ns, in_it + (was.st_mtime_ns + 1) % 1_000_000))


@pytest.mark.parametrize("change", [replaced_alike, written_within_a_millisecond])
def test_a_file_of_this_machine_that_looks_the_same_to_spark_is_noticed_during_a_run(spark, path, change):
    before = snapshot_files(spark, path)
    assert len(before.marks) == 3
    change(path)
    assert snapshot_files(spark, path).digest == before.digest, "Spark sees no difference"
    with pytest.raises(InputChangedError):
        require_unchanged(spark, path, before)


def test_a_table_that_was_copied_back_is_the_same_table(spark, path, tmp_path):
    before = snapshot_files(spark, path)
    shutil.copytree(path, tmp_path / "copy")
    shutil.rmtree(path)
    shutil.copytree(tmp_path / "copy", path)
    assert snapshot_files(spark, path).digest == before.digest


@pytest.mark.parametrize("change", [appended, removed, rewritten, renamed])
def test_a_file_that_changes_is_noticed(spark, path, change):
    before = snapshot_files(spark, path)
    change(path)
    assert snapshot_files(spark, path).digest != before.digest
    with pytest.raises(InputChangedError) as caught:
        require_unchanged(spark, path, before)
    assert caught.value.retriable
    assert caught.value.field == "input.path"


def test_files_that_spark_does_not_read_may_change(spark, path):
    before = snapshot_files(spark, path)
    for name in ("_SUCCESS", ".part.crc", "_manifest.json"):
        Path(path, name).write_text("x")
    require_unchanged(spark, path, before)
    assert snapshot_files(spark, path) == before


def test_a_path_that_is_not_there_is_told_as_such(spark, tmp_path):
    with pytest.raises(InputError, match="does not exist") as caught:
        snapshot_files(spark, str(tmp_path / "nowhere"))
    assert caught.value.field == "input.path"


def test_a_folder_without_files_is_refused(spark, tmp_path):
    (tmp_path / "_SUCCESS").touch()
    with pytest.raises(InputError, match="no file"):
        snapshot_files(spark, str(tmp_path))


def test_a_fingerprint_does_not_depend_on_the_layout(spark):
    rows = spark.range(500).selectExpr("id AS x", "CAST(id % 7 AS STRING) AS y")
    first = snapshot_rows(rows)
    assert snapshot_rows(rows.repartition(5).sortWithinPartitions("y")) == first
    assert snapshot_rows(rows.select("y", "x")) == first


@pytest.mark.parametrize(
    "change", ["IF(x = 3, 4, x) AS x", "IF(x = 3, NULL, x) AS x", "x + 1 AS x"], ids=["value", "null", "all"]
)
def test_a_fingerprint_changes_with_a_value(spark, change):
    rows = spark.range(500).selectExpr("id AS x", "CAST(id % 7 AS STRING) AS y")
    assert snapshot_rows(rows.selectExpr(change, "y")).digest != snapshot_rows(rows).digest


@pytest.mark.parametrize("ansi", ["true", "false"])
def test_a_fingerprint_changes_with_the_number_of_rows(spark, conf, ansi):
    conf["spark.sql.ansi.enabled"] = ansi
    rows = spark.range(500).selectExpr("id AS x")
    found = {snapshot_rows(r).digest for r in (rows, rows.limit(499), rows.union(rows), rows.where("false"))}
    assert len(found) == 4
