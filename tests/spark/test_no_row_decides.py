"""No row, and no file, of an input decides how another row is judged by a condition, or sampled."""

import math
import os
import shutil

import pyarrow as pa
import pyarrow.orc as orc
import pyarrow.parquet as pq
import pytest
from support.input_files import opened

from spark_dp.errors import ConfigurationError
from spark_dp.pipeline.config import parse_config
from spark_dp.pipeline.inputs import open_input
from spark_dp.spark.bounding import sample, with_unit_keys
from spark_dp.spark.filters import filter_rows

RUN = """
input: {{path: {path}}}
output: {{path: out}}
privacy:
  {{epsilon: 1, delta: 1e-9, unit: {{column: pid, max_rows: 1, bounding: sample}}, ledger: "sqlite:///l.db", dataset: d}}
schema: {{n: {{type: integer, min: 1, max: 9}}}}
run: {{directory: runs, key: k}}
"""


# what a condition sees -----------------------------------------------------------------------------------


def passing(spark, folder, condition):
    """The ids that pass a condition."""
    return sorted(row["id"] for row in filter_rows(opened(spark, folder), condition).collect())


def test_a_wider_decimal_of_one_file_changes_no_other_rows_arithmetic(spark, tmp_path):
    for name, precision in (("b", 12), ("a", 38)):
        d = f"CAST(0.00001 AS DECIMAL({precision},10)) AS d"
        rows = spark.sql(f"SELECT '{name}' AS id, {d}")
        rows.coalesce(1).write.parquet(str(tmp_path / "made"))
        (file,) = (tmp_path / "made").glob("*.parquet")
        (tmp_path / "t").mkdir(exist_ok=True)
        os.replace(file, tmp_path / "t" / f"{name}.parquet")  # noqa: PTH105
        shutil.rmtree(tmp_path / "made")
        if name == "b":
            assert spark.read.parquet(str(tmp_path / "t")).where("d * d > 0").count() == 1
            alone = (
                passing(spark, tmp_path / "t", "d * d > 0"),
                passing(spark, tmp_path / "t", "string(d) = '0.0000100000'"),
            )
    both = spark.read.option("mergeSchema", "true").parquet(str(tmp_path / "t"))
    assert both.where("id = 'b' AND d * d > 0").count() == 0, "Spark itself rounds it to 0"
    for condition, before in zip(("d * d > 0", "string(d) = '0.0000100000'"), alone, strict=True):
        assert set(passing(spark, tmp_path / "t", condition)) & {"b"} == set(before)
    kept = filter_rows(both, "d > 0")
    assert kept.schema["d"].dataType.simpleString() == "decimal(38,10)"
    assert kept.columns == both.columns


@pytest.mark.parametrize(
    "condition",
    [
        "cast(s as string) = '{1}'",
        "s.a = 1",
        "xxhash64(s) % 2 = 0",
        "cast(struct(*) as string) != ''",
        "xxhash64(*) > 0",
    ],
)
def test_a_condition_sees_no_struct_and_no_star(spark, tmp_path, condition):
    """One file may bring a field or a column more, for all rows."""
    spark.sql("SELECT 'b' AS id, named_struct('a', 1) AS s").write.parquet(str(tmp_path / "t"))
    assert spark.read.parquet(str(tmp_path / "t")).where(condition).count() >= 0  # Spark takes it
    with pytest.raises(ConfigurationError, match="one row at a time"):
        passing(spark, tmp_path / "t", condition)


