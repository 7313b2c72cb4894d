"""Mistakes that only the table shows: found by Spark's look at names and types, before any row is read, or by a read."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.parquet as pq
from bad_input.mistake import CANARY, Mistake, a_file, planted
from support.visits import Site

from spark_dp.privacy.ledger import open_account
from spark_dp.privacy.sensitivity import Neighbours


def with_column(name: str, values: pa.Array):
    """Puts a column into the table, in the place of one of that name."""

    def change(site: Site) -> None:
        table = planted()
        if name in table.column_names:
            table = table.drop_columns([name])
        site.write(table.append_column(name, values))

    return change


def rows_of(value: object, kind: pa.DataType) -> pa.Array:
    return pa.array([value] * planted().num_rows, kind)


def accounts_of(unit: str):
    def change(site: Site) -> None:
        open_account(site.ledger, unit, 2.0, 1e-7, unit, Neighbours.ADD_REMOVE)

    return change


def a_corrupt_file(site: Site) -> None:
    (site.folder / "in" / "part-1.parquet").write_bytes(b"PAR1" + CANARY.encode() * 20 + b"PAR1")


def a_truncated_file(site: Site) -> None:
    whole = (site.folder / "in" / "part-0.parquet").read_bytes()
    (site.folder / "in" / "part-0.parquet").write_bytes(whole[: len(whole) // 2])


def files_that_disagree(site: Site) -> None:
    table = planted()
    ages = table["age"].cast(pa.string())
    other = table.set_column(table.column_names.index("age"), "age", ages)
    pq.write_table(other, site.folder / "in" / "part-1.parquet")


def an_account_and_its_unit(name: str) -> tuple[str, ...]:
    return (f"privacy.unit.column={name}", f"privacy.dataset={name}")


def unit(what: str, name: str, *says: str) -> Mistake:
    sets = an_account_and_its_unit(name)
    return Mistake(
        what=what, code=65, says=("privacy.unit.column", name, *says), sets=sets, prepare=accounts_of(name)
    )


ROWS = [
    Mistake(what="files of another format", code=65, says=("input.path", "parquet"), sets=("input.path={folder}/text",), prepare=a_file("text/a.csv", f"a,b\n1,{CANARY}\n")),
    Mistake(what="CSV whose types would be guessed", code=78, says=("input.format", "'csv'", "parquet"), sets=("input.format=csv",)),
    Mistake(what="an unknown format", code=78, says=("input.format", "'parqet'"), sets=("input.format=parqet",)),
    Mistake(what="a table that no catalog has", code=65, says=("input.table", "'no.such'"), sets=("input={table: no.such}",)),
    Mistake(what="a column that the table has not", code=65, says=("'wrad'", "ward", "Did you mean"), sets=("schema.wrad={type: boolean}",)),
    Mistake(what="another integer type", code=65, says=("schema.age.type", "byte", "integer"), sets=("schema.age.type=byte",)),
    Mistake(what="a text declared as a number", code=65, says=("schema.ward.type", "string"), sets=("schema.ward={type: integer, min: 0, max: 9}",)),
    Mistake(what="a decimal of another scale", code=65, says=("schema.cost.type", "decimal(12,2)", "decimal(10,2)"), sets=("schema.cost.type='decimal(12,2)'",)),
    Mistake(what="an instant declared as local time", code=65, says=("schema.at.type", "timestamp_ntz"), sets=("schema.at={type: timestamp_ntz, min: 2024-01-01, max: 2025-01-01, bins: 4}",)),
    Mistake(what="a date declared as an instant", code=65, says=("schema.visited.type", "date"), sets=("schema.visited={type: timestamp, min: 2024-01-01, max: 2025-01-01, bins: 4}",)),
    Mistake(what="a nested column", code=65, says=("schema.ward.type", "struct"), prepare=with_column("ward", rows_of({"a": CANARY}, pa.struct([("a", pa.string())])))),
    Mistake(what="a list column", code=65, says=("schema.ward.type", "array"), prepare=with_column("ward", rows_of([CANARY], pa.list_(pa.string())))),
    Mistake(what="nanoseconds that Spark cannot read", code=65, says=("input.path",), prepare=with_column("at", rows_of(0, pa.timestamp("ns", "UTC")))),
    Mistake(what="a column with a name of ours", code=78, says=("'__weight'", "underscores"), sets=("schema.__weight={type: boolean}",)),
    unit("a unit that the table has not", "persn", "person", "Did you mean"),
    unit("a unit of floats", "score", "double", "string"),
    unit("a unit of instants", "at", "timestamp"),
    unit("a unit of dates", "visited", "date"),
    unit("a unit of fractions", "cost", "decimal(10,2)"),
    unit("a unit of two values", "urgent", "boolean"),
    Mistake(what="null ids where none may be", code=65, says=("privacy.unit.nulls", "drop"), sets=("privacy.unit.nulls=error",)),
    Mistake(what="a filter on an unknown column", code=78, says=("input.filter",), sets=("input.filter=agee > 3",)),
    Mistake(what="a filter that is no condition", code=78, says=("input.filter",), sets=("input.filter=age +",)),
    Mistake(what="a filter by chance", code=78, says=("input.filter", "rand", "one row"), sets=("input.filter=rand() < 0.5",)),
    Mistake(what="a filter by the clock", code=78, says=("input.filter", "one row"), sets=("input.filter=visited < current_date()",)),
    Mistake(what="a filter by other rows", code=78, says=("input.filter", "one row"), sets=("input.filter=age > (select max(age) from t)",)),
    Mistake(what="a filter that breaks on a value", code=65, says=("input.filter",), sets=("input.filter=cast(person as int) > 3",)),
    Mistake(what="a corrupt file", code=65, says=("part-1.parquet",), prepare=a_corrupt_file),
    Mistake(what="a truncated file", code=65, says=("input.path", "FOOTER"), prepare=a_truncated_file),
    Mistake(what="files that disagree about a type", code=65, says=("input.path", "same types"), prepare=files_that_disagree),
]  # fmt: skip
