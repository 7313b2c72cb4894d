"""No file of an input decides how the rows of another are read, or whether they are."""

import json
import math
import os
import shutil

import pyarrow as pa
import pyarrow.orc as orc
import pyarrow.parquet as pq
import pytest
from pyspark.sql import functions as F

from spark_dp.errors import ConfigurationError, InputError
from spark_dp.pipeline.config import parse_config
from spark_dp.pipeline.inputs import open_input
from spark_dp.spark.bounding import sample, with_unit_keys
from spark_dp.spark.file_tables import open_files, options_for, require_all_read
from spark_dp.spark.filters import filter_rows
from spark_dp.spark.snapshot import snapshot_files
from spark_dp.spark.tables import read_table

RUN = """
input: {{path: {path}}}
output: {{path: out}}
privacy:
  {{epsilon: 1, delta: 1e-9, unit: {{column: pid, max_rows: 1, bounding: sample}}, ledger: "sqlite:///l.db", dataset: d}}
schema: {{n: {{type: integer, min: 1, max: 9}}}}
run: {{directory: runs, key: k}}
"""
NOTES = b"org.apache.spark.sql.parquet.row.metadata"


def written(path, columns, **notes):
    """Writes a Parquet file of texts, with notes beside columns as Spark's writer leaves them in its footer."""
    table = pa.table({name: pa.array(values, pa.string()) for name, values in columns.items()})
    if notes:
        fields = [
            {"name": name, "type": "string", "nullable": True, "metadata": notes.get(name, {})}
            for name in columns
        ]
        table = table.replace_schema_metadata({NOTES: json.dumps({"type": "struct", "fields": fields})})
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path)


def opened(spark, folder, kind="parquet", options=None):
    """Opens a folder as a run does."""
    rows = read_table(spark, path=str(folder), format=kind, options=options or {})
    files = [name for name, _, _ in snapshot_files(spark, str(folder)).files]
    require_all_read(rows, files, options or {}, field="input.path")
    return rows


# what a footer says beside a column ----------------------------------------------------------------------


@pytest.mark.parametrize("note", ["'v'", "cast(current_date() as string)"])
@pytest.mark.parametrize("first", ["a", "z"])
def test_a_default_in_one_files_footer_fills_no_other_files_missing_column(spark, tmp_path, note, first):
    written(tmp_path / "b.parquet", {"id": ["1", "2"]})
    default = {"EXISTS_DEFAULT": note, "CURRENT_DEFAULT": note}
    written(tmp_path / f"{first}.parquet", {"id": ["me"], "x": ["u"]}, x=default)
    for rows in (opened(spark, tmp_path), read_table(spark, path=None, table=f"parquet.`{tmp_path}`")):
        assert sorted(rows.collect(), key=str) == [("1", None), ("2", None), ("me", "u")]


def test_a_default_that_spark_wrote_fills_no_other_files_missing_column(spark, tmp_path):
    written(tmp_path / "b.parquet", {"id": ["1", "2"]})
    spark.sql(f"CREATE TABLE one (id STRING, x STRING DEFAULT 'v') USING parquet LOCATION '{tmp_path}/one'")
    try:
        spark.sql("INSERT INTO one (id) VALUES ('me')")
    finally:
        spark.sql("DROP TABLE one")
    (file,) = (tmp_path / "one").glob("*.parquet")
    assert b"EXISTS_DEFAULT" in pq.read_metadata(file).metadata[NOTES]
    shutil.move(file, tmp_path / "a.parquet")
    shutil.rmtree(tmp_path / "one")
    assert sorted(opened(spark, tmp_path).collect(), key=str) == [("1", None), ("2", None), ("me", "v")]


@pytest.mark.parametrize("nested", [False, True])
def test_a_width_in_one_files_footer_pads_no_other_files_texts(spark, tmp_path, nested):
    """Padded, '1' and '1 ' would be one unit, and the value u none of the declared ones."""
    width = {"__CHAR_VARCHAR_TYPE_STRING": "char(5)"}
    written(tmp_path / "b.parquet", {"id": ["1", "1 ", "1  "], "x": ["u", "u", "u"]})
    written(tmp_path / "a.parquet", {"id": ["me"], "x": ["u"]}, id=width, x=width)
    rows = opened(spark, tmp_path)
    if nested:
        rows = rows.select(F.struct("id", "x").alias("s")).select("s.id", "s.x")
    assert sorted(rows.collect()) == [("1", "u"), ("1 ", "u"), ("1  ", "u"), ("me", "u")]
    assert rows.groupBy("id").count().count() == 4


def test_columns_of_orc_files_without_names_are_refused(spark, tmp_path):
    """Spark takes them by their place among the columns of whichever file is first."""
    for name, columns in (("a", "'u' AS x, 'me' AS id"), ("b", "'1' AS _col0, 'v' AS _col1")):
        spark.sql(f"SELECT {columns}").coalesce(1).write.orc(str(tmp_path / name))
        (file,) = (tmp_path / name).glob("*.orc")
        file.rename(tmp_path / f"{name}.orc")
        shutil.rmtree(tmp_path / name)
    with pytest.raises(InputError, match="without names") as caught:
        opened(spark, tmp_path, "orc")
    assert caught.value.field == "input.path"


