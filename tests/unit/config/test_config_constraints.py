"""Constraints as they are written: read, placed in the file, or refused with what to change."""

from __future__ import annotations

import datetime as dt

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from run_texts import line_of, run_text

from spark_dp.errors import ConfigurationError, DomainTooLargeError
from spark_dp.pipeline.config import load_config, parse_config
from spark_dp.pipeline.planning import plan_run
from spark_dp.schema.constraints import FREE, Determined, Forbidden

ZIP = '  zip: {type: string, values: ["01001", "10001"], other: elsewhere}\n'
STATE = "  state: {type: string, values: [MA, NY], other: ZZ, nullable: true}"
FORBID = "  - forbid: {age: '<20', ward: [NO, XX]}"
INLINE = '  - determines: {zip: state}\n    mapping: {"01001": MA, "10001": NY}'


def text(*constraints: str, **changed: str | None) -> str:
    more = "constraints:\n" + "\n".join(constraints)
    return run_text(
        **{"age": "  age: {type: integer, min: 0, max: 99, bins: 10}\n" + ZIP + STATE} | changed, more=more
    )


def refused(content: str, kind=ConfigurationError) -> ConfigurationError:
    with pytest.raises(kind) as caught:
        plan_run(parse_config(content, source="run.yaml"))
    assert "Nothing was read or spent" in caught.value.message
    return caught.value


def test_constraints_are_read_into_codes():
    config = parse_config(text(FORBID, INLINE))
    assert config.schema.constraints == (
        Forbidden(cells=(("age", (0, 1)), ("ward", (0, 2)))),
        Determined(source="zip", target="state", codes=(0, 1, FREE)),
    )


def test_a_mapping_may_name_null_other_and_ranges():
    mapping = '  - determines: {age: state}\n    mapping: {"<50": MA, ">=50": }'
    assert parse_config(text(mapping)).schema.constraints == (
        Determined(source="age", target="state", codes=(0,) * 5 + (3,) * 5),
    )
    back = "  - determines: {state: zip}\n    mapping: {MA: '01001', NY: '10001', ZZ: elsewhere, null: elsewhere}"
    assert parse_config(text(back)).schema.constraints == (
        Determined(source="state", target="zip", codes=(0, 1, 2, 2)),
    )


CSV = "zip,city,state\n01001,Agawam,MA\n10001,New York,NY\n99999,Nowhere,XX\n"


def test_a_mapping_may_be_a_csv_that_has_more_values_than_the_column(tmp_path):
    (tmp_path / "public").mkdir()
    (tmp_path / "public" / "zips.csv").write_text(CSV)
    file = tmp_path / "run.yaml"
    file.write_text(text("  - determines: {zip: state}\n    mapping: public/zips.csv"))
    assert load_config(file).schema.constraints == parse_config(text(INLINE)).schema.constraints


def test_a_mapping_may_be_a_parquet_file_of_typed_columns(tmp_path):
    table = pa.table({"day": [dt.date(2024, 1, 1), dt.date(2024, 1, 2), None], "n": [7, 8, 9]})
    pq.write_table(table, tmp_path / "days.parquet")
    days = "  day: {type: date, min: 2024-01-01, max: 2024-01-02, nullable: true}\n  n: {type: long, min: 7, max: 9}"
    content = run_text(age=days, more="constraints:\n  - determines: {day: n}\n    mapping: days.parquet")
    found = parse_config(content, folder=tmp_path).schema.constraints
    assert found == (Determined(source="day", target="n", codes=(0, 1, 2)),)


def test_constraints_may_be_kept_in_a_file_and_find_mappings_from_there(tmp_path):
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared" / "zips.csv").write_text(CSV)
    (tmp_path / "shared" / "rules.yaml").write_text("- determines: {zip: state}\n  mapping: zips.csv\n")
    content = text().replace("constraints:\n", "constraints: shared/rules.yaml\n")
    found = parse_config(content, folder=tmp_path).schema.constraints
    assert found == parse_config(text(INLINE)).schema.constraints


def test_constraints_are_part_of_what_is_measured_and_their_absence_changes_nothing():
    free, bound = parse_config(text()).measure_settings(), parse_config(text(FORBID)).measure_settings()
    assert "constraints" not in free["schema"]
    assert free != bound
    assert bound == parse_config(text("  - forbid: {age: '<=19', ward: {not: SO}}")).measure_settings()


