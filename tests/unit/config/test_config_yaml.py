"""How a configuration is read: scalars by their field, keys once, errors with their place."""

import datetime as dt

import pytest
from run_texts import line_of, run_text

from spark_dp.errors import ConfigurationError, DomainTooLargeError
from spark_dp.pipeline.config import load_config, parse_config
from spark_dp.pipeline.config_tree import Scalar, read_tree


def refused(text, overrides=(), **where):
    with pytest.raises(ConfigurationError) as caught:
        parse_config(text, overrides, **where)
    return caught.value


def test_a_scalar_is_what_its_field_needs():
    day = "  day: {type: date, min: 2013-01-01, max: 2013-01-31}"
    config = parse_config(run_text(day=None, run="run: {directory: runs, key: 2013-01-01}", age=day))
    assert config.privacy.budget.delta == 1e-9
    assert config.schema.column("ward").values == ("NO", "SO")
    assert config.schema.column("day").min == (dt.date(2013, 1, 1) - dt.date(1970, 1, 1)).days
    assert config.run.key == "2013-01-01"


def test_a_number_in_quotes_is_no_number():
    assert refused(run_text(epsilon="  epsilon: '1.0'")).field == "privacy.epsilon"
    assert parse_config(run_text(epsilon="  epsilon: 1.0")).privacy.budget.epsilon == 1.0


def test_a_word_for_null_is_text_only_in_quotes():
    config = parse_config(run_text(ward="  ward: {type: string, values: ['null', '~'], other: XX}"))
    assert config.schema.column("ward").values == ("null", "~")
    error = refused(run_text(ward="  ward: {type: string, values: [null], other: XX}"))
    assert error.field == "schema.ward.values"
    assert "quote" in error.message


def test_a_null_policy_may_be_written_without_quotes():
    share = "  age: {type: double, min: 0, max: 1, bins: 2, nullable: true, nan: null, infinity: null}"
    column = parse_config(run_text(age=share)).schema.column("age")
    assert (column.nan, column.infinity) == ("null", "null")


@pytest.mark.parametrize(
    ("line", "key"),
    [
        ({"dataset": "  dataset: visits\n  epsilon: 9"}, "epsilon"),
        ({"again": "input: {path: elsewhere}"}, "input"),
        ({"age": "  ward: {type: boolean}"}, "ward"),
        ({"run": "run: {key: a, key: b, directory: c}"}, "key"),
    ],
)
def test_a_key_that_is_there_twice_is_refused_with_both_lines(line, key):
    error = refused(run_text(**line), source="run.yaml")
    assert f"'{key}' is there twice" in error.message
    assert error.message.count("run.yaml:") == 2


def test_an_anchor_stands_for_what_it_names():
    text = run_text(ward="  a: &yes_no {type: boolean}", age="  b: *yes_no")
    assert parse_config(text).schema.names == ("a", "b")


def test_an_anchor_inside_of_itself_is_refused():
    assert "deeper than" in refused("input: &loop {path: *loop}\n").message


@pytest.mark.parametrize("text", ["input: [", "a: b: c", "- a\n---\n- b", "input: \t x: y"])
def test_what_is_not_yaml_is_refused_with_its_line(text):
    assert "run.yaml:" in refused(text, source="run.yaml").message


@pytest.mark.parametrize("text", ["", "just text", "[a, b]", "{[a]: b}"])
def test_what_is_no_mapping_is_refused(text):
    assert isinstance(refused(text), ConfigurationError)


@pytest.mark.parametrize(
    ("line", "field", "hint"),
    [
        ({"epsilon": "  epsilonn: 1"}, "privacy.epsilonn", "Did you mean 'epsilon'"),
        ({"again": "mechansim: {name: mst}"}, "mechansim", "Did you mean 'mechanism'"),
        ({"unit": "  unit: {column: person, maxrows: 5}"}, "privacy.unit.maxrows", "Did you mean 'max_rows'"),
        ({"age": "  age: {type: integer, mn: 0, max: 9}"}, "schema.age.mn", "Did you mean 'min'"),
        ({"output": "output: {path: out, mode: overwrit}"}, "output.mode", "Did you mean 'overwrite'"),
        ({"output": "output: {path: out, partition_by: wrad}"}, "output.partition_by", "Did you mean 'ward'"),
    ],
)
def test_an_error_has_field_line_and_the_nearest_choice(line, field, hint):
    text = run_text(**line)
    error = refused(text, source="conf/run.yaml")
    assert error.field == field
    assert hint in error.message
    assert f"conf/run.yaml:{line_of(text, next(iter(line.values())).strip())}" in error.message


