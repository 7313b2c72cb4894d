"""The JSON Schema for editors says what the reader says: the same keys, the same examples, the same refusals."""

import json
from dataclasses import fields
from pathlib import Path

import jsonschema
import pytest
from run_texts import run_text

from spark_dp.errors import ConfigurationError
from spark_dp.mechanisms.automatic import AUTO
from spark_dp.mechanisms.catalog import MECHANISMS
from spark_dp.pipeline import config_sections
from spark_dp.pipeline.config import RunConfig, parse_config
from spark_dp.pipeline.config_fields import SECTIONS
from spark_dp.pipeline.config_schema import config_schema, schema_text
from spark_dp.pipeline.config_tree import Items, Scalar, read_tree
from spark_dp.schema.columns import Column

CONF = Path(__file__).parents[3] / "conf"
EXAMPLES = sorted((CONF / "runs").glob("*.yaml"))
VALIDATOR = jsonschema.Draft7Validator(config_schema())


def as_editors_read(tree):
    """YAML 1.2's core schema: plain numbers, true, false and null; a date is a text."""
    if isinstance(tree, Items):
        return [as_editors_read(item) for item in tree.items]
    if not isinstance(tree, Scalar):
        return {key: as_editors_read(value) for key, value in tree.entries.items()}
    if tree.is_null:
        return None
    if tree.plain and tree.text in ("true", "True", "TRUE", "false", "False", "FALSE"):
        return tree.text.lower() == "true"
    for convert in (int, float):
        try:
            return convert(tree.text) if tree.plain else tree.text
        except ValueError:
            pass
    return tree.text


def accepted_by_schema(text):
    return VALIDATOR.is_valid(as_editors_read(read_tree(text, "run.yaml")))


def accepted_by_reader(text):
    try:
        parse_config(text)
    except ConfigurationError:
        return False
    return True


def test_the_schema_is_a_proper_schema():
    jsonschema.Draft7Validator.check_schema(config_schema())


def test_the_committed_schema_is_what_the_readers_say():
    committed = (CONF / "run.schema.json").read_text(encoding="utf-8")
    assert committed == schema_text(), "run: python -m spark_dp.pipeline.config_schema > conf/run.schema.json"


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_every_example_is_valid_and_points_editors_to_the_schema(path):
    text = path.read_text(encoding="utf-8")
    errors = list(VALIDATOR.iter_errors(as_editors_read(read_tree(text, "run.yaml"))))
    assert not errors
    assert accepted_by_reader(text)
    named = text.splitlines()[0].removeprefix("# yaml-language-server: $schema=")
    assert (path.parent / named).resolve() == (CONF / "run.schema.json").resolve()


GOOD = [
    {},
    {
        "input": "input: {table: c.s.t, format: delta, options: {versionAsOf: 3}, filter: age > 1, expected_rows: 9}"
    },
    {"input": "input: {path: a, table: null, options: }"},
    {"output": "output: {path: a, rows: auto, partition_by: ward, mode: overwrite}"},
    {"output": "output: {path: a, rows: 12, partition_by: [ward]}"},
    {"unit": "  unit: row"},
    {"unit": "  unit: {columns: [a, b], max_rows: 2, nulls: one_unit, bounding: sample}"},
    {"dataset": "  dataset: 2013\n  neighbours: replace\n  confirm_large_delta: true"},
    {"delta": "  delta: 1e-9"},
    {"run": "run: {directory: runs, key: 2013, seed: 7}"},
    {"run": "run: {directory: runs, key: 2013-01-01}"},
    {"more": "mechanism: {workload: [[age, ward], {columns: [age], weight: 0.5}]}"},
    {"more": "mechanism: {name: independent, workload: {degree: 3}, max_model_mb: 1.5, targets: age}"},
    {"more": "mechanism:"},
    {"more": "evaluate: {against_input: true}\nspark: {spark.sql.shuffle.partitions: 8}"},
    {"age": "  age: {type: double, bins: [0, 1.5, 9], nullable: true, nan: null, infinity: clip}"},
    {"age": "  age: {type: 'decimal(10,2)', min: 0, max: 20.5, bins: 4}"},
    {"age": "  age: {type: date, min: 2024-01-01, max: 2024-12-31, bins: 12}"},
    {"age": "  age: {type: timestamp, timezone: Europe/Berlin, min: 2024-01-01, max: 2024-12-31, bins: 12}"},
    {"age": "  age: {type: boolean}"},
    {"age": "  age: {type: integer, values: [1, 2], undeclared: drop}"},
    {"age": "  age: {type: integer, min: 0, max: 9}"},
    {"unit": "  unit: {column: person, max_rows: auto, at_most: 50, quantile: 0.8, share: 0.01}"},
    {
        "age": "  age: {type: double, min: 0, max: 9, bins: {private: 3, cut: width, share: 0.1}, nullable: {private: "
        "true, share: 1e-3}}"
    },
    {"age": "  age: {type: long, values: {private: 3, per_unit: 1, share: 0.1, delta: 1e-12}, other: 7}"},
    {"more": "constraints:"},
    {
        "more": "constraints: [{forbid: {age: '<20', ward: [NO, XX]}}, {forbid: {ward: {not: SO}, age: ['<10', '>=90']}}]"
    },
    {"more": "constraints: [{determines: {ward: age}, mapping: {NO: '<10', SO: '>=90'}}]"},
]


