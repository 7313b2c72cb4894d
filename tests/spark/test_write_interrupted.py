"""A write that stops midway, or meets another driver: the old table or the new one, and nothing left beside it."""

import shutil
from pathlib import Path

import pytest
from writing import AFTER_OLD, FIRST, NEW, OLD, SECOND, beside, content, output, put, rows_of

from spark_dp.errors import TransientError
from spark_dp.spark.write import Output, OutputMode, publish, recover, write_rows

pytestmark = pytest.mark.spark


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
        assert output(path).manifest() == AFTER_OLD
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
