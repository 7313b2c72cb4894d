"""The configuration of a run: a YAML file, read strictly.

Scalars are read by YAML 1.2 and by the field that they are for: `1e-9` is a number, `NO` is a text, and
2013-01-01 is what the column says. A key that is unknown or there twice is an error, which names the field,
file and line.

Relative local paths are relative to the current directory; only a schema kept in a file of its own is found
relative to the file that names it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

from spark_dp.errors import ConfigurationError, nearest
from spark_dp.pipeline.config_reader import Section, read_names, read_weight
from spark_dp.pipeline.config_sections import (
    Bounding,
    ColumnUnit,
    EvaluateConfig,
    InputConfig,
    MechanismConfig,
    OutputConfig,
    PrivacyConfig,
    RowUnit,
    RunDirConfig,
    UnitNulls,
    WorkloadConfig,
)
from spark_dp.pipeline.config_tree import (
    Entries,
    Items,
    Scalar,
    Tree,
    override,
    place_of,
    plain_value,
    read_tree,
    refuse,
)
from spark_dp.pipeline.placeholders import require_filled
from spark_dp.privacy.budget import LARGEST_DELTA, PrivacyBudget
from spark_dp.privacy.sensitivity import Neighbours
from spark_dp.schema.columns import Column
from spark_dp.schema.domain import Clique
from spark_dp.schema.table import TableSchema
from spark_dp.spark.write import OutputMode

_CHANGES_RESULTS = re.compile(
    r"spark\.sql\.(caseSensitive|ansi\..*|legacy\..*|files\.ignore.*|session\.timeZone|"
    r"parquet\.(binaryAsString|int96.*|.*[rR]ebase.*)|sources\.partitionColumnTypeInference\..*)"
)
_SECTIONS = ("input", "output", "privacy", "schema", "mechanism", "run", "evaluate", "spark")


@dataclass(frozen=True, slots=True, kw_only=True)
class RunConfig:
    """All settings of one run.

    Args:
        input, output, privacy, mechanism, run, evaluate: see `config_sections`.
        schema: the columns that are synthesised; all others are left out.
        spark: settings of Spark, for speed only.

    Raises:
        ConfigurationError: a section names a column that the schema has not.
    """

    input: InputConfig
    output: OutputConfig
    privacy: PrivacyConfig
    schema: TableSchema
    mechanism: MechanismConfig = field(default_factory=MechanismConfig)
    run: RunDirConfig
    evaluate: EvaluateConfig = field(default_factory=EvaluateConfig)
    spark: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._require_apart()
        for key in self.spark:
            if _CHANGES_RESULTS.fullmatch(key):
                refuse(
                    "spark", f"sets {key}, which changes what is read and not only the speed. Leave it out."
                )
        self._require_columns("output.partition_by", self.output.partition_by)
        if len(self.output.partition_by) == len(self.schema.columns):
            refuse("output.partition_by", "names every column, and a file needs one. Leave one out.")
        self._require_columns("mechanism.targets", self.mechanism.targets)
        for clique, _ in self.mechanism.workload.cliques:
            self._require_columns("mechanism.workload", clique)

    def measure_settings(self) -> dict[str, Any]:
        """Returns all that defines what is measured, JSON-able and canonical.

        Guarantees: neither the ledger's URL nor the run's directory and key, nor anything that acts after the
        measurement or on speed only, is in it.
        """
        return {
            "input": self.input.identity(),
            "unit": self.privacy.unit.identity(),
            "neighbours": self.privacy.neighbours.value,
            "schema": self.schema.to_json(),
            "epsilon": float(self.privacy.budget.epsilon),
            "delta": float(self.privacy.budget.delta),
            "mechanism": self.mechanism.identity(),
        }

    def generate_settings(self) -> dict[str, Any]:
        """Returns all that defines, with the model, which rows are written, JSON-able and canonical."""
        return {
            "rows": "auto" if self.output.rows is None else self.output.rows,
            "seed": self.run.seed,
            "schema": self.schema.to_json(),
            "partition_by": list(self.output.partition_by),
        }

    def _require_apart(self) -> None:
        """Refuses an output that would replace, or lie among, the table or the run's own record."""
        places = {"input.path": self.input.path, "run.directory": self.run.directory}
        for name, place in places.items():
            if place is None:
                continue
            output, other = _place(self.output.path), _place(place)
            if output == other or output.startswith(f"{other}/") or other.startswith(f"{output}/"):
                refuse(
                    "output.path",
                    f"is {self.output.path!r}, and {name} is {place!r}. Neither may be in the other.",
                )

    def _require_columns(self, name: str, columns: Iterable[str]) -> None:
        known = self.schema.names
        for column in columns:
            if column not in known:
                refuse(
                    name,
                    f"has {column!r}, which the schema has not. Choose from: {', '.join(known)}."
                    + nearest(column, known),
                )