@pytest.mark.parametrize("lines", GOOD, ids=str)
def test_what_is_right_is_right_for_both(lines):
    assert accepted_by_reader(run_text(**lines))
    assert accepted_by_schema(run_text(**lines))


BAD = [
    {"input": None},
    {"output": None},
    {"run": None},
    {"epsilon": None},
    {"delta": None},
    {"unit": None},
    {"ledger": None},
    {"dataset": None},
    {"epsilon": "  epsilon: 0"},
    {"epsilon": "  epsilon: '1'"},
    {"epsilon": "  epsilon: ???"},
    {"epsilon": "  epsilonn: 1"},
    {"input": "input: {path: a, table: b}"},
    {"input": "input: {}"},
    {"input": "input: {path: ''}"},
    {"input": "input: {path: [a]}"},
    {"input": "input: {path: a, expected_rows: 0}"},
    {"input": "input: {path: a, options: [b]}"},
    {"input": "input: {path data}"},
    {"output": "output: {path: a, rows: -1}"},
    {"output": "output: {path: a, rows: some}"},
    {"output": "output: {path: a, mode: append}"},
    {"output": "output: {path: a, partition_by: [ward, ward]}"},
    {"unit": "  unit: person"},
    {"unit": "  unit: {column: person}"},
    {"unit": "  unit: {column: person, max_rows: 0}"},
    {"unit": "  unit: {column: person, max_rows: 2.5}"},
    {"unit": "  unit: {column: person, max_rows: 2, nulls: keep}"},
    {"unit": "  unit: {column: a, columns: [b], max_rows: 2}"},
    {"unit": "  unit: {max_rows: 2}"},
    {"ledger": "  ledger: ledger.db"},
    {"dataset": "  dataset: visits\n  neighbours: swap"},
    {"run": "run: {directory: runs, key: a/b}"},
    {"run": "run: {directory: runs, key: a, seed: -1}"},
    {"run": "run: {directory: runs, key: a, seed: 18446744073709551616}"},
    {"run": "run: {directory: '???', key: a}"},
    {"more": "mechanism: {name: mts}"},
    {"more": "mechanism: {max_model_mb: 0}"},
    {"more": "mechanism: {workload: 3}"},
    {"more": "mechanism: {workload: []}"},
    {"more": "mechanism: {workload: {degree: 0}}"},
    {"more": "mechanism: {workload: {degree: 2, cliques: [[age]]}}"},
    {"more": "mechanism: {workload: [{columns: [age], weight: 0}]}"},
    {"more": "mechanism: {workload: [{weight: 2}]}"},
    {"more": "evaluate: {against_input: yes}"},
    {"more": "spark: {sql.shuffle.partitions: 8}"},
    {"more": "spark: {spark.a: [b]}"},
    {"more": "sprak: {}"},
    {"schema": "schema: [ward]", "ward": None, "age": None},
    {"schema": "schema:", "ward": None, "age": None},
    {"age": "  age: {min: 0, max: 9}"},
    {"age": "  age: {type: interger, min: 0, max: 9}"},
    {"age": "  age: {type: decimal, min: 0, max: 9}"},
    {"age": "  age: {type: integer, mn: 0, max: 9}"},
    {"age": "  age: {type: integer, min: '???', max: 9}"},
    {"age": "  age: {type: integer, min: 0, max: 9, bins: 0}"},
    {"age": "  age: {type: integer, min: 0, max: 9, bins: [1]}"},
    {"age": "  age: {type: integer, values: [1, 2], min: 0, other: 3}"},
    {"age": "  age: {type: integer, values: [1, 2], other: 3, undeclared: drop}"},
    {"age": "  age: {type: double, min: 0, max: 9}"},
    {"age": "  age: {type: string, min: 0, max: 9}"},
    {"age": "  age: {type: boolean, min: 0}"},
    {"age": "  age: {type: double, min: 0, max: 9, bins: 3, nan: keep}"},
    {"age": "  age: {type: integer, min: 0, max: 9, nullable: yes}"},
    {"age": "  age: integer"},
    {"unit": "  unit: {column: person, max_rows: auto, share: 0.01}"},
    {"unit": "  unit: {column: person, max_rows: 5, at_most: 50}"},
    {"age": "  age: {type: double, min: 0, max: 9, bins: {private: 3}}"},
    {"age": "  age: {type: double, min: 0, max: 9, bins: {private: 3, share: 0}}"},
    {"age": "  age: {type: integer, min: 0, max: 9, nullable: {private: false, share: 0.1}}"},
    {"age": "  age: {type: string, values: {private: 3, share: 0.1, delta: 1e-9}, other: x}"},
    {"more": "constraints: {forbid: {age: '<20', ward: NO}}"},
    {"more": "constraints: [forbid]"},
    {"more": "constraints: [{forbid: {age: '<20'}}]"},
    {"more": "constraints: [{forbid: {age: '<20', ward: []}}]"},
    {"more": "constraints: [{forbid: {age: '<20', ward: {but: NO}}}]"},
    {"more": "constraints: [{forbid: {age: '<20', ward: '???'}}]"},
    {"more": "constraints: [{determines: {ward: age}}]"},
    {"more": "constraints: [{determines: {ward: age, age: ward}, mapping: {NO: '<10', SO: '<10'}}]"},
    {"more": "constraints: [{determines: {ward: age}, mapping: {NO: [1, 2]}}]"},
]


