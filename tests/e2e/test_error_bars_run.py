"""Error bars through a real run: kept by measure and fit, found by query, and right about the table."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
from click.testing import CliRunner
from support.visits import Site, visits

from spark_dp.cli import cli
from spark_dp.pipeline import stages
from spark_dp.pipeline.query import ReleasedModel
from spark_dp.pipeline.synthesizer import SyntheticModel

pytestmark = pytest.mark.spark

EPSILON = 8.0
"""So much that no draw of the noise leaves a mechanism with too few rows to ask about pairs at all."""


@pytest.fixture(scope="module", params=["oneshot", "aim", "mst"])
def site(request, tmp_path_factory, spark):
    made = Site.make(tmp_path_factory.mktemp(request.param), epsilon=EPSILON)
    run = made.run(spark, *settings_of(made))
    stages.measure(run)
    stages.fit(run)
    return made


def settings_of(site):
    """The mechanism is that of the folder's name."""
    name = site.folder.name.rstrip("0123456789")
    return f"mechanism.name={name}", "mechanism.workload={degree: 2}", f"privacy.epsilon={EPSILON}"


def asked(place, *arguments):
    done = CliRunner().invoke(cli, ["query", str(place), *arguments])
    assert done.exit_code == 0, done.stderr
    return done.stdout


def wards():
    """The bounded table's rows by ward: a person with more than ten rows weighs as ten."""
    table = visits().to_pandas().dropna(subset=["person"])
    weight = (10 / table["person"].map(table["person"].value_counts())).clip(upper=1)
    return weight.groupby(table["ward"].fillna("?")).sum()


def test_a_measured_column_has_intervals_that_hold_the_bounded_table(site):
    said = json.loads(asked(site.run_folder, "--by", "ward", "--json", "--confidence", "0.999999"))
    bars = said["error_bars"]
    assert (bars["basis"], bars["confidence"]) == ("measured", 0.999999)
    assert 0 < bars["expected_tvd"] < bars["bound_tvd"] <= 1
    found = {cell["labels"]["ward"]: cell for cell in said["cells"]}
    for ward in ("A", "B", "C"):
        assert found[ward]["low"] <= wards()[ward] <= found[ward]["high"]
    assert "95 % interval" in asked(site.run_folder, "--by", "ward")


def test_python_gives_the_same_error_bars(site, spark):
    bars = SyntheticModel(site.config(*settings_of(site)), spark).error_bars(["ward"], confidence=0.9)
    said = json.loads(asked(site.run_folder, "--by", "ward", "--json", "--confidence", "0.9"))
    assert said["error_bars"]["bound_l1_rows"] == bars.bound
    assert sorted(cell["low"] for cell in said["cells"]) == sorted(bars.low.tolist())


def test_every_pair_was_measured_or_has_a_bound(site):
    released = ReleasedModel.open(str(site.run_folder))
    assert released.revealed is not None
    names = released.schema.names
    bases = set()
    for i, one in enumerate(names):
        for other in names[:i]:
            bars = json.loads(asked(site.run_folder, "--by", f"{one},{other}", "--json"))["error_bars"]
            bases.add(bars["basis"])
            assert (bars["basis"] == "none") == (bars["bound_tvd"] is None)
    assert bases & {"measured", "revealed"}


def test_a_release_that_is_handed_on_has_all_that_error_bars_need(site, tmp_path):
    shutil.copytree(site.run_folder / "released", tmp_path / "published")
    said = [
        json.loads(asked(place, "--by", "ward,age", "--json"))["error_bars"]
        for place in (site.run_folder, tmp_path / "published")
    ]
    assert said[0] == said[1]
    assert np.isfinite(said[0]["table_rows"]).all()


def test_a_fit_without_the_runs_records_says_what_is_missing(site, spark, tmp_path):
    bare = tmp_path / "bare"
    shutil.copytree(site.run_folder / "released", bare / "released")
    model = bare / "released" / "model"
    record = json.loads((model / "_committed.json").read_text())
    del record["files"]["unmeasured.json"]
    (model / "_committed.json").write_text(json.dumps(record))
    (model / "unmeasured.json").unlink()
    released = ReleasedModel.open(str(bare))
    assert released.revealed is None
