"""The input is checked against its schema, and filtered row by row, before anything is spent."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.errors import AnalysisException

from spark_dp.errors import ConfigurationError, InputError
from spark_dp.pipeline.init_types import read_catalog_types
from spark_dp.schema.table import TableSchema
from spark_dp.spark.filters import filter_rows, words_beyond_a_row
from spark_dp.spark.plans import beyond_its_row, inferred_partitions
from spark_dp.spark.snapshot import snapshot_files
from spark_dp.spark.tables import partition_columns, read_table, require_columns

pytestmark = pytest.mark.spark


def schema(**columns):
    return TableSchema.from_settings(columns)


TEXT = {"type": "string", "values": ["x"], "undeclared": "drop"}
WHOLE = {"type": "integer", "min": 0, "max": 9}


@pytest.fixture
def rows(spark):
    return spark.sql(
        "SELECT 'u' AS id, 'x' AS name, 1 AS n, CAST(1 AS TINYINT) AS tiny, 1L AS big, CAST(1 AS FLOAT) AS f, "
        "CAST(1 AS DECIMAL(9,2)) AS d, DATE'2013-01-01' AS day, TIMESTAMP_NTZ'2013-01-01' AS wall, 'a' AS current_state"
    )


@pytest.mark.parametrize(
    "settings",
    [
        {"name": TEXT, "n": WHOLE},
        {"tiny": WHOLE, "f": {"type": "double", "min": 0, "max": 1, "bins": 2}},
        {
            "big": {"type": "long", "min": 0, "max": 1},
            "d": {"type": "decimal(9,2)", "min": 0, "max": 1, "bins": 2},
        },
    ],
    ids=str,
)
def test_declared_types_and_narrower_ones_are_accepted(rows, settings):
    declared = schema(**settings)
    require_columns(rows, declared, ["id"])
    assert set(declared.names) <= set(rows.columns)


@pytest.mark.parametrize(
    ("settings", "field", "said"),
    [
        ({"nmae": TEXT}, "schema.nmae", "Did you mean 'name'"),
        ({"n": TEXT}, "schema.n.type", "integer"),
        ({"big": WHOLE}, "schema.big.type", "long"),
        ({"name": WHOLE}, "schema.name.type", "string"),
        ({"f": {"type": "decimal(9,2)", "min": 0, "max": 1, "bins": 2}}, "schema.f.type", "float"),
        ({"d": {"type": "decimal(9,1)", "min": 0, "max": 1, "bins": 2}}, "schema.d.type", "decimal(9,2)"),
        (
            {"wall": {"type": "timestamp", "min": "2013-01-01", "max": "2014-01-01", "bins": 2}},
            "schema.wall.type",
            "ntz",
        ),
    ],
    ids=str,
)
def test_a_column_that_is_not_as_declared_is_refused_by_name(rows, settings, field, said):
    with pytest.raises(InputError) as caught:
        require_columns(rows, schema(**settings), ["id"])
    assert caught.value.field == field
    assert said in str(caught.value)
    assert "Nothing was spent" in str(caught.value)


def test_a_unit_column_that_is_not_there_is_refused(rows):
    with pytest.raises(InputError) as caught:
        require_columns(rows, schema(name=TEXT), ["name", "idd"])
    assert caught.value.field == "privacy.unit.column"


def test_a_name_of_our_own_is_refused(spark):
    with pytest.raises(ConfigurationError) as caught:
        require_columns(spark.sql("SELECT 'x' AS __w0"), schema(__w0=TEXT), [])
    assert caught.value.field == "schema.__w0"


def test_a_partition_may_be_a_string_and_another_column_may_not(spark):
    rows = spark.sql("SELECT '7' AS k")
    require_columns(rows, schema(k=WHOLE), [], frozenset({"k"}))
    with pytest.raises(InputError):
        require_columns(rows, schema(k=WHOLE), [])


@pytest.mark.parametrize(
    "condition",
    [
        "n = 1 AND name = 'x'",
        "name != 'rand() select now'",
        "`n` > 0 -1",
        "n * 2 > 1 AND 2 * n * n > 1",
        "current_state = 'a'",
        "day < DATE'2020-01-01' OR name IS NULL",
        "name != 'a -- b /* c'",
        "unix_timestamp(wall) > 0",
        "to_timestamp(if(n > 0, '2013-01-01 12:30', name), 'yyyy-MM-dd HH:mm') > wall",
        "day > DATE '2012-01-01' AND day BETWEEN '2012-01-01' AND date_add(day, 9)",
        "year(wall) = 2013 AND date_trunc('month', wall) = wall",
        "name RLIKE '^x'",
        "name != 'date'",
        "name IN ('date', 'x')",
        "wall >= timestamp'2012-01-01 12:30:00' AND wall >= '2012-01-01T12:30:45+01:00'",
        "date_add(day, 1) > day",
        "case when name = 'x' then wall end is not null",
    ],
)
def test_a_row_wise_condition_is_accepted(rows, condition):
    assert filter_rows(rows, condition).count() == 1


@pytest.mark.parametrize(
    "condition",
    [
        "wall < to_timestamp('01/02/2020', 'dd/MM/yyyy')",
        "day < cast('2020' as date) AND year(wall) = 2013",
        "array_contains(transform(array(n), k -> k + 1), 2) AND url_encode(name) = 'x'",
        "name IN ('date', 'x', concat('no', 'w'))",
        "from_utc_timestamp(wall, 'GMT+01:00') > wall",
        "transform(array(string(day)), x -> cast(replace(x, '/', '-') as date))[0] = day",
        "case when array_contains(array('x', 'y'), name) then wall end = wall",
        "named_struct('date', 'x', 'b', upper('x')).b = 'X'",
        "from_json(concat('{\"day\":\"', day, '\"}'), 'day date').day = day",
    ],
)
def test_the_plan_of_a_row_wise_condition_passes_also_where_its_pieces_are_not_known(rows, condition):
    kept = rows.where(condition)
    assert kept.count() == 1
    assert beyond_its_row(kept, rows) is None
    with pytest.raises(ConfigurationError, match="one row at a time"):
        filter_rows(rows, condition)


@pytest.mark.parametrize(
    "condition",
    [
        "window(wall, '1 hour', '1 minute').start is not null",
        "window(wall, '1 hour') is not null",
        "`window`(wall, '1 hour', '1 minute').start is not null",
        "window_time(window(wall, '1 hour', '1 minute')) is not null",
        "session_window(wall, '1 hour').start is not null",
    ],
)
def test_a_window_of_time_which_makes_several_rows_of_one_is_refused(rows, condition):
    with pytest.raises(ConfigurationError, match="one row at a time"):
        filter_rows(rows, condition)
    assert beyond_its_row(rows.where(condition), rows) is not None


@pytest.mark.parametrize(
    "condition",
    [
        "rand() < 0.5",
        "RANDN () < 0.5",
        "n < uniform(0, 10)",
        "name != randstr(3)",
        "uuid() != name",
        "day < current_date",
        "day < current_date()",
        "wall < now()",
        "unix_timestamp() > 0",
        "day < curdate()",
        "n IN (SELECT 1)",
        "EXISTS (SELECT 1)",
        "monotonically_increasing_id() < 5",
        "input_file_name() != ''",
        "`rand`() < 0.5",
        r"name != 'it\'s' AND rand() < 0.5 AND name != 'x'",
        "n = 1 /* ' */ AND rand() < 0.5 /* ' */",
        "reflect('java.util.UUID', 'randomUUID') != name",
        "sum(n) OVER () > 1",
        "_metadata.row_index % 2 = 0",
        "`_metadata`.row_index % 2 = 0",
        "n = (from parquet.`x` |> aggregate max(n))",
        "n IN (TABLE other)",
        "n IN (VALUES (1))",
        "IDENTIFIER('rand')(1) < 0.5",
        "wall > timestamp_ntz'now'",
        "day > DATE 'today'",
        "session_user() = name",
        "wall < cast(concat('no', 'w') as timestamp)",
        "day < 'no' || 'w'",
        "day < to_date(substr('nowhere', 1, 3))",
        r"wall < 'n\157w'",
        r"wall < timestamp_ntz 'n\157w'",
        r"wall < timestamp_ntz '\u0001now'",
        "wall > '12:30'",
        "wall > cast(concat('T', '12') as timestamp)",
        "wall > 'T12'",
        "wall > cast(array(concat('12', ':30')) as array<timestamp>)[0]",
        "wall > cast(array('x', concat('12', ':30')) as array<timestamp>)[1]",
        "wall > cast(named_struct('a', concat('12', ':30')) as struct<a:timestamp>).a",
        "wall > transform(array(concat('12', ':30')), x -> cast(x as timestamp))[0]",
        "wall > transform(array('12-30'), x -> cast(replace(x, '-', ':') as timestamp))[0]",
        "wall > cast(transform(array('12-30'), x -> replace(x, '-', ':')) as array<timestamp>)[0]",
        "wall > aggregate(array(concat('12', ':30')), timestamp'2020-01-01', (a, x) -> cast(x as timestamp))",
        "wall > from_csv(concat('12', ':30'), 't timestamp').t",
        "wall > from_csv(if(n > 0, ' 12:30', name), 't timestamp').t",
        "wall > from_json('{\"t\":\"12:30\"}', 't timestamp').t",
        "wall > from_json('{\"t\":\"12\\\\u003a30\"}', 't timestamp').t",
        "wall > cast(concat('12:30', left(name, 0)) as timestamp)",
        "hour(from_json(if(n > 0, '{\"t\":\"T12\"}', name), 't array<timestamp>').t[0]) > 3",
        "ra${x}nd() < 0.5",
        "n IN (sel${x}ect 1)",
    ],
)
def test_a_condition_that_looks_beyond_its_row_is_refused(rows, condition):
    with pytest.raises(ConfigurationError, match="row") as caught:
        filter_rows(rows, condition)
    assert caught.value.field == "input.filter"
    if words_beyond_a_row(condition) is None:
        assert beyond_its_row(rows.where(condition), rows) is not None


def test_a_variant_of_a_constant_text_makes_no_time(rows):
    if rows.sparkSession.version.startswith("3."):
        pytest.skip("variants are of Spark 4")
    for text in ("concat('\"12', ':30\"')", "'\"12:30\"'"):
        kept = rows.where(f"wall > variant_get(parse_json({text}), '$', 'timestamp')")
        assert beyond_its_row(kept, rows) is not None
    kept = rows.where("variant_get(parse_json(concat('\"', day, '\"')), '$', 'date') = day")
    assert beyond_its_row(kept, rows) is None


@pytest.fixture
def times_of_day(spark):
    """The type TIME, which Spark 4.1 has and leaves switched off."""
    setting = "spark.sql.timeType.enabled"
    spark.conf.set(setting, "true")
    try:
        try:
            _ = spark.sql("SELECT cast(make_time(1, 2, 3) AS timestamp_ntz)").schema
        except AnalysisException:
            pytest.skip("this Spark casts no TIME to a timestamp")
        yield
    finally:
        spark.conf.unset(setting)


@pytest.mark.parametrize(
    "condition",
    [
        "cast(make_time(n, 30, 0) AS timestamp_ntz) > wall",
        "cast(make_time(12, 30, 0) AS timestamp) > wall",
        "try_cast(cast(name AS time) AS timestamp_ntz) > wall",
        "array_contains(cast(array(make_time(n, 30, 0)) AS array<timestamp_ntz>), wall)",
    ],
)
@pytest.mark.usefixtures("times_of_day")
def test_a_time_of_day_that_spark_takes_for_one_of_today_is_refused(spark, condition):
    rows = spark.sql("SELECT 1 AS n, '12:30' AS name, TIMESTAMP_NTZ'2024-01-01 00:00:00' AS wall")
    assert "moment of the clock" in str(beyond_its_row(rows.where(condition), rows))
    with pytest.raises(ConfigurationError, match="one row at a time"):
        filter_rows(rows, condition)
    assert beyond_its_row(rows.where("make_time(n, 30, 0) < make_time(13, 0, 0)"), rows) is None


def test_no_plan_with_a_hidden_column_or_with_chance_that_hides_passes_whatever_its_text_is(spark, tmp_path):
    pq.write_table(pa.table({"n": [1, 2, 3], "_pos": [3, 2, 1]}), tmp_path / "t.parquet")
    rows = spark.read.parquet(str(tmp_path))
    for condition in ("_metadata.row_index < 3", "crc32(aes_encrypt(string(n), 'abcdefghijklmnop')) % 2 = 0"):
        assert beyond_its_row(rows.where(condition), rows) is not None
    assert beyond_its_row(rows.where("_pos < n"), rows) is None


@pytest.fixture
def own_functions(spark):
    """A function in Python, and where Spark has them (4.0) one in SQL that looks at a table."""
    spark.udf.register("in_python", lambda n: n > 0, "boolean")
    made = ["in_python"]
    if not spark.version.startswith("3."):
        body = "(SELECT count(*) FROM range(3)) > n"
        spark.sql(f"CREATE OR REPLACE TEMPORARY FUNCTION in_sql(n INT) RETURNS BOOLEAN RETURN {body}")
        made.append("in_sql")
    yield made
    for name in made:
        spark.sql(f"DROP TEMPORARY FUNCTION {name}")


def test_a_filter_calls_no_function_of_ones_own(rows, own_functions):
    for name in own_functions:
        condition = f"{name}(n) AND name = 'x'"
        assert beyond_its_row(rows.where(condition), rows) is not None
        with pytest.raises(ConfigurationError, match="one row at a time") as caught:
            filter_rows(rows, condition)
        assert caught.value.field == "input.filter"


def test_a_row_wise_condition_is_accepted_on_rows_that_were_made_with_such_a_function(rows, own_functions):
    """How a frame or view was made is its owner's word."""
    made = rows.selectExpr("*", f"{own_functions[-1]}(n) AS chosen", "sum(n) OVER () AS total")
    assert filter_rows(made, "chosen AND total > 0").count() == 1


