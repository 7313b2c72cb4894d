"""Readers of the output see the old table or the new one, and nothing between."""

import json
import shutil
from pathlib import Path

import pytest
from pyarrow import fs

from spark_dp.errors import (
    ConfigurationError,
    InternalError,
    OutputExistsError,
    SparkDPError,
    TransientError,
)
from spark_dp.spark.write import MANIFEST, Output, OutputMode, publish, recover, require_writable, write_rows

pytestmark = pytest.mark.spark

OLD, NEW = (
    b'{"made": "%s", "privacy": {"run_id": "%s", "promise": "p"}, "earlier_runs": []}' % (when, when)
    for when in (b"before", b"now")
)


@pytest.fixture
def path(tmp_path):
    """An output below a folder whose name looks like a partition's."""
    (tmp_path / "region=eu").mkdir()
    return str(tmp_path / "region=eu" / "out")


def output(path, mode="overwrite", by=()):
    return Output(path, OutputMode(mode), tuple(by))


def rows_of(spark, values):
    return (
        spark.createDataFrame(values, "k string, x int")
        if values
        else spark.sql("SELECT '' AS k, 1 AS x WHERE false")
    )


def put(spark, out, values, manifest=OLD):
    require_writable(out)
    write_rows(rows_of(spark, values), out, spark, expected=len(values))
    publish(out, manifest)


def content(spark, path):
    return sorted((row["k"], row["x"]) for row in spark.read.parquet(path).select("k", "x").collect())


def beside(path):
    return sorted(p.name for p in Path(path).parent.iterdir())


FIRST, SECOND = [("a", 1), ("b", 2), ("b", 3)], [("b", 9), ("c", 8)]


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
    assert output(path).manifest() == NEW
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


@pytest.mark.parametrize("crash", [1, 2, 3])
def test_a_crash_between_two_renames_is_mended(spark, monkeypatch, path, crash):
    """The steps of a swap: set aside, put into place, delete what was set aside."""
    out = output(path)
    put(spark, out, FIRST)
    write_rows(rows_of(spark, SECOND), out, spark, expected=2)
    steps = []

    class Crashing:
        def __init__(self, filesystem):
            self._filesystem = filesystem

        def __getattr__(self, name):
            def step(*given):
                if name in ("move", "delete_dir"):
                    steps.append(name)
                    if len(steps) == crash:
                        raise KeyboardInterrupt
                return getattr(self._filesystem, name)(*given)

            return step

    from spark_dp.spark import write

    opened = write._open
    with monkeypatch.context() as patched:
        patched.setattr(write, "_open", lambda p: (Crashing(opened(p)[0]), opened(p)[1]))
        with pytest.raises(KeyboardInterrupt):
            publish(out, NEW)
    recover(out)
    whole = {OLD: FIRST, NEW: SECOND}
    assert content(spark, path) == whole[out.manifest()]
    assert (out.manifest() == NEW) == (crash == 3)
    assert "_out.previous" not in beside(path)
    put(spark, out, SECOND, NEW)
    assert content(spark, path) == SECOND
    assert beside(path) == ["out"]


@pytest.mark.parametrize("crash", range(1, 9))
def test_a_crash_while_partitions_are_replaced_by_renames_is_mended_by_whoever_comes_next(
    spark, monkeypatch, path, crash
):
    """The steps of two partitions, one of them there before: set aside, put into place, delete what was set aside."""
    mode, by = "overwrite_partitions", ["k"]
    put(spark, output(path, mode, by), FIRST)
    out = output(path, mode, by)
    write_rows(rows_of(spark, SECOND), out, spark, expected=2)
    steps = crash_at(crash, out, monkeypatch)
    kept = {"a": [("a", 1)]}
    replaced = {"b": ([("b", 2), ("b", 3)], [("b", 9)]), "c": ([], [("c", 8)])}
    for name, rows in kept.items():
        assert content(spark, f"{path}") and [r for r in content(spark, path) if r[0] == name] == rows
    for name, states in replaced.items():
        found = [r for r in content(spark, path) if r[0] == name]
        assert found in states or found == []
    recover(output(path, mode, by))
    if len(steps) == crash:
        assert content(spark, path) == [("a", 1), ("b", 9), ("c", 8)]
        assert output(path).manifest() == NEW
    assert beside(path) == ["out"]