@pytest.mark.parametrize("spelled", ["mergeSchema", "mergeschema", "MERGESCHEMA"])
def test_no_option_keeps_types_from_being_compared(spelled):
    """Spark Connect keeps both spellings of an option, and the owner's may win."""
    assert options_for("parquet", {spelled: "false", "a": "b"}) == {"mergeSchema": "true", "a": "b"}
    assert options_for("avro", {spelled: "false"}) == {spelled: "false"}


# where files lie -----------------------------------------------------------------------------------------

OTHERS, MINE = {"id": ["1", "2"], "x": ["u", "u"]}, {"id": ["me"], "x": ["v"]}


def laid_out(spark, folder, kind, others, mine):
    """Writes the others' file and mine to places below a folder."""
    for place, columns in ((others, OTHERS), (mine, MINE)):
        rows = spark.createDataFrame(list(zip(*columns.values(), strict=True)), "id string, x string")
        rows.coalesce(1).write.format(kind).save(str(folder / "made"))
        (file,) = (folder / "made").glob(f"*.{kind}")
        (folder / "t" / place).parent.mkdir(parents=True, exist_ok=True)
        os.replace(file, folder / "t" / f"{place}.{kind}")  # noqa: PTH105
        shutil.rmtree(folder / "made")
    return folder / "t"


APART = [
    ("b", "ds=1/a"),
    ("ds=1/b", "a"),
    ("b", "id=me/a"),
    ("b", "_tmp=1/a"),
    ("b", "more/a"),
    ("more/b", "a"),
    ("ds=1/b", "ds=2/more/a"),
]


@pytest.mark.parametrize(("others", "mine"), APART)
@pytest.mark.parametrize("kind", ["parquet", "orc"])
def test_a_file_that_lies_apart_hides_no_other(spark, tmp_path, kind, others, mine):
    folder = laid_out(spark, tmp_path, kind, others, mine)
    with pytest.raises(InputError, match=r"1 of the 2 files|the same depth|opened as") as caught:
        opened(spark, folder, kind)
    assert caught.value.field == "input.path"
    with pytest.raises(InputError) as caught:
        read_table(spark, path=None, table=f"{kind}.`{folder}`")
    assert caught.value.field == "input.table"


@pytest.mark.parametrize(("others", "mine"), [("b", "ds=1/a"), ("more/b", "a")])
def test_files_that_lie_apart_are_all_read_where_that_is_asked_for(spark, tmp_path, others, mine):
    folder = laid_out(spark, tmp_path, "parquet", others, mine)
    rows = opened(spark, folder, options={"recursiveFileLookup": "true"})
    assert sorted(rows.collect()) == [("1", "u"), ("2", "u"), ("me", "v")]


@pytest.mark.parametrize(
    ("others", "mine"), [("a b", "c%20d"), ("ds=1/b", "ds=a b/a"), ("ds=1/k=ä/b", "ds=2/k=x%2Fy/a")]
)
def test_files_that_lie_alike_are_read_whatever_they_are_called(spark, tmp_path, others, mine):
    rows = opened(spark, laid_out(spark, tmp_path, "parquet", others, mine))
    assert sorted(rows.select("id", "x").collect()) == [("1", "u"), ("2", "u"), ("me", "v")]


def test_the_check_sees_what_spark_leaves_out(spark, tmp_path):
    """Without it, one file in a folder key=value makes the others' rows vanish."""
    folder = laid_out(spark, tmp_path, "parquet", "b", "ds=1/a")
    assert open_files(spark.read, str(folder), field="input.path").select("id").collect() == [("me",)]


@pytest.mark.parametrize("mine", ["ds=1/a", "id=me/a"])
def test_a_catalogs_table_whose_files_a_folder_would_hide_is_refused(spark, tmp_path, mine):
    folder = laid_out(spark, tmp_path, "parquet", "b", "a")
    spark.sql(f"CREATE TABLE visits_of (id STRING, x STRING) USING parquet LOCATION '{folder}'")
    try:
        assert read_table(spark, path=None, table="visits_of").count() == 3
        (folder / mine).parent.mkdir()
        os.replace(folder / "a.parquet", folder / f"{mine}.parquet")  # noqa: PTH105
        spark.catalog.refreshTable("visits_of")
        with pytest.raises(InputError, match="the same depth") as caught:
            read_table(spark, path=None, table="visits_of")
        assert caught.value.field == "input.table"
    finally:
        spark.sql("DROP TABLE visits_of")


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


# how often a file is read --------------------------------------------------------------------------------


@pytest.mark.parametrize("pattern", ["{a/b,a/*}", "{a/b,a/b/1.parquet}", "{a/b,a/b}", "{a/{b,c},a/b}"])
def test_a_pattern_that_reads_a_file_twice_is_refused(spark, tmp_path, pattern):
    written(tmp_path / "a" / "b" / "1.parquet", OTHERS)
    twice = spark.read.parquet(f"{tmp_path}/{pattern}").count()
    assert twice > 2
    for where in (
        {"path": f"{tmp_path}/{pattern}"},
        {"path": None, "table": f"parquet.`{tmp_path}/{pattern}`"},
    ):
        with pytest.raises(ConfigurationError, match="more than once"):
            read_table(spark, **where)


@pytest.mark.parametrize("pattern", ["a/{b,*}", "a/{b,b}", "{a,x}/b", "a/*", "*/*/*.parquet"])
def test_a_pattern_that_reads_a_file_once_is_read(spark, tmp_path, pattern):
    written(tmp_path / "a" / "b" / "1.parquet", OTHERS)
    assert opened(spark, tmp_path / pattern).count() == 2


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
