"""`spark-dp init` writes what names and types say, and nothing of a row, a statistic or a writer's metadata."""

from __future__ import annotations

import datetime as dt
import decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from spark_dp.cli import cli
from spark_dp.errors import ConfigurationError
from spark_dp.pipeline.config import parse_config
from spark_dp.pipeline.config_tree import read_tree
from spark_dp.pipeline.init_config import configuration_text, quoted
from spark_dp.pipeline.init_types import FoundColumn, read_parquet_types

CANARY = "canary_7f3a"
NUMBER = 739_155_021
DAY = dt.datetime(1913, 8, 29, 4, 5, 6)
TYPES = {
    "name": pa.string(),
    "kind": pa.dictionary(pa.int32(), pa.string()),
    "n": pa.int32(),
    "big": pa.int64(),
    "x": pa.float64(),
    "cost": pa.decimal128(12, 2),
    "day": pa.date32(),
    "at": pa.timestamp("us", "UTC"),
    "local": pa.timestamp("us"),
    "flag": pa.bool_(),
    "tags": pa.list_(pa.string()),
}


def table(*, text, number, day, rows=1):
    row = [
        text,
        text,
        number,
        number,
        float(number),
        decimal.Decimal(number),
        day.date(),
        day,
        day,
        True,
        [text],
    ]
    return pa.table({k: pa.array([v] * rows, t) for (k, t), v in zip(TYPES.items(), row, strict=True)})


def write(folder, found, value, metadata=None, **options):
    leaf = folder / f"ward={value}" / f"year={len(value)}"
    leaf.mkdir(parents=True)
    schema = found.schema.with_metadata(metadata) if metadata else found.schema
    pq.write_table(found.cast(schema), leaf / f"{value}.parquet", **options)


@pytest.fixture
def plain(tmp_path):
    folder = tmp_path / "a" / "visits"
    write(folder, table(text="p", number=1, day=dt.datetime(2024, 1, 1)), "A")
    return folder


@pytest.fixture
def planted(tmp_path):
    """The canary in rows, dictionary pages, statistics, file and folder names, and the writer's own metadata."""
    folder = tmp_path / "b" / "visits"
    found = table(text=CANARY, number=NUMBER, day=DAY, rows=500)
    metadata = {"pandas": f'{{"index": "{CANARY}"}}', CANARY: CANARY}
    write(folder, found, CANARY, metadata, row_group_size=50, write_page_index=True)
    return folder


def written(folder):
    done = CliRunner().invoke(cli, ["init", str(folder)])
    assert done.exit_code == 0, done.stderr
    return done.stdout.replace(str(folder), "TABLE")


def test_tables_of_one_schema_give_the_same_text_whatever_is_in_them(plain, planted):
    assert written(plain) == written(planted)


def test_tables_of_two_schemas_give_two_texts(plain, planted):
    """The twin: the comparison sees a column's type, its name and a partition's key."""
    file = next(planted.rglob("*.parquet"))
    pq.write_table(pq.read_table(file, partitioning=None).drop_columns(["n"]), file)
    assert written(plain) != written(planted)


def test_no_planted_value_is_in_what_is_written_or_said(planted, tmp_path):
    assert CANARY.encode() in next(planted.rglob("*.parquet")).read_bytes()
    done = CliRunner().invoke(cli, ["init", str(planted), "--output", str(tmp_path / "c.yaml"), "--json"])
    said = done.output + (tmp_path / "c.yaml").read_text()
    assert done.exit_code == 0
    for value in (CANARY, str(NUMBER), "739155021", "1913"):
        assert value not in said


def test_a_writer_that_reads_a_statistic_would_be_caught(plain, planted, monkeypatch):
    """The twin: with a value of the footer in the text, the two texts differ."""

    def leaking(path):
        columns = read_parquet_types(path)
        file = next(Path(path).rglob("*.parquet"))
        low = pq.ParquetFile(file).metadata.row_group(0).column(2).statistics.min
        return (*columns, FoundColumn(name=f"from_{low}", type="integer"))

    monkeypatch.setattr("spark_dp.pipeline.init_types.read_parquet_types", leaking)
    assert written(plain) != written(planted)