@pytest.fixture
def folders(spark, tmp_path):
    """Two units whose ids are one number, in folders of their own."""
    table = pa.table({"pid": ["007"] * 4 + ["7"] * 4, "n": list(range(8))})
    pq.write_to_dataset(table, tmp_path / "in", partition_cols=["pid"])
    return str(tmp_path / "in")


INFERENCE = "spark.sql.sources.partitionColumnTypeInference.enabled"
MAKINGS = {
    "as it is": lambda rows: rows,
    "under another name, as text": lambda rows: rows.selectExpr("n", "CAST(pid AS STRING) AS id").selectExpr(
        "n", "concat('u', id) AS pid"
    ),
    "of a union": lambda rows: rows.selectExpr("CAST(7 AS INT) AS pid", "n").union(rows.select("pid", "n")),
}


@pytest.mark.parametrize("make", MAKINGS.values(), ids=MAKINGS)
@pytest.mark.parametrize("sources", ["parquet", ""], ids=["v1", "v2"])
def test_ids_whose_type_was_inferred_from_folders_are_found(spark, conf, folders, make, sources):
    conf["spark.sql.sources.useV1SourceList"] = sources
    conf[INFERENCE] = "true"
    inferred = spark.read.parquet(folders)
    assert inferred.select("pid").distinct().count() == 1  # two units have become one
    assert inferred_partitions(make(inferred), ["pid"]) == ["pid"]
    assert inferred_partitions(make(inferred), ["n"]) == []
    conf[INFERENCE] = "false"
    stored = spark.read.parquet(folders)
    assert stored.select("pid").distinct().count() == 2
    assert inferred_partitions(make(stored), ["pid"]) == []