@pytest.mark.parametrize(
    ("item", "field", "says"),
    [
        ("  - forbid: {age: '<15', ward: NO}", "constraints[1].forbid.age", "10 or 20"),
        ("  - forbid: {aeg: '<20', ward: NO}", "constraints[1].forbid.aeg", "Did you mean 'age'?"),
        ("  - forbid: {age: '<20', ward: SOO}", "constraints[1].forbid.ward", "Did you mean 'SO'?"),
        ("  - forbid: {age: '<20'}", "constraints[1].forbid", "fewer than two columns"),
        ("  - forbid: [age, ward]", "constraints[1].forbid", "fewer than two columns"),
        ("  - forbid: {age: '<20', ward: NO}\n    if: x", "constraints[1].if", "unknown"),
        ("  - forbids: {age: '<20', ward: NO}", "constraints[1]", "Did you mean 'forbid'?"),
        ("  - nonsense", "constraints[1]", "determines"),
        ("  - {}", "constraints[1]", "determines"),
        ("  - determines: {zip: state}", "constraints[1].mapping", "is missing"),
        ("  - determines: {zip: stat}\n    mapping: {a: b}", "constraints[1].determines", "'state'"),
        ("  - determines: {zip: zip}\n    mapping: {a: b}", "constraints[1].determines", "itself"),
        ("  - determines: {zip: state, ward: age}\n    mapping: {a: b}", "constraints[1].determines", "one column"),
        ("  - determines: {zip: [state, ward]}\n    mapping: {a: b}", "constraints[1].determines", "one column"),
        ("  - determines: {zip: state}\n    mapping: [a]", "constraints[1].mapping", "is a list"),
        ("  - determines: {zip: state}\n    mapping: {'01001': MA}", "constraints[1].mapping", "1 of the 2"),
        ("  - determines: {zip: state}\n    mapping: {'01001': MA, '10001': NYC}", "constraints[1].mapping", "mean 'NY'?"),
        ("  - determines: {zip: state}\n    mapping: {'01001': MA, '1000': NY}", "constraints[1].mapping", "'10001'"),
        ("  - determines: {zip: state}\n    mapping: {'01001': [MA, NY]}", "constraints[1].mapping", "one value"),
        ("  - determines: {zip: age}\n    mapping: {'01001': '<30', '10001': '>=90'}", "constraints[1].mapping", "3 cells"),
        ("  - determines: {age: ward}\n    mapping: {'<50': NO, '>=40': SO}", "constraints[1].mapping", "[40, 50)"),
        ("  - determines: {zip: state}\n    mapping: nowhere.csv", "constraints[1].mapping", "No such file"),
        ("  - forbid: {age: '>=0', ward: [NO, SO, XX]}", "constraints[1]", "every combination"),
        ("  - forbid: {age: '>=20', zip: {not: '01001'}}\n  - forbid: {age: '>=0', zip: '01001'}\n"
         "  - forbid: {age: '<20', zip: {not: '01001'}}", "constraints[3]", "contradict"),
    ],
    ids=str,
)  # fmt: skip
def test_a_constraint_that_makes_no_sense_is_refused_with_its_line(item, field, says):
    content = text(FORBID, item)
    error = refused(content)
    assert error.field == field
    assert says in error.message
    last = (
        "mapping" if field.endswith("mapping") and "\n    mapping" in item else item.splitlines()[0].strip()
    )
    if field.startswith("constraints[1]") and "if:" not in item:
        assert f"run.yaml:{line_of(content, last)})" in error.message


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("zip,states\n01001,MA\n", "no column 'state'"),
        ("zip,zip,state\n01001,1,MA\n", "column 'zip' more than once"),
        ("zip,state\n", "no row"),
        ("", "no column 'zip'"),
        ("zip,state\n01001\n", "line 2"),
        ("zip,state\n01001,MA\n10001,NY\n01001,NY\n", "zips.csv:4"),
        ("zip,state\n01001,MA\n10001,NYC\n", "zips.csv:3"),
        ("zip,state\n01001,MA\n", "10001"),
    ],
)
def test_a_mapping_file_that_makes_no_sense_is_refused(tmp_path, content, says):
    (tmp_path / "zips.csv").write_text(content)
    file = tmp_path / "run.yaml"
    file.write_text(text("  - determines: {zip: state}\n    mapping: zips.csv"))
    with pytest.raises(ConfigurationError) as caught:
        load_config(file)
    assert says in caught.value.message
    assert caught.value.field == "constraints[0].mapping"


def test_a_mapping_is_not_read_off_the_table_itself(tmp_path):
    content = text("  - determines: {zip: state}\n    mapping: data/visits/part-0.parquet")
    with pytest.raises(ConfigurationError, match="is in the table that is protected"):
        parse_config(content)