def test_a_wider_decimal_id_of_one_file_changes_no_other_units_sample(spark, tmp_path):
    kept = []
    for name, precision, values in (("b", 12, "1, 2, 3, 4"), ("a", 38, "5, 6")):
        rows = spark.range(200 if name == "b" else 1).selectExpr(
            f"CAST(id AS DECIMAL({precision},0)) AS pid", f"explode(array({values})) AS n"
        )
        rows.coalesce(1).write.parquet(str(tmp_path / "made"))
        (file,) = (tmp_path / "made").glob("*.parquet")
        (tmp_path / "t").mkdir(exist_ok=True)
        os.replace(file, tmp_path / "t" / f"{name}.parquet")  # noqa: PTH105
        shutil.rmtree(tmp_path / "made")
        source = open_input(spark, parse_config(RUN.format(path=tmp_path / "t")))
        rows = with_unit_keys(source.rows.where("n < 5"), source.unit, "drop", [source.rows["n"]])
        bounded = sample(rows, max_rows=1, nulls="drop", nonce=5)
        kept.append(sorted((row["n"], row["count"]) for row in bounded.rows.groupBy("n").count().collect()))
    assert sum(count for _, count in kept[0]) == 200
    assert kept[0] == kept[1]


# rows that share a part of a file ------------------------------------------------------------------------

NAN = float("nan")
SHARED = [
    ([-0.0], 0.0, "x = 0", 1000),
    ([-0.0], 1.0, "x >= 0", 1000),
    ([-0.0, 1.0], 0.0, "x in (0, 7)", 1000),
    ([NAN, 1.0, 2.0], 6.0, "x > 5", 1000),
    ([NAN, 1.0, 2.0], 6.0, "not (x <= 5)", 1000),
]


def one_file(spark, folder, kind, by, values):
    """A file of one part whose rows have these numbers."""
    folder.mkdir()
    table = pa.table({"x": pa.array(values, pa.float64())})
    if by == "spark":
        shutil.rmtree(folder)
        rows = spark.createDataFrame([(value,) for value in values], "x double")
        rows.coalesce(1).write.format(kind).save(str(folder))
    else:
        (pq if kind == "parquet" else orc).write_table(table, folder / f"a.{kind}")
    return folder


@pytest.mark.parametrize("pushed", [False, True], ids=["as it is", "where readers are asked nevertheless"])
@pytest.mark.parametrize(("kind", "by"), [("parquet", "spark"), ("parquet", "arrow"), ("orc", "spark")])
def test_a_row_decides_for_no_other_row_of_its_part_of_a_file(spark, conf, tmp_path, kind, by, pushed):
    """Readers know the least and largest number of a part, without NaN and the sign of 0, and pass over all of it."""
    if pushed:
        conf["spark.sql.parquet.filterPushdown"] = conf["spark.sql.orc.filterPushdown"] = "true"
    for place, ((common, *few), mine, condition, kept) in enumerate(SHARED):
        for name, rows in (("without", [*few]), ("with", [*few, mine])):
            folder = one_file(spark, tmp_path / f"{place} {name}", kind, by, [common] * 1000 + rows)
            found = [row["x"] for row in filter_rows(opened(spark, folder, kind), condition).collect()]
            same = sum(math.isnan(x) if math.isnan(common) else x == 0 for x in found)
            extra = name == "with" and mine == 0
            assert same == kept + extra, (condition, name)


def test_a_reader_would_decide_so(spark, conf, tmp_path):
    """The twin: as Spark is, one row of 0.0 brings a thousand rows of -0.0 in."""
    conf["spark.sql.parquet.filterPushdown"] = "true"
    counts = []
    for name, rows in (("without", []), ("with", [1.0])):
        folder = one_file(spark, tmp_path / name, "parquet", "spark", [-0.0] * 1000 + rows)
        counts.append(spark.read.parquet(str(folder)).where("x >= 0").count())
    assert counts == [0, 1001]


def test_a_time_between_milliseconds_is_compared_with_each_row(spark, tmp_path):
    others = [0] * 1000
    for mine in (5, -5):
        folder = tmp_path / str(mine)
        folder.mkdir()
        times = pa.array([*others, mine], pa.timestamp("ms", "UTC"))
        pq.write_table(pa.table({"t": times}), folder / "a.parquet")
        found = filter_rows(opened(spark, folder), "t < TIMESTAMP '1970-01-01 00:00:00.0005'")
        assert found.count() == 1000 + (mine < 0)
