"""Each field of a configuration: what it takes, what it refuses, and what the run's identity is made of."""

import json
from fractions import Fraction
from pathlib import Path

import pytest
from run_texts import run_text

from spark_dp.errors import ConfigurationError
from spark_dp.pipeline.config import load_config, parse_config
from spark_dp.pipeline.config_sections import ColumnUnit, RowUnit, WorkloadConfig
from spark_dp.privacy.sensitivity import Neighbours

EXAMPLES = sorted((Path(__file__).parents[3] / "conf" / "runs").glob("*.yaml"))


def refused(text, overrides=()):
    with pytest.raises(ConfigurationError) as caught:
        parse_config(text, overrides)
    return caught.value


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_every_example_configuration_is_valid(path):
    config = load_config(path)
    assert config.schema.domain.sizes
    json.dumps([config.measure_settings(), config.generate_settings()], allow_nan=False)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_without_its_unit_is_refused(path):
    with pytest.raises(ConfigurationError):
        load_config(path, ["privacy.unit="])


def test_the_least_configuration_has_only_harmless_defaults():
    config = parse_config(run_text())
    assert config.output.rows is None
    assert config.output.mode == "error"
    assert config.run.seed == 0
    assert config.mechanism.workload == WorkloadConfig(degree=2)
    assert config.privacy.neighbours is Neighbours.ADD_REMOVE
    assert config.privacy.unit == ColumnUnit(columns=("person",), max_rows=5)
    assert (config.privacy.unit.nulls, config.privacy.unit.bounding) == ("drop", "weight")
    assert not config.evaluate.against_input


@pytest.mark.parametrize(
    ("lines", "field"),
    [
        ({"epsilon": None}, "privacy.epsilon"),
        ({"epsilon": "  epsilon: null"}, "privacy.epsilon"),
        ({"delta": None}, "privacy.delta"),
        ({"unit": None}, "privacy.unit"),
        ({"unit": "  unit: {column: person}"}, "privacy.unit.max_rows"),
        ({"unit": "  unit: {max_rows: 5}"}, "privacy.unit.column"),
        ({"ledger": None}, "privacy.ledger"),
        ({"dataset": None}, "privacy.dataset"),
        ({"run": "run: {key: first}"}, "run.directory"),
        ({"run": "run: {directory: runs}"}, "run.key"),
        ({"run": None}, "run.directory"),
        ({"input": None}, "input.path"),
        ({"output": None}, "output.path"),
        ({"schema": None, "ward": None, "age": None}, "schema"),
        ({"ward": None, "age": None}, "schema"),
    ],
)
def test_what_has_no_default_must_be_written(lines, field):
    error = refused(run_text(**lines))
    assert error.field == field
    assert "missing" in error.message


@pytest.mark.parametrize(
    "value", ["0", "-1", "2.5", "true", "True", "null", "'5'", "many", "[5]", "1e2", ".inf"]
)
def test_a_bound_that_is_no_whole_number_from_1_is_refused(value):
    error = refused(run_text(unit=f"  unit: {{column: person, max_rows: {value}}}"))
    assert error.field == "privacy.unit.max_rows"
    assert "privacy.unit.max_rows" in error.message


@pytest.mark.parametrize("value", ["1", "50"])
def test_a_bound_that_is_a_whole_number_is_taken(value):
    config = parse_config(run_text(unit=f"  unit: {{column: person, max_rows: {value}}}"))
    assert config.privacy.unit.max_rows == int(value)


@pytest.mark.parametrize("max_rows", [0, -1, 2.5, True, None, "5"])
def test_a_unit_made_in_python_is_checked_too(max_rows):
    with pytest.raises(ConfigurationError) as caught:
        ColumnUnit(columns=("person",), max_rows=max_rows)
    assert caught.value.field == "privacy.unit.max_rows"


@pytest.mark.parametrize("field", ["epsilon", "delta"])
@pytest.mark.parametrize("value", ["0", "-1", ".nan", ".inf", "'1'", "one", "true", "[1]", "1e9999"])
def test_a_budget_that_is_no_positive_number_is_refused(field, value):
    assert refused(run_text(**{field: f"  {field}: {value}"})).field == f"privacy.{field}"


def test_a_large_delta_must_be_confirmed():
    error = refused(run_text(delta="  delta: 1e-4"))
    assert error.field == "privacy.delta"
    assert "privacy.confirm_large_delta: true" in error.message
    config = parse_config(run_text(delta="  delta: 1e-4\n  confirm_large_delta: true"))
    assert config.privacy.confirm_large_delta
    assert refused(run_text(delta="  delta: 1\n  confirm_large_delta: true")).field == "privacy.delta"


@pytest.mark.parametrize(
    "unit",
    [
        "{column: [a, b], max_rows: 2}",
        "{columns: [a, b], max_rows: 2}",
    ],
)
def test_a_unit_may_have_several_columns(unit):
    assert parse_config(run_text(unit=f"  unit: {unit}")).privacy.unit.columns == ("a", "b")


