"""No file of an input decides how the rows of another are read, or whether and how often they are."""

import os
import shutil

import pyarrow.parquet as pq
import pytest
from pyspark.sql import functions as F
from support.input_files import NOTES, OTHERS, laid_out, opened, written

from spark_dp.errors import ConfigurationError, InputError
from spark_dp.spark.file_tables import open_files, options_for
from spark_dp.spark.tables import read_table

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