def _place(path: str) -> str:
    """Returns a path in one form: `file:/a`, `file:///a` and `a` in the folder `/` are one place, as are s3 and s3a."""
    scheme, colon, rest = path.partition(":")
    if not colon or "/" in scheme:
        return os.path.abspath(path)  # noqa: PTH100  `..` is taken away without a look at the disk
    if scheme == "file":
        return os.path.abspath("/" + rest.lstrip("/"))  # noqa: PTH100
    return f"{'s3' if scheme in ('s3a', 's3n') else scheme}:{rest.partition('?')[0].rstrip('/')}"


def load_config(path: str | Path, overrides: Sequence[str] = ()) -> RunConfig:
    """Reads the configuration of a run from a local YAML file.

    Args:
        path: the file.
        overrides: assignments such as `privacy.epsilon=1`, in order, read by the rules of the file.

    Raises:
        ConfigurationError: with the field, the file and line, the value and the choices.
    """
    path = Path(path)
    return parse_config(_read_file(path, None), overrides, source=str(path), folder=path.parent)


def parse_config(
    text: str, overrides: Sequence[str] = (), *, source: str = "configuration", folder: Path | None = None
) -> RunConfig:
    """Reads the configuration of a run from the text of a YAML document.

    Args:
        text: the document.
        overrides: see `load_config`.
        source: names the document in messages.
        folder: where a schema in a file of its own is found; the current directory where None.
    """
    tree = read_tree(text, source)
    for assignment in overrides:
        tree = override(tree, assignment)
    try:
        tree = _with_schema_file(tree, folder or Path())
        require_filled(tree)
        return _read_run(tree)
    except ConfigurationError as error:
        if error.field is None:
            raise
        place = place_of(tree, error.field)
        raise type(error)(f"{error.message} ({place})", field=error.field) from None


def _read_file(path: Path, name: str | None) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        what = f"Setting '{name}' names '{path}', which" if name else f"Configuration '{path}'"
        raise ConfigurationError(f"{what} cannot be read: {reason}.", field=name) from None


def _with_schema_file(tree: Tree, folder: Path) -> Tree:
    named = tree.entries.get("schema") if isinstance(tree, Entries) else None
    if not isinstance(tree, Entries) or not isinstance(named, Scalar) or named.is_null:
        return tree
    path = folder / named.text
    schema = read_tree(_read_file(path, "schema"), str(path))
    if not isinstance(schema, Entries):
        refuse("schema", f"names '{path}', which is no mapping of columns.")
    return replace(tree, entries={**tree.entries, "schema": schema})


def _read_run(tree: Tree) -> RunConfig:
    root = Section(tree, "", _SECTIONS)
    return RunConfig(
        input=_read_input(root),
        output=_read_output(root),
        privacy=_read_privacy(root),
        schema=(schema := _read_schema(root)),
        mechanism=_read_mechanism(root, schema),
        run=_read_run_directory(root),
        evaluate=EvaluateConfig(
            against_input=root.section("evaluate", ("against_input",)).flag("against_input", False)
        ),
        spark=root.texts("spark"),
    )


def _read_input(root: Section) -> InputConfig:
    section = root.section("input", ("path", "table", "format", "options", "filter"))
    return InputConfig(
        path=section.text("path"),
        table=section.text("table"),
        format=section.text("format") or "parquet",
        options=section.texts("options"),
        filter=section.text("filter"),
    )


