"""What a manifest says where several runs write partitions of one table at the same time."""

import json
from pathlib import Path

import pytest

from spark_dp.spark.swap import with_runs_of
from spark_dp.spark.write import Output, OutputMode, publish, recover

FIRST = {"run_id": "first", "promise": "of first"}


def manifest(run, *earlier):
    stated = {"run_id": run, "promise": f"of {run}"}
    return json.dumps({"privacy": stated, "earlier_runs": list(earlier), "rows": 1}).encode()


def made(tmp_path, owner, partition):
    """A run's staging folder with one partition, as Spark leaves it."""
    out = Output(f"{tmp_path}/out", OutputMode.OVERWRITE_PARTITIONS, ("k",), owner)
    leaf = Path(out.staging) / f"k={partition}"
    leaf.mkdir(parents=True)
    (leaf / f"part-{owner}.parquet").write_bytes(b"rows")
    return out


def stated(out):
    facts = json.loads(out.manifest())
    return facts["privacy"]["run_id"], {run["run_id"] for run in facts["earlier_runs"]}


@pytest.fixture
def table(tmp_path):
    out = made(tmp_path, "00", "z")
    publish(out, manifest("first"))
    return out


def test_of_two_runs_that_overlap_the_last_names_the_other(tmp_path, table):
    one, other = made(tmp_path, "aa", "a"), made(tmp_path, "bb", "b")
    publish(one, manifest("one", FIRST))  # both manifests were made before either was published
    written = publish(other, manifest("other", FIRST))
    assert {p.name for p in Path(table.path).iterdir()} == {"k=a", "k=b", "k=z", "_manifest.json"}
    assert stated(other) == ("other", {"first", "one"})
    assert written == other.manifest()


def test_a_journal_that_is_finished_late_names_the_run_that_came_between(tmp_path, table):
    crashed, other = made(tmp_path, "aa", "a"), made(tmp_path, "bb", "b")
    crashed.swap.begin_partitions(manifest("crashed", FIRST))
    publish(other, manifest("other", FIRST))
    recover(crashed)
    assert stated(table) == ("crashed", {"first", "other"})


def test_the_manifest_names_a_run_before_its_first_partition_comes(tmp_path, table):
    out = made(tmp_path, "aa", "a")
    out.swap.begin_partitions(manifest("one", FIRST))
    (Path(out.staging) / "k=a" / "part-aa.parquet").unlink()
    (Path(out.staging) / "k=a").rmdir()  # the first partition cannot be moved
    with pytest.raises(FileNotFoundError):
        out.swap.finish_partitions()
    assert stated(out) == ("one", {"first"})
    assert not (Path(table.path) / "k=a").exists()


def test_a_manifest_that_names_all_runs_stays_as_it_is():
    new = manifest("new", FIRST)
    assert with_runs_of(new, manifest("first")) == new
    assert with_runs_of(new, manifest("new", FIRST)) == new


@pytest.mark.parametrize("there", [None, b"", b"no JSON", b"{}", b'{"privacy": 1, "earlier_runs": []}'])
def test_what_is_no_manifest_names_no_run(there):
    assert with_runs_of(manifest("new"), there) == manifest("new")