@pytest.mark.parametrize(
    ("unit", "field"),
    [
        ("{column: a, columns: [b], max_rows: 2}", "privacy.unit.columns"),
        ("{columns: [a, a], max_rows: 2}", "privacy.unit.columns"),
        ("{columns: [], max_rows: 2}", "privacy.unit.columns"),
        ("{column: {a: b}, max_rows: 2}", "privacy.unit.column"),
        ("{column: a, max_rows: 2, nulls: keep}", "privacy.unit.nulls"),
        ("{column: a, max_rows: 2, bounding: cut}", "privacy.unit.bounding"),
        ("person", "privacy.unit"),
        ("[person]", "privacy.unit"),
    ],
)
def test_a_unit_that_is_none_is_refused(unit, field):
    assert refused(run_text(unit=f"  unit: {unit}")).field == field


def test_a_row_may_be_the_unit():
    unit = parse_config(run_text(unit="  unit: row")).privacy.unit
    assert unit == RowUnit()
    assert unit.max_rows == 1


@pytest.mark.parametrize(
    ("lines", "field"),
    [
        ({"input": "input: {path: a, table: b}"}, "input.table"),
        ({"input": "input: {path: a, options: [b]}"}, "input.options"),
        ({"input": "input: {path: a, options: {b: null}}"}, "input.options.b"),
        ({"input": "input: {path: [a]}"}, "input.path"),
        ({"output": "output: {path: a, rows: -1}"}, "output.rows"),
        ({"output": "output: {path: a, rows: some}"}, "output.rows"),
        ({"output": "output: {path: a, mode: append}"}, "output.mode"),
        ({"output": "output: {path: a, partition_by: [person]}"}, "output.partition_by"),
        ({"output": "output: {path: a, partition_by: [ward, ward]}"}, "output.partition_by"),
        ({"output": "output: {path: a, partition_by: [ward, age]}"}, "output.partition_by"),
        ({"dataset": "  dataset: visits\n  neighbours: swap"}, "privacy.neighbours"),
        ({"ledger": "  ledger: ledger.db"}, "privacy.ledger"),
        ({"ledger": "  ledger: [a]"}, "privacy.ledger"),
        ({"run": "run: {directory: runs, key: a/b}"}, "run.key"),
        ({"run": "run: {directory: runs, key: ..}"}, "run.key"),
        ({"run": "run: {directory: runs, key: a, seed: -1}"}, "run.seed"),
        ({"run": "run: {directory: runs, key: a, seed: 18446744073709551616}"}, "run.seed"),
        ({"more": "evaluate: {against_input: yes}"}, "evaluate.against_input"),
        ({"more": "spark: {spark.a: [b]}"}, "spark.spark.a"),
        ({"more": "mechanism: {targets: [person]}"}, "mechanism.targets"),
        ({"more": "mechanism: {max_model_mb: 0}"}, "mechanism.max_model_mb"),
        ({"more": "mechanism: {workload: 3}"}, "mechanism.workload"),
        ({"more": "mechanism: {workload: []}"}, "mechanism.workload"),
        ({"more": "mechanism: {workload: {degree: 0}}"}, "mechanism.workload.degree"),
        ({"more": "mechanism: {workload: {degree: 2, cliques: [[age]]}}"}, "mechanism.workload.cliques"),
        ({"more": "mechanism: {workload: [[age, person]]}"}, "mechanism.workload"),
        ({"more": "mechanism: {workload: [[age, age]]}"}, "mechanism.workload"),
        ({"more": "mechanism: {workload: [[age, ward], [ward, age]]}"}, "mechanism.workload"),
        ({"more": "mechanism: {workload: [{columns: [age], weight: 0}]}"}, "mechanism.workload"),
        ({"more": "mechanism: {workload: [{weight: 2}]}"}, "mechanism.workload.columns"),
        ({"schema": "schema: [ward]", "ward": None, "age": None}, "schema"),
    ],
)
def test_a_value_that_a_field_cannot_take_is_refused_by_name(lines, field):
    assert refused(run_text(**lines)).field == field


