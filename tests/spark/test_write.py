"""Readers of the output see the old table or the new one, and nothing between."""

import json

import pytest
from pyarrow import fs
from writing import AFTER_OLD, FIRST, NEW, OLD, SECOND, beside, content, output, put, rows_of

from spark_dp.errors import (
    ConfigurationError,
    InternalError,
    OutputExistsError,
    SparkDPError,
    TransientError,
)
from spark_dp.spark.write import MANIFEST, publish, recover, require_writable, write_rows

pytestmark = pytest.mark.spark


@pytest.mark.parametrize("by", [(), ("k",)])
def test_the_new_table_takes_the_place_of_the_old_one(spark, path, by):
    put(spark, output(path, by=by), FIRST)
    assert content(spark, path) == FIRST
    assert output(path).manifest() == OLD
    put(spark, output(path, by=by), SECOND, NEW)
    assert content(spark, path) == SECOND
    assert output(path).manifest() == NEW
    assert beside(path) == ["out"]


def test_a_table_that_is_there_stays_where_the_mode_is_error(spark, path):
    put(spark, output(path, "error"), FIRST)
    with pytest.raises(OutputExistsError) as caught:
        require_writable(output(path, "error"))
    assert caught.value.field == "output.path"
    require_writable(output(path, "overwrite"))
    assert content(spark, path) == FIRST


def test_a_table_that_came_while_ours_was_made_stays(spark, path):
    out = output(path, "error")
    require_writable(out)
    write_rows(rows_of(spark, SECOND), out, spark, expected=2)
    rows_of(spark, FIRST).write.parquet(path)
    with pytest.raises(OutputExistsError):
        publish(out, NEW)
    assert content(spark, path) == FIRST


def test_only_the_partitions_that_were_made_are_replaced(spark, path):
    put(spark, output(path, "overwrite_partitions", ["k"]), FIRST)
    put(spark, output(path, "overwrite_partitions", ["k"]), SECOND, NEW)
    assert content(spark, path) == [("a", 1), ("b", 9), ("c", 8)]
    assert output(path).manifest() == AFTER_OLD
    assert beside(path) == ["out"]


def test_partitions_cannot_be_replaced_without_columns_that_make_them(path):
    with pytest.raises(ConfigurationError) as caught:
        require_writable(output(path, "overwrite_partitions"))
    assert caught.value.field == "output.mode"


@pytest.mark.parametrize("mode", ["overwrite", "overwrite_partitions"])
@pytest.mark.parametrize("scheme", ["s3", "s3a", "gs", "abfss"])
def test_nothing_is_replaced_on_an_object_store(scheme, mode):
    with pytest.raises(ConfigurationError) as caught:
        require_writable(output(f"{scheme}://bucket/x", mode, ["k"]))
    assert caught.value.field == "output.mode"


def broken(spark):
    """A table whose third task fails, after others have written."""

    def make(batches):
        import pyarrow

        for batch in batches:
            for number in batch.column(0).to_pylist():
                if number == 2:
                    raise RuntimeError("CANARY_7F3A")
                yield pyarrow.RecordBatch.from_pydict({"k": ["z"], "x": pyarrow.array([number], "int32")})

    return spark.range(0, 3, 1, 3).mapInArrow(make, "k string, x int")


@pytest.mark.parametrize("by", [(), ("k",)])
def test_a_write_that_fails_leaves_the_old_table_whole(spark, path, by):
    out = output(path, by=by)
    put(spark, out, FIRST)
    with pytest.raises(SparkDPError) as caught:
        write_rows(broken(spark), out, spark, expected=3)
    assert "CANARY" not in str(caught.value)
    assert content(spark, path) == FIRST
    assert out.manifest() == OLD
    put(spark, out, SECOND, NEW)
    assert content(spark, path) == SECOND
    assert beside(path) == ["out"]


def test_sparks_own_overwrite_would_have_lost_the_old_table(spark, path):
    put(spark, output(path), FIRST)
    with pytest.raises(Exception, match="CANARY"):
        broken(spark).write.mode("overwrite").parquet(path)
    with pytest.raises(Exception, match=r"infer|schema"):
        content(spark, path)


def test_a_write_that_fails_leaves_no_output_where_there_was_none(spark, path):
    out = output(path, "error")
    with pytest.raises(SparkDPError):
        write_rows(broken(spark), out, spark, expected=3)
    require_writable(out)
    assert out.manifest() is None


def test_a_table_of_the_wrong_length_is_not_published(spark, path):
    out = output(path)
    put(spark, out, FIRST)
    with pytest.raises(InternalError):
        write_rows(rows_of(spark, SECOND), out, spark, expected=3)
    assert content(spark, path) == FIRST


@pytest.mark.parametrize("overwrite", ["static", "dynamic"])
def test_what_an_earlier_attempt_left_is_not_published(spark, conf, path, overwrite):
    conf["spark.sql.sources.partitionOverwriteMode"] = overwrite
    out = output(path, by=["k"])
    rows_of(spark, [("left over", 1)]).write.partitionBy("k").parquet(out.staging)
    put(spark, out, FIRST)
    assert content(spark, path) == FIRST


def test_a_write_that_fails_leaves_nothing_beside_the_output(spark, path):
    with pytest.raises(SparkDPError):
        write_rows(broken(spark), output(path), spark, expected=3)
    assert beside(path) == []


def test_a_file_system_that_fails_is_told_as_what_may_be_tried_again(spark, path, monkeypatch):
    from spark_dp.spark import swap

    def fail(*_):
        raise OSError(28, "No space left on device")

    out = output(path)
    put(spark, out, FIRST)
    write_rows(rows_of(spark, SECOND), out, spark, expected=2)
    with monkeypatch.context() as patched:
        patched.setattr(swap, "exchange", fail)
        with pytest.raises(TransientError, match="No space left") as caught:
            publish(out, NEW)
    assert caught.value.field == "output.path"
    assert content(spark, path) == FIRST


def test_there_is_nothing_to_mend_after_a_whole_run(spark, path):
    put(spark, output(path), FIRST)
    recover(output(path))
    assert content(spark, path) == FIRST


@pytest.mark.parametrize("by", [(), ("k",)])
@pytest.mark.parametrize("mode", ["overwrite", "overwrite_partitions"])
def test_a_table_without_rows_states_its_schema(spark, path, by, mode):
    if mode == "overwrite_partitions" and not by:
        mode = "error"
    put(spark, output(path, mode, by), [])
    found = spark.read.parquet(path)
    assert found.count() == 0
    assert found.dtypes == [("k", "string"), ("x", "int")]


def test_no_new_rows_replace_no_partition(spark, path):
    out = output(path, "overwrite_partitions", ["k"])
    put(spark, out, FIRST)
    put(spark, out, [], NEW)
    assert content(spark, path) == FIRST


def test_the_manifest_is_in_the_table_and_spark_does_not_read_it(spark, path):
    put(spark, output(path), FIRST)
    assert json.loads(fs.LocalFileSystem().open_input_stream(f"{path}/{MANIFEST}").read()) == json.loads(OLD)
    assert content(spark, path) == FIRST
    assert not any(MANIFEST in name for name in spark.read.parquet(path).inputFiles())


def test_a_uri_names_the_same_output(spark, tmp_path):
    put(spark, output(tmp_path.as_uri() + "/out/"), FIRST)
    assert content(spark, str(tmp_path / "out")) == FIRST
    assert output(str(tmp_path / "out")).manifest() == OLD
    assert beside(str(tmp_path / "out")) == ["out"]