def test_ids_in_the_folders_of_a_table_that_declares_them_are_accepted(spark, conf, folders):
    conf[INFERENCE] = "true"
    spark.read.parquet(folders).write.mode("overwrite").partitionBy("pid").saveAsTable("declared_ids")
    try:
        assert inferred_partitions(spark.table("declared_ids"), ["pid"]) == []
    finally:
        spark.sql("DROP TABLE declared_ids")


@pytest.mark.parametrize("condition", ["nosuch = 1", "n = ", "n", "sum(n) > 1"])
def test_a_condition_that_spark_does_not_understand_is_refused(rows, condition):
    with pytest.raises(ConfigurationError) as caught:
        filter_rows(rows, condition)
    assert caught.value.field == "input.filter"


def test_no_condition_keeps_the_rows(rows):
    assert filter_rows(rows, None) is rows


@pytest.mark.parametrize("content", [None, b"", b"PAR1 CANARY_7F3A PAR1", b"CANARY_7F3A,2\n"])
def test_what_is_not_parquet_is_told_without_its_content(spark, tmp_path, content):
    if content is not None:
        (tmp_path / "t").mkdir()
        (tmp_path / "t" / "p.parquet").write_bytes(content)
    with pytest.raises(InputError) as caught:
        read_table(spark, path=str(tmp_path / "t"))
    assert caught.value.field == "input.path"
    assert "CANARY" not in str(caught.value)


