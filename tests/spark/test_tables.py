"""The input is checked against its schema, and filtered row by row, before anything is spent."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from spark_dp.errors import ConfigurationError, InputError
from spark_dp.schema.table import TableSchema
from spark_dp.spark.snapshot import snapshot_files
from spark_dp.spark.tables import filter_rows, partition_columns, read_table, require_columns

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
        'name != "current_date"',
        r"name != 'it\'s rand()'",
        "`n` > 0 -1",
        "current_state = 'a'",
        "day < DATE'2020-01-01' OR name IS NULL",
        "name != 'a -- b /* c'",
        "unix_timestamp(wall) > 0",
    ],
)
def test_a_row_wise_condition_is_accepted(rows, condition):
    assert filter_rows(rows, condition).count() == 1


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
    ],
)
def test_a_condition_that_looks_beyond_its_row_is_refused(rows, condition):
    with pytest.raises(ConfigurationError, match="row") as caught:
        filter_rows(rows, condition)
    assert caught.value.field == "input.filter"


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


def test_partitions_are_found_in_the_paths(spark, tmp_path):
    for folder in ("ds=01/k=a", "ds=02/k=b%3Dc"):
        (tmp_path / folder).mkdir(parents=True)
        pq.write_table(pa.table({"x": [1]}), tmp_path / folder / "a=b.parquet")
    assert partition_columns(snapshot_files(spark, str(tmp_path)), str(tmp_path)) == {"ds", "k"}
    below = str(tmp_path / "ds=01")
    assert partition_columns(snapshot_files(spark, below), below) == {"k"}