@pytest.mark.parametrize("lines", BAD, ids=str)
def test_what_is_wrong_is_wrong_for_both(lines):
    assert not accepted_by_reader(run_text(**lines))
    assert not accepted_by_schema(run_text(**lines))


def keys_of(section):
    """The keys that the schema gives a section, found by its dotted name."""
    found = config_schema()
    for name in filter(None, section.split(".")):
        found = found["properties"][name]
        while "properties" not in found:
            found = next(form for form in found["anyOf"] if "properties" in form or "anyOf" in form)
    return set(found["properties"])


@pytest.mark.parametrize("section", SECTIONS, ids=lambda section: section or "all")
def test_the_schema_has_exactly_the_keys_that_the_reader_takes(section):
    assert keys_of(section) == set(SECTIONS[section])
    for key in (*SECTIONS[section], "nonsense"):
        place = f"{section}.{key}" if section else key
        with pytest.raises(ConfigurationError) as caught:
            # A list of mappings is right nowhere, so that a known key is refused too, and for its value.
            parse_config(run_text(), [f"{place}=[{{a: {{b: c}}}}]"])
        unknown = f"'{place}' is unknown" in caught.value.message
        assert unknown == (key == "nonsense"), caught.value.message


def test_a_column_has_exactly_the_keys_that_the_reader_takes():
    columns = config_schema()["properties"]["schema"]["anyOf"][1]
    keys = set(columns["additionalProperties"]["properties"])
    assert keys == {field.name for field in fields(Column)} - {"name"}
    for key in (*keys, "nonsense"):
        with pytest.raises(ConfigurationError) as caught:
            parse_config(run_text(), [f"schema.ward.{key}={{a: [b]}}"])
        unknown = f"'schema.ward.{key}' is unknown" in caught.value.message
        assert unknown == (key == "nonsense"), caught.value.message


@pytest.mark.parametrize(
    ("section", "kind", "unlike"),
    [
        ("input", config_sections.InputConfig, {}),
        ("output", config_sections.OutputConfig, {}),
        ("privacy", config_sections.PrivacyConfig, {"budget": {"epsilon", "delta"}}),
        (
            "privacy.unit",
            config_sections.ColumnUnit,
            {"columns": {"column", "columns"}, "learned": {"at_most", "quantile", "share"}},
        ),
        ("mechanism", config_sections.MechanismConfig, {}),
        ("mechanism.workload", config_sections.WorkloadConfig, {}),
        ("run", config_sections.RunDirConfig, {}),
        ("evaluate", config_sections.EvaluateConfig, {}),
        ("", RunConfig, {"tree": set(), "private": set(), "schema": {"schema", "constraints"}}),
    ],
)
def test_every_field_of_a_section_can_be_written(section, kind, unlike):
    written = set().union(*(unlike.get(field.name, {field.name}) for field in fields(kind)))
    assert written == set(SECTIONS[section])


def test_the_mechanisms_that_an_editor_offers_are_those_of_the_catalog():
    name = config_schema()["properties"]["mechanism"]["properties"]["name"]
    assert name["anyOf"][0]["enum"] == [AUTO, *MECHANISMS]


def test_a_document_is_json():
    json.loads(schema_text())
