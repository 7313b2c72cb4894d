"""All files of an input agree on their columns' types, or nothing is read."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from spark_dp.errors import InputError
from spark_dp.spark.tables import read_table


@pytest.mark.parametrize("kind", ["parquet", "orc"])
@pytest.mark.parametrize("narrow_first", [True, False])
@pytest.mark.parametrize("column", ["pid", "n"])
def test_files_that_store_a_column_in_different_widths_are_refused(
    spark, tmp_path, kind, narrow_first, column
):
    """One unit's file of small numbers comes first: Spark would read all others' numbers as 16 bits, 65536 as 0."""
    for name, narrow in (("a", narrow_first), ("b", not narrow_first)):
        part = spark.range(1, 4).selectExpr("int(id * 65536) AS pid", "int(70000) AS n")
        if narrow:
            part = spark.range(1).selectExpr("int(1) AS pid", "int(1) AS n")
            part = part.withColumn(column, part[column].cast("smallint"))
        part.coalesce(1).write.format(kind).save(str(tmp_path / name))
    (tmp_path / "t").mkdir()
    for name in "ab":
        (file,) = (tmp_path / name).glob(f"*.{kind}")
        file.rename(tmp_path / "t" / f"{name}.{kind}")
    for where in ({"path": str(tmp_path / "t")}, {"path": None, "table": f"{kind}.`{tmp_path}/t`"}):
        for options in ({}, {"mergeSchema": "false"}):
            with pytest.raises(InputError, match="same types") as caught:
                read_table(spark, **where, format=kind, options=options)
            assert caught.value.field == ("input.path" if where["path"] else "input.table")


def test_files_that_lack_a_column_are_read_whichever_is_first(spark, tmp_path):
    for name, columns in (("a", {"n": [1]}), ("b", {"n": [2], "m": [3]})):
        pq.write_table(pa.table(columns), tmp_path / f"{name}.parquet")
    assert sorted(read_table(spark, path=str(tmp_path)).collect()) == [(1, None), (2, 3)]