def test_a_table_that_is_not_there_is_told_by_its_setting(spark):
    with pytest.raises(InputError) as caught:
        read_table(spark, path=None, table="no.such_table")
    assert caught.value.field == "input.table"


@pytest.mark.parametrize(
    "name",
    ["csv.`{0}`", "`CSV`.`{0}`", "json.`{0}`", "csv . `{0}`", "csv /* a */ . `{0}`", "csv.`{0}` -- a.b.c"],
)
def test_a_table_s_name_that_is_files_whose_types_are_inferred_is_not_opened(spark, tmp_path, name):
    """One id that is no number would make text of all: 007 and 7, one unit before, are then two."""
    (tmp_path / "a.csv").write_text("pid,n\n007,1\n7,2\n")
    with pytest.raises(InputError) as caught:
        read_table(
            spark, path=None, table=name.format(tmp_path), options={"header": "true", "inferSchema": "true"}
        )
    assert caught.value.field == "input.table"
    with pytest.raises(InputError):
        read_catalog_types(spark, name.format(tmp_path))
    assert spark.conf.get("spark.sql.runSQLOnFiles") == "true"


def test_a_table_s_name_that_is_files_which_state_their_types_is_opened(spark, tmp_path):
    pq.write_table(pa.table({"n": [1, 2]}), tmp_path / "a.parquet")
    assert read_table(spark, path=None, table=f"parquet.`{tmp_path}`").count() == 2


