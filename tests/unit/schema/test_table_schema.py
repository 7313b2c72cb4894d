"""The domain and the schema of a whole table."""

import json
import pickle

import pyarrow as pa
import pytest

from spark_dp.errors import ConfigurationError
from spark_dp.schema.domain import Domain
from spark_dp.schema.table import TableSchema

DOMAIN = Domain(("a", "b", "c"), (2, 3, 4))
SETTINGS = {
    "cancelled": {"type": "boolean"},
    "month": {"type": "integer", "min": 1, "max": 12, "nullable": True},
}


def test_a_domain_knows_its_sizes_and_shapes():
    assert DOMAIN.size("b") == 3
    assert DOMAIN.shape(("c", "a")) == (4, 2)
    assert DOMAIN.cells(("c", "a")) == 8
    assert DOMAIN.cells(()) == 1
    assert DOMAIN.canonical(("c", "a", "c")) == ("a", "c")
    assert DOMAIN.project(("c", "a")) == Domain(("c", "a"), (4, 2))
    assert list(DOMAIN) == ["a", "b", "c"]
    assert len(DOMAIN) == 3
    assert "a" in DOMAIN
    assert "z" not in DOMAIN


def test_cells_are_counted_beyond_64_bits():
    names = tuple(f"a{i}" for i in range(30))
    assert Domain(names, (1000,) * 30).cells(names) == 10**90


def test_a_domain_survives_json_and_pickle():
    assert Domain.from_json(json.loads(json.dumps(DOMAIN.to_json()))) == DOMAIN
    assert pickle.loads(pickle.dumps(DOMAIN)) == DOMAIN  # noqa: S301
    assert hash(Domain(("a",), (2,))) == hash(Domain(("a",), (2,)))


@pytest.mark.parametrize(
    ("names", "sizes"),
    [(("a", "a"), (1, 2)), (("a",), (0,)), (("a",), (True,)), (("a",), (2.0,)), (("a", "b"), (1,))],
)
def test_a_domain_refuses_what_is_no_domain(names, sizes):
    with pytest.raises(ConfigurationError):
        Domain(names, sizes)


def test_an_unknown_attribute_is_named_with_the_nearest_one():
    with pytest.raises(ConfigurationError, match="Did you mean 'month'"):
        TableSchema.from_settings(SETTINGS).domain.size("mnth")
    with pytest.raises(ConfigurationError, match="Did you mean 'month'"):
        TableSchema.from_settings(SETTINGS).column("mnth")


def test_a_schema_gives_its_domain_and_its_arrow_schema():
    schema = TableSchema.from_settings(SETTINGS)
    assert schema.domain == Domain(("cancelled", "month"), (2, 13))
    assert schema.arrow_schema == pa.schema([("cancelled", pa.bool_()), ("month", pa.int32())])
    assert schema.column("month").nullable


def test_a_schema_survives_json_and_pickle_and_keeps_the_order_of_columns():
    schema = TableSchema.from_settings(SETTINGS)
    assert TableSchema.from_json(json.loads(json.dumps(schema.to_json()))) == schema
    assert pickle.loads(pickle.dumps(schema)) == schema  # noqa: S301
    assert TableSchema.from_settings(dict(reversed(SETTINGS.items()))) != schema


def test_a_schema_of_another_format_is_refused():
    document = TableSchema.from_settings(SETTINGS).to_json() | {"format": 3}
    with pytest.raises(ConfigurationError, match="format 3"):
        TableSchema.from_json(document)


@pytest.mark.parametrize(
    ("settings", "field"),
    [
        ({}, "schema"),
        ({"a": {"type": "boolean"}, "A": {"type": "boolean"}}, "schema.A"),
        ({"a": "boolean"}, "schema.a"),
        ({"": {"type": "boolean"}}, "schema"),
    ],
)
def test_a_schema_refuses_what_is_no_schema(settings, field):
    with pytest.raises(ConfigurationError) as caught:
        TableSchema.from_settings(settings)
    assert caught.value.field == field
