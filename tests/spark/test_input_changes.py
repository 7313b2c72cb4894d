"""An input that changes midway answers nothing, is told as such, and costs nothing."""

import json
import shutil
import threading
from contextlib import contextmanager

import numpy as np
import pyarrow.parquet as pq
import pytest
from support.crowds import SCHEMA, Crowd, same
from support.passes import Passes
from support.reliability import require_stated

from spark_dp.errors import InputChangedError, InputError
from spark_dp.pipeline.runner import run_all
from spark_dp.spark.session import open_session

pytestmark = pytest.mark.spark

UNITS = {
    "weight": "{column: person, max_rows: 5}",
    "sample": "{column: person, max_rows: 5, bounding: sample}",
    "row": "row",
}
CROWD = Crowd.of(np.random.default_rng(3).integers(0, 3000, 40_000))
OUTCOME = "InputChangedError, exit code 65, retriable; the same key again: one charge"


def append(folder):
    pq.write_table(CROWD.table(stop=10, id_width=12), folder / "part-9.parquet")


def replace(folder):
    """The same number of rows, of other units."""
    file = folder / "part-00001.parquet"
    table = pq.read_table(file)
    pq.write_table(
        table.set_column(0, "person", table.column("person").take(np.roll(np.arange(len(table)), 7) // 2)),
        file,
    )


def truncate(folder):
    file = folder / "part-00001.parquet"
    file.write_bytes(file.read_bytes()[:-200])


def remove(folder):
    (folder / "part-00001.parquet").unlink()


CHANGES = {
    "file appended": append,
    "file replaced": replace,
    "file truncated": truncate,
    "file removed": remove,
}


@pytest.fixture
def site(tmp_path):
    return CROWD.site(tmp_path, files=4)


@pytest.mark.parametrize("unit", ["weight", "sample"])
@pytest.mark.parametrize("change", CHANGES)
def test_a_change_between_the_passes_is_noticed(spark, site, unit, change):
    passes = Passes(spark, site, UNITS[unit])
    passes.between = lambda: CHANGES[change](site.folder / "in")
    with pytest.raises(InputChangedError) as caught:
        passes.count()
    assert caught.value.retriable
    assert "No query was answered" in caught.value.message


def test_without_a_change_both_passes_count_the_same_table(spark, site):
    found = Passes(spark, site, UNITS["weight"]).count()
    assert same(found, CROWD.marginals(weights=CROWD.weights(5)))


@contextmanager
def once_reserved(site, change):
    """Makes the change when the run has reserved its cost: its input is opened, and not yet counted."""
    over = threading.Event()

    def wait():
        while not (site.run_folder / "state" / "settings.json").exists() and not over.wait(0.002):
            pass
        change()

    thread = threading.Thread(target=wait)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize("change", CHANGES)
def test_a_change_in_the_middle_of_a_run_costs_nothing_and_the_same_key_goes_on(
    spark, tmp_path, unit, change
):
    site = CROWD.site(tmp_path, files=4, unit="row" if unit == "row" else "person")
    folder, copy = site.folder / "in", site.folder / "copy"
    shutil.copytree(folder, copy)
    with once_reserved(site, lambda: CHANGES[change](folder)), pytest.raises(InputChangedError):
        run_all(site.run(spark, schema=SCHEMA, unit=UNITS[unit]))
    outcome = json.loads((site.run_folder / "state" / "outcome.json").read_text())
    assert (outcome["exit_code"], outcome["retriable"]) == (65, True)
    assert site.account().spent_rho == 0
    assert site.released() == {}
    shutil.rmtree(folder)
    shutil.copytree(copy, folder)  # with the times of the files
    made = run_all(site.run(spark, schema=SCHEMA, unit=UNITS[unit]))
    assert site.synthetic().num_rows == made.manifest["rows"]
    assert site.charges() == 1
    require_stated("measure: any pass", change, OUTCOME)


def test_a_file_that_cannot_be_read_is_never_left_out_whatever_the_session_says(spark, conf, site):
    conf["spark.sql.files.ignoreCorruptFiles"] = "true"
    conf["spark.sql.files.ignoreMissingFiles"] = "true"
    truncate(site.folder / "in")
    silently = Passes(spark, site, UNITS["weight"]).count()
    assert 0 < silently[()] < CROWD.marginals(weights=CROWD.weights(5))[()], (
        "Spark itself would have left it out"
    )
    open_session({})
    with pytest.raises(InputError) as caught:
        Passes(spark, site, UNITS["weight"]).count()
    assert not isinstance(caught.value, InputChangedError)


def test_a_failure_over_an_unchanged_input_is_told_as_it_is(spark, site):
    truncate(site.folder / "in")  # before it is opened: the file is what it was, and cannot be read
    with pytest.raises(InputError) as caught:
        Passes(spark, site, UNITS["sample"]).count()
    assert not caught.value.retriable
    assert "part-00001.parquet" in caught.value.message