def test_the_text_cannot_be_run_before_every_mark_is_replaced(plain):
    text = written(plain)
    with pytest.raises(ConfigurationError, match=r"'privacy\.epsilon' is still \?\?\?") as refused:
        parse_config(text)
    assert refused.value.field == "privacy.epsilon"
    assert ":" in refused.value.message.rpartition("(")[2]  # file and line
    with pytest.raises(ConfigurationError, match=r"privacy\.delta"):
        parse_config(text, ["privacy.epsilon=1"])
    quotes = text.replace("???", '"???"')
    with pytest.raises(ConfigurationError, match=r"privacy\.epsilon"):  # no number, and no mark
        parse_config(quotes)


def test_what_a_person_fills_in_makes_a_configuration(plain):
    text = written(plain)
    for key, value in {
        "epsilon: ???": "epsilon: 1",
        "delta: ???": "delta: 1e-7",
        "column: ???": "column: name",
        "max_rows: ???": "max_rows: 3",
        "values: ???": "values: [A, B]",
        "other: ???": "other: Z",
        "timezone: ???": "timezone: UTC",
        "bins: ???": "bins: 4",
    }.items():
        text = text.replace(key, value)
    lines, kind = [], ""
    for line in text.splitlines():
        kind = line.split()[1] if line.startswith("    type:") else kind
        low, high = (
            ("2024-01-01", "2024-12-31") if kind in ("date", "timestamp", "timestamp_ntz") else ("0", "9")
        )
        lines.append(line.replace("min: ???", f"min: {low}").replace("max: ???", f"max: {high}"))
    found = parse_config("\n".join(lines)).schema
    assert {c.name: str(c.type) for c in found.columns} == {
        "name": "string",
        "kind": "string",
        "n": "integer",
        "big": "long",
        "x": "double",
        "cost": "decimal(12,2)",
        "day": "date",
        "at": "timestamp",
        "local": "timestamp_ntz",
        "flag": "boolean",
        "ward": "string",
        "year": "string",
    }
    assert "# tags has the type list" in text


@pytest.mark.parametrize("legacy", [True, False])
def test_old_times_of_spark_are_instants_and_nanoseconds_cannot_be_read(tmp_path, legacy):
    times = pa.table({"at": pa.array([1], pa.timestamp("ns"))})
    pq.write_table(times, tmp_path / "t.parquet", use_deprecated_int96_timestamps=legacy)
    (found,) = read_parquet_types(str(tmp_path / "t.parquet"))
    assert found.type == ("timestamp" if legacy else None)
    assert legacy or "nanoseconds" in found.why


NAMES = [
    "no",
    "null",
    "a b",
    "a:b",
    "#x",
    "- y",
    'say "x"',
    "new\nline",
    "\x1b[2J",
    "ÄÖ",
    "?",
    "123",
    "1e3",
    "a.b",
    "*a",
    "x\u2028y",
    "\\",
]


@pytest.mark.parametrize("name", NAMES)
def test_any_name_of_a_column_is_read_back_as_it_was(name):
    text = configuration_text([FoundColumn(name=name, type="boolean")], path="p")
    assert list(read_tree(text, "x").entries["schema"].entries) == [name]
    assert list(read_tree(f"{quoted(name)}: 1", "x").entries) == [name]


@pytest.mark.parametrize("name", NAMES)
def test_a_name_in_a_comment_stays_in_it(name):
    columns = [
        FoundColumn(name=name, type=None, why="has the type struct"),
        FoundColumn(name="z", type="boolean"),
    ]
    assert list(read_tree(configuration_text(columns, path=name), "x").entries["schema"].entries) == ["z"]


def test_names_that_spark_or_spark_dp_cannot_tell_apart_are_left_out():
    columns = [FoundColumn(name=n, type="boolean") for n in ("a", "A", "__mine")]
    text = configuration_text(columns, table="lake.visits")
    assert list(read_tree(text, "x").entries["schema"].entries) == ["a"]
    assert "# A has the name of a for Spark" in text


def test_a_file_is_never_written_over(plain, tmp_path):
    (tmp_path / "c.yaml").write_text("mine")
    done = CliRunner().invoke(cli, ["init", str(plain), "--output", str(tmp_path / "c.yaml")])
    assert done.exit_code == 78
    assert (tmp_path / "c.yaml").read_text() == "mine"


def test_what_is_no_table_is_refused(tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "delta" / "_delta_log").mkdir(parents=True)
    (tmp_path / "text.parquet").write_text("not a table")
    for name, said in {
        "none": "does not exist",
        "empty": "no Parquet",
        "delta": "--table",
        "text.parquet": "Parquet",
    }.items():
        done = CliRunner().invoke(cli, ["init", str(tmp_path / name)])
        assert (done.exit_code, said in done.stderr) == (65, True), done.stderr
