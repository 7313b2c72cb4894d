"""The main path on the oldest Spark, pandas, numpy and pyarrow that are supported."""

from __future__ import annotations

import json

import pytest
from support.processes import finish
from support.visits import Site

pytestmark = pytest.mark.platform


@pytest.mark.parametrize("bounding", ["weight", "sample"])
def test_a_run_on_the_oldest_spark(tmp_path, oldest_spark, bounding):
    site = Site.make(tmp_path)
    config = site.config_file(unit=f"{{column: person, max_rows: 10, bounding: {bounding}}}")
    asked = ["run", str(config), "--set", "evaluate.against_input=true"]
    done = finish([str(oldest_spark / "spark-dp"), *asked], tmp_path)
    assert done.returncode == 0, done.stderr[-3000:]
    manifest = json.loads((site.output / "_manifest.json").read_text())
    assert manifest["rows"] == site.synthetic().num_rows > 0
    version = finish(
        [str(oldest_spark / "python"), "-c", "import pyspark; print(pyspark.__version__)"], tmp_path
    )
    assert version.stdout.startswith("3.5.")


@pytest.mark.spark
def test_the_same_model_and_seed_give_the_same_rows_on_the_oldest_and_the_newest(
    tmp_path, oldest_spark, spark
):
    from spark_dp.pipeline import stages

    site = Site.make(tmp_path)
    config = str(site.config_file())
    stages.measure(site.run(spark))
    stages.fit(site.run(None))
    stages.generate(site.run(spark, "output.rows=100000"))
    newest = site.synthetic().to_pandas()
    other = ["--set", "output.rows=100000", "--set", f"output.path={tmp_path}/old"]
    done = finish([str(oldest_spark / "spark-dp"), "generate", config, *other], tmp_path)
    assert done.returncode == 0, done.stderr[-3000:]
    oldest = spark.read.parquet(f"{tmp_path}/old").toPandas()
    assert len(newest) == len(oldest) == 100_000
    names = [name for name in newest.columns if name != "at"]
    a = newest[names].sort_values(names).reset_index(drop=True).astype(str)
    b = oldest[names].sort_values(names).reset_index(drop=True).astype(str)
    assert a.equals(b)
