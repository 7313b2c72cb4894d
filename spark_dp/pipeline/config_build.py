"""The sections of a configuration, read from its tree one by one."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Final

from spark_dp.errors import nearest
from spark_dp.mechanisms.automatic import AUTO
from spark_dp.mechanisms.catalog import mechanism_named
from spark_dp.pipeline.config_constraints import CONSTRAINTS, ConstraintReader
from spark_dp.pipeline.config_fields import (
    CLIQUE,
    EVALUATE,
    INPUT,
    MECHANISM,
    OUTPUT,
    PRIVACY,
    RUN,
    UNIT,
    WORKLOAD,
)
from spark_dp.pipeline.config_reader import Section, read_names, read_weight
from spark_dp.pipeline.config_sections import (
    Bounding,
    ColumnUnit,
    EvaluateConfig,
    InputConfig,
    LearnedBound,
    MechanismConfig,
    OutputConfig,
    PrivacyConfig,
    RowUnit,
    RunDirConfig,
    UnitNulls,
    WorkloadConfig,
)
from spark_dp.pipeline.config_tree import Entries, Items, Scalar, Tree, plain_value, refuse
from spark_dp.privacy.budget import LARGEST_DELTA, PrivacyBudget
from spark_dp.privacy.sensitivity import Neighbours
from spark_dp.schema.columns import Column
from spark_dp.schema.domain import Clique
from spark_dp.schema.private import PrivateColumn, read_column
from spark_dp.schema.spelling import missing_colon
from spark_dp.schema.table import TableSchema
from spark_dp.spark.write import OutputMode

MOST_LEARNED_ROWS: Final = 100_000
"""What a learned bound may be at most: each number of rows is a cell."""


def read_input(root: Section) -> InputConfig:
    section = root.section("input", INPUT)
    return InputConfig(
        path=section.text("path"),
        table=section.text("table"),
        format=section.text("format") or "parquet",
        options=section.texts("options"),
        filter=section.text("filter"),
        expected_rows=section.integer("expected_rows"),
    )


def read_output(root: Section) -> OutputConfig:
    section = root.section("output", OUTPUT)
    rows = section.tree("rows")
    is_auto = isinstance(rows, Scalar) and rows.text == "auto"
    if isinstance(rows, Scalar) and rows.text[:1].isalpha() and not is_auto:
        refuse(
            "output.rows", f"is {rows.text!r}. Write {OUTPUT['rows'].what}.{nearest(rows.text, ('auto',))}"
        )
    return OutputConfig(
        path=section.required_text("path"),
        rows=None if is_auto else section.integer("rows", least=0),
        partition_by=section.names("partition_by"),
        mode=section.choice("mode", OutputMode, OutputMode.ERROR),
    )


def read_privacy(root: Section) -> PrivacyConfig:
    section = root.section("privacy", PRIVACY)
    confirmed = section.flag("confirm_large_delta", False)
    epsilon = section.required_number("epsilon")
    delta = section.required_number("delta")
    if LARGEST_DELTA < delta < 1 and not confirmed:
        refuse(
            "privacy.delta",
            f"is {delta}, above {LARGEST_DELTA}. Nothing was spent. Write one below a tenth of one over the "
            "number of units, or confirm it with privacy.confirm_large_delta: true.",
        )
    return PrivacyConfig(
        budget=PrivacyBudget(epsilon=epsilon, delta=delta, allow_large_delta=confirmed),
        unit=_read_unit(section),
        neighbours=section.choice("neighbours", Neighbours, Neighbours.ADD_REMOVE),
        ledger=section.required_text("ledger"),
        dataset=section.required_text("dataset"),
        confirm_large_delta=confirmed,
    )


def _read_unit(privacy: Section) -> RowUnit | ColumnUnit:
    found = privacy.required("unit")
    if isinstance(found, Scalar):
        if found.text != "row":
            hint = missing_colon(found.text, UNIT) or f" Write row, or {{column: {found.text}, max_rows: K}}."
            refuse("privacy.unit", f"is {found.text!r}.{hint}")
        return RowUnit()
    unit = privacy.section("unit", UNIT)
    if unit.tree("column") is not None and unit.tree("columns") is not None:
        refuse("privacy.unit.columns", "is given together with privacy.unit.column. Keep one of the two.")
    columns = unit.names("column") or unit.names("columns")
    max_rows, learned = _read_bound(unit)
    return ColumnUnit(
        columns=columns,
        max_rows=max_rows,
        learned=learned,
        nulls=unit.choice("nulls", UnitNulls, UnitNulls.DROP),
        bounding=unit.choice("bounding", Bounding, Bounding.WEIGHT),
    )


def _read_bound(unit: Section) -> tuple[int, LearnedBound | None]:
    """Reads k, or how it is learned and what it may be at most."""
    found = unit.required("max_rows")
    if not isinstance(found, Scalar) or found.text != "auto":
        for name in ("at_most", "quantile", "share"):
            if unit.tree(name) is not None:
                refuse(unit.name(name), "is only for max_rows: auto. Leave it out, or write max_rows: auto.")
        return unit.integer("max_rows") or 0, None
    at_most, share = unit.integer("at_most"), unit.tree("share")
    for name, value in (("at_most", at_most), ("share", share)):
        if value is None:
            refuse(unit.name(name), f"is missing, and max_rows is auto. Write {UNIT[name].what}.")
    if (at_most or 0) > MOST_LEARNED_ROWS:
        refuse(unit.name("at_most"), f"is {at_most}. Write a whole number from 2 to {MOST_LEARNED_ROWS:,}.")
    quantile = unit.tree("quantile")
    return at_most or 0, LearnedBound(
        quantile=Fraction(9, 10) if quantile is None else read_weight(quantile, unit.name("quantile")),
        share=read_weight(share, unit.name("share")) if share is not None else Fraction(0),
    )


def read_private(root: Section) -> tuple[PrivateColumn, ...]:
    """Reads what the schema leaves to private steps, in the schema's order."""
    return tuple(private for _, private in _read_columns(root) if private is not None)