def test_a_unit_s_column_of_a_name_of_ours_is_refused(spark):
    rows = spark.createDataFrame([(1, 2, 3)], "hospital int, __ID0 int, n int")
    schema = TableSchema.from_settings({"n": {"type": "integer", "min": 0, "max": 9}})
    with pytest.raises(ConfigurationError, match="two underscores") as caught:
        require_columns(rows, schema, ["hospital", "__ID0"])
    assert caught.value.field == "privacy.unit.column"


@pytest.mark.parametrize("option", ["ignoreCorruptFiles", "IGNOREMISSINGFILES"])
def test_no_option_leaves_out_what_cannot_be_read(option):
    with pytest.raises(ConfigurationError) as caught:
        read_table(None, path="visits", options={option: "true"})
    assert caught.value.field == "input.options"


def test_partitions_are_found_in_the_paths(spark, tmp_path):
    for folder in ("ds=01/k=a", "ds=02/k=b%3Dc"):
        (tmp_path / folder).mkdir(parents=True)
        pq.write_table(pa.table({"x": [1]}), tmp_path / folder / "a=b.parquet")
    assert partition_columns(snapshot_files(spark, str(tmp_path)), str(tmp_path)) == {"ds", "k"}
    below = str(tmp_path / "ds=01")
    assert partition_columns(snapshot_files(spark, below), below) == {"k"}