@pytest.mark.parametrize(
    "spelling",
    [
        "{d}",
        "{d}/*.parquet",
        "{d}/pa*",
        "{d}/{{part-0,part-1}}.parquet",
        "file:{d}",
        "FILE://{d}",
        "file://localhost{d}",
        "{l}",
    ],
)
@pytest.mark.parametrize("mapping", ["{d}/part-0.parquet", "{l}/part-0.parquet"])
def test_no_spelling_of_the_table_passes_as_a_mapping(tmp_path, spelling, mapping):
    """Two rows of the table contradict each other, so that a refusal that reads it would say so."""
    folder, link = tmp_path / "visits", tmp_path / "link"
    folder.mkdir()
    link.symlink_to(folder)
    rows = pa.table({"zip": ["01001", "10001", "10001"], "state": ["MA", "NY", "canary-ca"]})
    pq.write_table(rows, folder / "part-0.parquet")
    named = {"d": folder, "l": link}
    content = text(f"  - determines: {{zip: state}}\n    mapping: {mapping.format(**named)}")
    with pytest.raises(ConfigurationError, match="is in the table that is protected") as caught:
        parse_config(content, overrides=[f"input.path={spelling.format(**named)}"])
    assert "canary" not in caught.value.message


def test_a_table_by_its_format_and_path_passes_as_no_mapping_either(tmp_path):
    content = text(f"  - determines: {{zip: state}}\n    mapping: {tmp_path}/zips.csv")
    with pytest.raises(ConfigurationError, match="is in the table that is protected"):
        parse_config(
            content.replace("input: {path:", "input: {table:").replace("data/visits", f"parquet.`{tmp_path}`")
        )


@pytest.mark.parametrize(
    "rows", ["10001,canary-x\n", "10001,NY\n10001,MA\n", "10001,NY,canary-x\ncanary-y\n", "canary-z,MA\n"]
)
def test_no_cell_of_a_mapping_file_is_in_a_message(tmp_path, rows):
    """It may be the wrong file."""
    for header in ("zip,state\n", "", "canary-a,canary-b\n"):
        (tmp_path / "zips.csv").write_text(header + rows)
        file = tmp_path / "run.yaml"
        file.write_text(text("  - determines: {zip: state}\n    mapping: zips.csv"))
        with pytest.raises(ConfigurationError) as caught:
            load_config(file)
        assert "canary" not in caught.value.message


def test_a_column_that_is_learned_takes_no_constraint():
    learned = "  ward: {type: string, values: {private: 3, per_unit: 1, share: 0.1, delta: 1e-12}, other: XX}"
    error = refused(text("  - forbid: {age: '<20', ward: XX}", ward=learned))
    assert "private step" in error.message


@pytest.mark.parametrize("mechanism", ["independent", "mst", "aim", "oneshot", "auto"])
def test_a_constraint_that_the_model_cannot_hold_is_refused(mechanism):
    content = text(FORBID)
    tight = [
        f"mechanism.name={mechanism}",
        "mechanism.max_model_mb=0.0002",
    ]  # 25 cells; the columns alone have 20
    plan_run(parse_config(content, [f"mechanism.name={mechanism}"]))
    with pytest.raises(DomainTooLargeError) as caught:
        plan_run(parse_config(content, tight))
    assert "age x ward" in caught.value.message
    assert "mechanism.max_model_mb" in caught.value.message


def test_constraints_whose_model_is_too_large_only_together_are_refused():
    loop = [
        "  - forbid: {age: '<20', ward: NO}",
        "  - forbid: {ward: NO, zip: '01001'}",
        "  - forbid: {zip: '01001', state: NY}",
        "  - forbid: {state: NY, age: '<20'}",
    ]
    for name in ("independent", "mst", "aim", "oneshot", "auto"):
        where = [f"mechanism.name={name}", "mechanism.max_model_mb=0.0012"]  # 150 cells
        plan_run(parse_config(text(*loop[:3]), where))
        with pytest.raises(DomainTooLargeError, match="constraints"):
            plan_run(parse_config(text(*loop), where))


def test_the_plan_says_what_holds_and_what_no_row_can_have():
    planned = plan_run(
        parse_config(text("  - forbid: {age: '<20', ward: {not: []}}".replace("{not: []}", "[NO, SO, XX]")))
    )
    assert any("no row of the output has age [0, 20)" in note for note in planned.notes())
    (warning,) = [w for w in planned.warnings(planned.standing()) if "no possible row" in w]
    assert "age" in warning
    assert "[0, 10), [10, 20)" in warning
