"""Constraints as tables of forbidden cells, and as a part of a schema that is kept."""

from __future__ import annotations

import numpy as np
import pytest

from spark_dp.errors import ConfigurationError
from spark_dp.schema.constraints import FREE, Determined, Forbidden
from spark_dp.schema.table import TableSchema

COLUMNS = {
    "age": {"type": "integer", "min": 0, "max": 29, "bins": 3},
    "ward": {"type": "string", "values": ["A", "B"], "other": "Z"},
    "urgent": {"type": "boolean"},
}
YOUNG = Forbidden(cells=(("ward", (0, 2)), ("age", (0,))))
BY_AGE = Determined(source="age", target="urgent", codes=(0, FREE, 1))


def schema(*constraints) -> TableSchema:
    return TableSchema(columns=TableSchema.from_settings(COLUMNS).columns, constraints=constraints)


def test_forbidden_cells_are_the_product_of_the_choices():
    table = YOUNG.forbidden(schema().domain)
    assert np.argwhere(table).tolist() == [[0, 0], [2, 0]]


def test_a_determined_column_has_one_cell_for_each_of_its_source_but_where_it_is_free():
    table = BY_AGE.forbidden(schema().domain)
    assert (~table).tolist() == [[True, False], [True, True], [False, True]]


def test_a_schema_with_constraints_reads_back_equal_and_without_them_is_as_it_was():
    constrained = schema(YOUNG, BY_AGE)
    assert TableSchema.from_json(constrained.to_json()) == constrained
    assert constrained.to_json()["format"] == 2  # which a release that knows no constraints refuses
    assert schema().to_json() == {"format": 1, "columns": [column.to_json() for column in schema().columns]}


def test_notes_say_what_holds():
    assert schema(YOUNG, BY_AGE).constraint_notes() == [
        "Constraint: no row of the output has ward A, Z and age [0, 10) together.",
        "Constraint: age determines urgent in every row of the output, but where age is [10, 20).",
    ]
    both = Forbidden(cells=(("age", (0, 1)), ("urgent", (1,))))
    assert "age [0, 20) and urgent true" in schema(both).constraint_notes()[0]


@pytest.mark.parametrize(
    "bad",
    [
        Forbidden(cells=(("age", (0,)), ("wart", (0,)))),
        Forbidden(cells=(("age", (3,)), ("ward", (0,)))),
        Determined(source="age", target="urgent", codes=(0, 1)),
        Determined(source="age", target="urgent", codes=(0, 1, 2)),
    ],
    ids=str,
)
def test_a_constraint_of_other_columns_or_codes_is_refused(bad):
    with pytest.raises(ConfigurationError):
        schema(bad)


def test_a_combination_needs_two_columns_and_increasing_codes():
    for cells in ((("age", (0,)),), (("age", (0,)), ("age", (1,))), (("age", ()), ("ward", (0,)))):
        with pytest.raises(ConfigurationError):
            Forbidden(cells=cells)
    with pytest.raises(ConfigurationError, match="itself"):
        Determined(source="age", target="age", codes=(0, 1, 2))