def _read_output(root: Section) -> OutputConfig:
    section = root.section("output", ("path", "rows", "partition_by", "mode"))
    rows = section.tree("rows")
    is_auto = isinstance(rows, Scalar) and rows.text == "auto"
    return OutputConfig(
        path=section.required_text("path", "where the synthetic table goes"),
        rows=None if is_auto else section.integer("rows", least=0),
        partition_by=section.names("partition_by"),
        mode=section.choice("mode", OutputMode, OutputMode.ERROR),
    )


def _read_privacy(root: Section) -> PrivacyConfig:
    keys = ("epsilon", "delta", "unit", "neighbours", "ledger", "dataset", "confirm_large_delta")
    section = root.section("privacy", keys)
    confirmed = section.flag("confirm_large_delta", False)
    epsilon = section.required_number("epsilon", "the privacy loss of this run, such as 1")
    delta = section.required_number("delta", "a probability below a tenth of one over the number of units")
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
        ledger=section.secret("ledger", "a SQLAlchemy URL such as sqlite:///ledger.db, or env:NAME"),
        dataset=section.required_text("dataset", "the name of the account that is charged"),
        confirm_large_delta=confirmed,
    )


def _read_unit(privacy: Section) -> RowUnit | ColumnUnit:
    found = privacy.required("unit", "unit: row, or unit: {column: NAME, max_rows: K}")
    if isinstance(found, Scalar):
        if found.text != "row":
            refuse("privacy.unit", f"is {found.text!r}. Write row, or {{column: {found.text}, max_rows: K}}.")
        return RowUnit()
    unit = privacy.section("unit", ("column", "columns", "max_rows", "nulls", "bounding"))
    if unit.tree("column") is not None and unit.tree("columns") is not None:
        refuse("privacy.unit.columns", "is given together with privacy.unit.column. Keep one of the two.")
    columns = unit.names("column") or unit.names("columns")
    unit.required("max_rows", "how many rows of one unit may count, a whole number from 1")
    return ColumnUnit(
        columns=columns,
        max_rows=unit.integer("max_rows", least=1) or 0,
        nulls=unit.choice("nulls", UnitNulls, UnitNulls.DROP),
        bounding=unit.choice("bounding", Bounding, Bounding.WEIGHT),
    )


def _read_schema(root: Section) -> TableSchema:
    found = root.required("schema", "the columns, or the path of a file that has them")
    if not isinstance(found, Entries):
        refuse("schema", "is a list. Write a mapping of columns, or the path of a file that has them.")
    columns = [Column.from_settings(name, plain_value(settings)) for name, settings in found.entries.items()]
    return TableSchema(columns=tuple(columns))


def _read_mechanism(root: Section, schema: TableSchema) -> MechanismConfig:
    section = root.section("mechanism", ("name", "workload", "targets", "max_model_mb"))
    usual = MechanismConfig()
    megabytes = section.number("max_model_mb")
    return MechanismConfig(
        name=section.text("name") or usual.name,
        workload=_read_workload(section, schema) or usual.workload,
        targets=section.names("targets"),
        max_model_mb=usual.max_model_mb if megabytes is None else megabytes,
    )


def _read_workload(mechanism: Section, schema: TableSchema) -> WorkloadConfig | None:
    found = mechanism.tree("workload")
    if isinstance(found, Entries):
        section = mechanism.section("workload", ("degree", "cliques"))
        degree, cliques = section.integer("degree", least=1), section.tree("cliques")
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
        section = Section(tree, "mechanism.workload", ("columns", "weight"))
        if (weighs := section.tree("weight")) is not None:
            weight = read_weight(weighs, "mechanism.workload")
        tree = section.required("columns", "the columns of the clique")
    order = {name: place for place, name in enumerate(schema.names)}
    columns = read_names(tree, "mechanism.workload")
    return tuple(sorted(columns, key=lambda name: order.get(name, len(order)))), weight


def _read_run_directory(root: Section) -> RunDirConfig:
    section = root.section("run", ("directory", "key", "seed"))
    return RunDirConfig(
        directory=section.required_text("directory", "where the run keeps its artefacts"),
        key=section.required_text("key", "a name for this run, such as 2013-W01"),
        seed=section.integer("seed", least=0) or 0,
    )
