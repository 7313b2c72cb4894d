"""Slips of the pen: what is almost right is refused, with the place and what was meant."""

import pytest
from run_texts import line_of, run_text

from spark_dp.errors import ConfigurationError
from spark_dp.pipeline import config_tree
from spark_dp.pipeline.config import load_config, parse_config


def said(text, overrides=()):
    with pytest.raises(ConfigurationError) as caught:
        parse_config(text, overrides, source="run.yaml")
    return caught.value.message


@pytest.mark.parametrize("text", ["", "\n\n", "# a comment\n", "---\n", "null"])
def test_an_empty_document_is_called_empty(text):
    assert "is empty (run.yaml)" in said(text)


@pytest.mark.parametrize(
    ("value", "hint"),
    [
        ("1_000", "Write digits alone: 1000"),
        ("1,000", "Write digits alone: 1000"),
        ("1e3", "Write digits alone: 1000"),
        ("5.0", "Write digits alone: 5"),
        ("'5'", "Take the quotes away: 5"),
        ("0o17", "whole number from 1"),
        ("0x1F", "whole number from 1"),
        (".inf", "whole number from 1"),
        ("\u0663", "whole number from 1"),
        ("0", "whole number from 1"),
    ],
)
def test_a_whole_number_is_written_in_digits(value, hint):
    for message in (
        said(run_text(unit=f"  unit: {{column: person, max_rows: {value!s}}}").replace("1,000", "'1,000'")),
        said(run_text(), [f"privacy.unit.max_rows={value}"]),
    ):
        assert "privacy.unit.max_rows" in message
    assert hint in message


@pytest.mark.parametrize("value", ["1,5", "1_0.5", "0x1", "\u0661", ".inf", "1e99999", "'1'"])
def test_epsilon_is_a_number_as_json_writes_it(value):
    assert "privacy.epsilon" in said(run_text(), [f"privacy.epsilon={value}"])


@pytest.mark.parametrize("value", ["\u0663", "1_00", "0o17", ".inf", "0x1F"])
def test_a_bound_of_a_column_is_a_number_in_ascii_digits(value):
    assert "schema.age.max" in said(run_text(), [f"schema.age.max={value}"])


def test_spaces_around_a_value_are_no_part_of_it():
    config = parse_config(run_text(epsilon="  epsilon:   1.0   "), ["privacy.epsilon= 2 ", "output.rows=5 "])
    assert (config.privacy.budget.epsilon, config.output.rows) == (2.0, 5)


@pytest.mark.parametrize(
    ("lines", "hint"),
    [
        ({"input": "input: {path data/visits}"}, "A colon is missing: write path: data/visits"),
        ({"input": "input:\n  path data/visits"}, "A colon is missing: write path: data/visits"),
        (
            {"input": "input:\n  path:data/visits"},
            "A space is missing after the colon: write path: data/visits",
        ),
        ({"unit": "  unit: {column person}"}, "A colon is missing: write column: person"),
        ({"unit": "  unit: column person"}, "A colon is missing: write column: person"),
        ({"age": "  age: {type integer}"}, "A colon is missing: write type: integer"),
        ({"age": "  age: type integer"}, "A colon is missing: write type: integer"),
        ({"age": "  age: integer"}, "Write its settings, such as {type: integer"),
        ({"epsilon": "  epsilon:1.0"}, "a colon without a space after it"),
        ({"epsilon": "\tepsilon: 1.0"}, "Use spaces instead of tabs"),
        ({"epsilon": "  \u0435psilon: 1.0"}, "U+0435 CYRILLIC SMALL LETTER IE. Did you mean 'epsilon'?"),
        ({"epsilon": "  epsi\u200blon: 1.0"}, r"'epsi\u200blon' has a character that cannot be seen, U+200B"),
        ({"epsilon": "  epsilon\u00a0: 1.0"}, "U+00A0 NO-BREAK SPACE"),
        ({"output": "output: {path: a, rows: atuo}"}, "Did you mean 'auto'?"),
        ({"more": "spark: {sql.shuffle.partitions: 8}"}, "spark.sql.shuffle.partitions"),
        ({"more": "mechanism: {name: mts}"}, "Did you mean 'mst'?"),
        ({"more": "---\na: 1"}, "Write one document"),
        ({"dataset": "  dataset: @visits"}, "Put a text that starts so in quotes"),
    ],
)
def test_a_slip_is_named_with_its_line_and_what_was_meant(lines, hint):
    text = run_text(**lines)
    message = said(text)
    assert hint in message
    assert "(run.yaml:" in message


@pytest.mark.parametrize(
    "line",
    [
        "  epsilon: !!float 1",
        "  epsilon: !money 1",
        "  epsilon: !!python/object:os.system x",
        "  epsilon: !!python/object/apply:os.system [x]",
        "  epsilon: !!str 1",
    ],
)
def test_a_tag_is_refused_and_runs_nothing(line):
    text = run_text(epsilon=line)
    assert "tag" in said(text)
    assert f"run.yaml:{line_of(text, line)}" in said(text)


def test_a_merge_key_is_refused_where_any_key_may_be():
    assert "'<<' merges" in said(run_text(ward="  <<: {type: boolean}"))
    assert parse_config(run_text(ward="  '<<': {type: boolean}")).schema.names == ("<<", "age")