def test_all_fields_are_taken():
    config = parse_config(
        run_text(
            input="input: {table: c.s.t, format: delta, options: {versionAsOf: 3}, filter: age > 1}",
            output="output: {path: o, rows: 0, partition_by: ward, mode: overwrite_partitions}",
            unit="  unit: {column: person, max_rows: 2, nulls: one_unit, bounding: sample}",
            dataset="  dataset: visits\n  neighbours: replace",
            run="run: {directory: s3://b/runs, key: 2013-W01, seed: 18446744073709551615}",
            more="mechanism: {name: independent, targets: age, max_model_mb: 1.5, workload: [[age, ward], "
            "{columns: [age], weight: 0.1}]}",
            speed="spark: {spark.sql.shuffle.partitions: 8}",
            look="evaluate: {against_input: true}",
        )
    )
    assert (config.input.table, config.input.format, config.input.options) == (
        "c.s.t",
        "delta",
        {"versionAsOf": "3"},
    )
    assert (config.output.rows, config.output.partition_by) == (0, ("ward",))
    assert (config.privacy.unit.nulls, config.privacy.unit.bounding) == ("one_unit", "sample")
    assert config.privacy.neighbours is Neighbours.REPLACE
    assert config.run.seed == 2**64 - 1
    assert config.mechanism.workload.cliques == ((("ward", "age"), Fraction(1)), (("age",), Fraction(1, 10)))
    assert config.spark == {"spark.sql.shuffle.partitions": "8"}
    assert config.evaluate.against_input


def test_rows_may_be_left_to_the_noisy_total():
    assert parse_config(run_text(output="output: {path: o, rows: auto}")).output.rows is None
    assert parse_config(run_text(output="output: {path: o, rows: 12}")).output.rows == 12


def test_the_ledger_is_never_shown():
    config = parse_config(run_text())
    assert config.privacy.ledger == "sqlite:///secret-password.db"
    shown = f"{config!r} {config.measure_settings()} {config.generate_settings()}"
    assert "secret-password" not in shown
    for text in (run_text(ledger="  ledger: secret-password"), run_text(dataset=None)):
        assert "secret-password" not in refused(text).message


def test_a_ledger_in_the_environment_is_looked_up_only_when_it_is_used():
    privacy = parse_config(run_text(ledger="  ledger: env:LEDGER")).privacy
    assert privacy.ledger_url({"LEDGER": "sqlite:///a.db"}) == "sqlite:///a.db"
    with pytest.raises(ConfigurationError, match="env:LEDGER") as caught:
        privacy.ledger_url({})
    assert caught.value.field == "privacy.ledger"


SAME = [
    {"ledger": "  ledger: env:LEDGER"},
    {"run": "run: {directory: elsewhere, key: second, seed: 3}"},
    {"output": "output: {path: o, rows: 3, partition_by: [ward], mode: overwrite}"},
    {"more": "spark: {spark.a: b}"},
    {"more": "evaluate: {against_input: true}"},
    {"age": "  age: {max: 99, bins: 10, type: integer, min: 0, nullable: false}"},
    {"epsilon": "  epsilon: 1"},
    {"more": "mechanism: {workload: {degree: 2}}"},
]
OTHER = [
    {"input": "input: {path: elsewhere}"},
    {"input": "input: {path: data/visits, filter: age > 1}"},
    {"input": "input: {path: data/visits, options: {a: b}}"},
    {"unit": "  unit: row"},
    {"unit": "  unit: {column: person, max_rows: 6}"},
    {"unit": "  unit: {column: person, max_rows: 5, nulls: error}"},
    {"unit": "  unit: {column: person, max_rows: 5, bounding: sample}"},
    {"dataset": "  dataset: visits\n  neighbours: replace"},
    {"epsilon": "  epsilon: 1.1"},
    {"delta": "  delta: 1e-8"},
    {"age": "  age: {type: integer, min: 0, max: 99, bins: 11}"},
    {"more": "mechanism: {workload: {degree: 3}}"},
    {"more": "mechanism: {name: independent}"},
    {"more": "mechanism: {targets: [age]}"},
]


def identity(**lines):
    return json.dumps(parse_config(run_text(**lines)).measure_settings(), sort_keys=True, allow_nan=False)


@pytest.mark.parametrize("lines", SAME)
def test_what_cannot_change_the_measurement_is_not_in_its_identity(lines):
    assert identity(**lines) == identity()


def test_other_numbers_of_rows_may_be_written_after_the_measurement_also_where_auto_chose_its_mechanism():
    auto = {"more": "mechanism: {name: auto}"}
    assert identity(**auto) == identity(**auto, output="output: {path: o, rows: 3}")
    assert identity(**auto) != identity(**auto, input="input: {path: data/visits, expected_rows: 3}")


@pytest.mark.parametrize("lines", OTHER)
def test_what_changes_the_measurement_is_in_its_identity(lines):
    assert identity(**lines) != identity()


@pytest.mark.parametrize(
    ("assignment", "changes"),
    [
        ("run.seed=3", True),
        ("output.rows=3", True),
        ("output.partition_by=[ward]", True),
        ("output.path=elsewhere", False),
        ("run.key=second", False),
        ("privacy.epsilon=2", False),
    ],
)
def test_the_identity_of_the_generation_has_what_decides_its_rows(assignment, changes):
    one, another = parse_config(run_text()), parse_config(run_text(), [assignment])
    assert (one.generate_settings() != another.generate_settings()) is changes