def crash_at(crash, out, monkeypatch):
    """Publishes by renames, and ends at a step; returns the steps."""
    steps = []

    class Crashing:
        def __init__(self, filesystem):
            self._filesystem = filesystem

        def __getattr__(self, name):
            def step(*given, **more):
                if name in ("move", "delete_dir", "delete_file", "create_dir"):
                    steps.append(name)
                    if len(steps) == crash:
                        raise KeyboardInterrupt
                return getattr(self._filesystem, name)(*given, **more)

            return step

    from spark_dp.spark import write

    opened = write._open
    with monkeypatch.context() as patched:
        patched.setattr(write, "_open", lambda p: (Crashing(opened(p)[0]), opened(p)[1]))
        try:
            publish(out, NEW)
        except KeyboardInterrupt:
            return steps
    return []


def test_partitions_of_a_journal_are_never_missing_where_folders_can_be_exchanged(spark, monkeypatch, path):
    from spark_dp.spark import swap

    mode, by = "overwrite_partitions", ["k"]
    put(spark, output(path, mode, by), FIRST)
    seen = []
    exchange = swap.exchange

    def watched(*given):
        done = exchange(*given)
        seen.append((done, {row[0] for row in content(spark, path)}))
        return done

    monkeypatch.setattr(swap, "exchange", watched)
    put(spark, output(path, mode, by), SECOND, NEW)
    assert seen
    assert all(done and {"a", "b"} <= names for done, names in seen)


def test_a_table_whose_staging_folder_another_driver_took_away_is_not_published(spark, path):
    first, second = output(path), output(path)
    put(spark, output(path), FIRST)
    write_rows(rows_of(spark, SECOND), first, spark, expected=2)
    recover(second)
    with pytest.raises(TransientError, match="another driver"):
        publish(first, NEW)
    assert content(spark, path) == FIRST
    assert output(path).manifest() == OLD
    assert beside(path) == ["out"]


class TakenOver:
    """The session, whose frame of what was written loses files once Spark has listed them, or before it does."""

    def __init__(self, session, staging, keep, *, listed):
        self._session, self._staging, self._keep, self._listed = session, staging, keep, listed

    def __getattr__(self, name):
        return getattr(self._session, name)

    @property
    def read(self):
        return self

    def parquet(self, path):
        if self._listed:
            found = self._session.read.parquet(path)
        for file in sorted(Path(self._staging).glob("part-*"))[self._keep :]:
            file.unlink()
        if not self._keep:
            shutil.rmtree(self._staging)
        return found if self._listed else self._session.read.parquet(path)


@pytest.mark.parametrize("listed", [True, False])
def test_a_table_that_another_driver_takes_away_before_it_is_counted_may_be_made_again(spark, path, listed):
    put(spark, output(path), FIRST)
    out = output(path)
    with pytest.raises(TransientError, match="another driver of this run") as caught:
        write_rows(rows_of(spark, SECOND), out, TakenOver(spark, out.staging, 0, listed=listed), expected=2)
    assert (caught.value.exit_code, caught.value.field) == (75, "output.path")
    assert "at no new charge" in str(caught.value)
    assert content(spark, path) == FIRST
    assert beside(path) == ["out"]


def test_a_part_of_the_table_that_is_gone_before_it_is_counted_is_nobodys_input(spark, path):
    out = output(path)
    with pytest.raises(TransientError, match="counting the synthetic table") as caught:
        write_rows(
            rows_of(spark, SECOND).repartition(2, "x"),
            out,
            TakenOver(spark, out.staging, 1, listed=True),
            expected=2,
        )
    assert "input" not in str(caught.value)
    assert beside(path) == []


def test_runs_that_write_partitions_leave_each_others_staging_folders_alone(spark, path):
    one, other = (
        Output(path, OutputMode.OVERWRITE_PARTITIONS, ("k",), owner) for owner in ("aaaaaaaa", "bbbbbbbb")
    )
    write_rows(rows_of(spark, FIRST), one, spark, expected=3)
    recover(other)
    publish(one, NEW)
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