def test_half_of_a_character_is_refused():
    assert "half of a character" in said(run_text(dataset='  dataset: "\\ud800"'))


def test_marks_and_line_ends_of_other_systems_are_read(tmp_path):
    file = tmp_path / "run.yaml"
    file.write_bytes(b"\xef\xbb\xbf" + run_text().replace("\n", "\r\n").encode())
    assert load_config(file) == parse_config(run_text())


def test_a_huge_document_is_refused_before_it_is_parsed(tmp_path, monkeypatch):
    file = tmp_path / "run.yaml"
    file.write_text("#" * (config_tree.LARGEST_BYTES + 10))
    monkeypatch.setattr(config_tree.YAML, "compose", None)
    with pytest.raises(ConfigurationError, match="may have 4,000,000"):
        load_config(file)


@pytest.mark.parametrize("text", ["[" * 5000, "a: " + "{a: " * 3000, "- " * 3000])
def test_deep_nesting_is_refused(text):
    assert "nested deeper than" in said(text)


def test_a_small_document_that_stands_for_a_huge_one_is_refused():
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 9)]
    assert "each alias written out" in said("\n".join(lines))


@pytest.mark.parametrize("name", ["no\0name.yaml", "."])
def test_a_name_of_no_file_is_refused(name):
    with pytest.raises(ConfigurationError, match="cannot be read"):
        load_config(name)


UNFILLED = [
    ({"epsilon": "  epsilon: ???"}, [], "privacy.epsilon", "Write the privacy loss"),
    ({"ledger": "  ledger: '???'"}, [], "privacy.ledger", "sqlite:///ledger.db"),
    (
        {"age": "  age:\n    type: integer\n    min: ???\n    max: 9"},
        [],
        "schema.age.min",
        "Write the least value",
    ),
    ({}, ["schema=???"], "schema", "Write the columns"),
    ({}, ["output.partition_by=['???']"], "output.partition_by", "become folders"),
    ({}, ["input.path=???"], "input.path", "where the table's files are"),
]


@pytest.mark.parametrize(("lines", "overrides", "field", "what"), UNFILLED)
def test_what_is_still_to_be_filled_in_is_named_with_what_to_write(lines, overrides, field, what):
    message = said(run_text(**lines), overrides)
    assert f"Setting '{field}' is still ???: fill it in." in message
    assert what in message


def test_all_that_is_still_to_be_filled_in_is_listed_with_its_line():
    text = run_text(epsilon="  epsilon: ???", delta="  delta: ???")
    message = said(text)
    assert f"privacy.delta (run.yaml:{line_of(text, 'delta')})" in message
    assert f"(run.yaml:{line_of(text, 'epsilon')})" in message


def test_what_is_to_be_filled_in_between_braces_has_its_line():
    text = run_text(unit="  unit: {column: ???, max_rows: ???}")
    assert f"still ???: fill it in (run.yaml:{line_of(text, '???')})" in said(text)


def test_a_key_that_is_to_be_filled_in_is_refused():
    assert "A key is still ???" in said(run_text(ward="  ???: {type: boolean}"))


def test_an_error_in_a_schema_of_its_own_names_that_file_and_line(tmp_path):
    (tmp_path / "s.yaml").write_text("ward: {type: boolean}\nage:\n  type: integer\n  min: ???\n  max: 9\n")
    (tmp_path / "run.yaml").write_text(run_text(schema="schema: s.yaml", ward=None, age=None))
    with pytest.raises(ConfigurationError, match=r"schema.age.min' is still \?\?\?.*s.yaml:4\)"):
        load_config(tmp_path / "run.yaml")
    (tmp_path / "s.yaml").write_text("ward: {type: boolean}\nage: {type: integer, min: 0, mxa: 9}\n")
    with pytest.raises(ConfigurationError, match=r"Did you mean 'max'\? .*\(.*s.yaml:2\)"):
        load_config(tmp_path / "run.yaml")
    (tmp_path / "s.yaml").write_text("")
    with pytest.raises(ConfigurationError, match=r"s.yaml', which is no mapping of columns.*run.yaml"):
        load_config(tmp_path / "run.yaml")


def test_a_missing_setting_has_the_line_of_its_section():
    text = run_text(dataset=None)
    assert f"(run.yaml:{line_of(text, 'privacy:')})" in said(text)


def test_an_override_finds_names_with_dots():
    text = run_text(ward="  ward.name: {type: string, values: [A], other: B}")
    config = parse_config(
        text,
        [
            "schema.ward.name.values=[C]",
            "spark.spark.sql.shuffle.partitions=4",
            "spark.spark.sql.shuffle=x",
            "input.options.a.b=3",
        ],
    )
    assert config.schema.column("ward.name").values == ("C",)
    assert config.spark == {"spark.sql.shuffle.partitions": "4", "spark.sql.shuffle": "x"}
    assert config.input.options == {"a.b": "3"}


def test_what_is_expected_of_the_input_is_in_no_identity():
    one, other = parse_config(run_text()), parse_config(run_text(), ["input.expected_rows=1000"])
    assert other.input.expected_rows == 1000
    assert one.measure_settings() == other.measure_settings()
    assert one.generate_settings() == other.generate_settings()