def test_a_column_with_a_dot_in_its_name_has_its_line_too():
    text = run_text(ward="  ward.name: {type: string, values: []}")
    error = refused(text, source="run.yaml")
    assert error.field == "schema.ward.name.values"
    assert f"(run.yaml:{line_of(text, 'ward.name')})" in error.message


def test_the_kind_of_an_error_is_kept():
    wide = "  age: {type: integer, min: -2147483648, max: 2147483647}"
    with pytest.raises(DomainTooLargeError, match=r"configuration:\d+"):
        parse_config(run_text(age=wide))


@pytest.mark.parametrize(
    ("assignment", "value"),
    [
        ("privacy.epsilon=2.5", lambda c: c.privacy.budget.epsilon == 2.5),
        ("privacy.delta=1e-7", lambda c: c.privacy.budget.delta == 1e-7),
        ("privacy.unit=row", lambda c: c.privacy.unit.label == "row"),
        ("privacy.unit.max_rows=7", lambda c: c.privacy.unit.max_rows == 7),
        ("output.partition_by=[ward]", lambda c: c.output.partition_by == ("ward",)),
        ("schema.ward.values=[NO, OH]", lambda c: c.schema.column("ward").values == ("NO", "OH")),
        ("schema.old={type: boolean}", lambda c: c.schema.names == ("ward", "age", "old")),
        ("evaluate.against_input=true", lambda c: c.evaluate.against_input),
        ("run.key=2013-01-01", lambda c: c.run.key == "2013-01-01"),
        ("input.filter=a = 'b'", lambda c: c.input.filter == "a = 'b'"),
    ],
)
def test_an_override_follows_the_rules_of_the_file(assignment, value):
    assert not value(parse_config(run_text()))
    assert value(parse_config(run_text(), [assignment]))


@pytest.mark.parametrize(
    ("assignment", "field"),
    [
        ("privacy.epsilon='2.5'", "privacy.epsilon"),
        ("privacy.epsilon=", "privacy.epsilon"),
        ("privacy.epsilonn=1", "privacy.epsilonn"),
        ("output.path.deeper=1", "output.path.deeper"),
        ("nowhere.at.all=1", "nowhere"),
    ],
)
def test_an_override_is_refused_by_the_rules_of_the_file(assignment, field):
    error = refused(run_text(), [assignment])
    assert error.field == field
    assert "--set" in error.message


@pytest.mark.parametrize(
    "assignment", ["privacy.epsilon", "=1", "privacy..epsilon=1", "privacy.epsilon={a: 1, a: 2}"]
)
def test_what_is_no_assignment_is_refused(assignment):
    assert isinstance(refused(run_text(), [assignment]), ConfigurationError)


def test_later_overrides_win():
    assert parse_config(run_text(), ["run.seed=1", "run.seed=2"]).run.seed == 2


def test_a_schema_may_have_a_file_of_its_own(tmp_path):
    (tmp_path / "schemas").mkdir()
    schema = tmp_path / "schemas" / "visits.yaml"
    schema.write_text("ward: {type: boolean}\n", encoding="utf-8")
    run = tmp_path / "run.yaml"
    text = run_text(schema="schema: schemas/visits.yaml", ward=None, age=None)
    run.write_text(text, encoding="utf-8")
    assert load_config(run).schema.names == ("ward",)
    schema.write_text("\nward: {type: bolean}\n", encoding="utf-8")
    with pytest.raises(ConfigurationError, match=r"visits.yaml:2"):
        load_config(run)
    schema.write_text("- ward\n", encoding="utf-8")
    with pytest.raises(ConfigurationError, match="no mapping of columns"):
        load_config(run)
    schema.unlink()
    with pytest.raises(ConfigurationError, match=r"cannot be read.*run.yaml:9"):
        load_config(run)


def test_a_file_that_is_missing_or_not_utf8_is_refused(tmp_path):
    with pytest.raises(ConfigurationError, match="cannot be read: No such file"):
        load_config(tmp_path / "none.yaml")
    (tmp_path / "latin.yaml").write_bytes(b"input: \xff")
    with pytest.raises(ConfigurationError, match="not UTF-8"):
        load_config(tmp_path / "latin.yaml")


def test_a_scalar_keeps_its_text_its_quotes_and_its_line():
    tree = read_tree("a: 1.50\nb: '1.50'\n", "run.yaml")
    assert tree.entries == {"a": Scalar("1.50", True, "run.yaml:1"), "b": Scalar("1.50", False, "run.yaml:2")}