def read_schema(root: Section, folder: Path) -> TableSchema:
    """Reads the columns, private ones with the largest domain that may come of them, and the constraints on the others.

    Args:
        root: the whole configuration.
        folder: where files are found that a constraint names.
    """
    columns = _read_columns(root)
    schema = TableSchema(columns=tuple(column for column, _ in columns))
    private = [found for _, found in columns if found is not None]
    found = root.tree(CONSTRAINTS)
    constraints = ConstraintReader(schema, private, folder, _protected(root)).read(found)
    return replace(schema, constraints=constraints)


def _protected(root: Section) -> str | None:
    """Returns the place of the table that is protected: one for all spellings, links and patterns."""
    from spark_dp.privacy.bindings import place_of_path, place_of_table

    where = root.section("input", INPUT)
    path, table = where.text("path"), where.text("table")
    if path is not None:
        return place_of_path(path)
    return None if table is None else place_of_table(table)


def _read_columns(root: Section) -> list[tuple[Column, PrivateColumn | None]]:
    found = root.required("schema")
    if not isinstance(found, Entries):
        refuse("schema", "is a list. Write a mapping of columns, or the path of a file that has them.")
    return [read_column(name, plain_value(settings)) for name, settings in found.entries.items()]


def read_mechanism(root: Section, schema: TableSchema) -> MechanismConfig:
    section = root.section("mechanism", MECHANISM)
    usual = MechanismConfig()
    megabytes = section.number("max_model_mb")
    return MechanismConfig(
        name=_mechanism_name(section.text("name") or usual.name),
        workload=_read_workload(section, schema) or usual.workload,
        targets=section.names("targets"),
        max_model_mb=usual.max_model_mb if megabytes is None else megabytes,
    )


def _mechanism_name(name: str) -> str:
    return AUTO if name == AUTO else mechanism_named(name).name


def _read_workload(mechanism: Section, schema: TableSchema) -> WorkloadConfig | None:
    found = mechanism.tree("workload")
    if isinstance(found, Entries):
        section = mechanism.section("workload", WORKLOAD)
        degree, cliques = section.integer("degree"), section.tree("cliques")
        if degree is not None and cliques is not None:
            refuse("mechanism.workload.cliques", "is given together with a degree. Keep one of the two.")
        if cliques is None:
            return WorkloadConfig(degree=degree)
        found = cliques
    if found is None:
        return None
    if not isinstance(found, Items):
        refuse("mechanism.workload", "is no list. Write {degree: 3}, or a list of cliques such as [[a, b]].")
    return WorkloadConfig(cliques=tuple(_read_clique(item, schema) for item in found.items))


def _read_clique(tree: Tree, schema: TableSchema) -> tuple[Clique, Fraction]:
    """Reads `[a, b]`, or `{columns: [a, b], weight: 2}`; the columns in the schema's order."""
    weight = Fraction(1)
    if isinstance(tree, Entries):
        section = Section(tree, "mechanism.workload", CLIQUE)
        if (weighs := section.tree("weight")) is not None:
            weight = read_weight(weighs, "mechanism.workload")
        tree = section.required("columns")
    order = {name: place for place, name in enumerate(schema.names)}
    columns = read_names(tree, "mechanism.workload")
    return tuple(sorted(columns, key=lambda name: order.get(name, len(order)))), weight


def read_run_directory(root: Section) -> RunDirConfig:
    section = root.section("run", RUN)
    return RunDirConfig(
        directory=section.required_text("directory"),
        key=section.required_text("key"),
        seed=section.integer("seed") or 0,
    )


def read_evaluate(root: Section) -> EvaluateConfig:
    section = root.section("evaluate", EVALUATE)
    return EvaluateConfig(against_input=section.flag("against_input", False))
