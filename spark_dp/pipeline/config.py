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
from pathlib import Path
from typing import Any, TypeVar

from spark_dp.errors import ConfigurationError, nearest
from spark_dp.mechanisms.automatic import AUTO
from spark_dp.pipeline.config_build import (
    read_evaluate,
    read_input,
    read_mechanism,
    read_output,
    read_privacy,
    read_private,
    read_run_directory,
    read_schema,
)
from spark_dp.pipeline.config_fields import FREE, ROOT
from spark_dp.pipeline.config_reader import Section
from spark_dp.pipeline.config_sections import (
    EvaluateConfig,
    InputConfig,
    MechanismConfig,
    OutputConfig,
    PrivacyConfig,
    RunDirConfig,
)
from spark_dp.pipeline.config_shares import require_shares, with_thresholds
from spark_dp.pipeline.config_tree import (
    LARGEST_BYTES,
    Entries,
    Items,
    Scalar,
    Tree,
    override,
    place_of,
    read_tree,
    refuse,
)
from spark_dp.pipeline.config_unfilled import require_filled
from spark_dp.schema.private import PrivateColumn
from spark_dp.schema.table import TableSchema

_CHANGES_RESULTS = re.compile(
    r"spark\..*\.ignore(Corrupt|Missing)Files|spark\..*rebaseMode.*|spark\..*\.mergeSchema|"
    r"spark\.hadoop\.(mapred|mapreduce)\..*(pathFilter|dir\.recursive).*|"
    r"spark\.sql\.(ansi|legacy|parser|variable|charVarchar)\..*|"
    r"spark\.sql\.(caseSensitive|timestampType|storeAssignmentPolicy|mapKeyDedupPolicy|readSideCharPadding|charAsVarchar|"
    r"preserveCharVarcharTypeInfo|decimalOperations\..*|files\.ignore.*|session\.(timeZone|collation\..*)|"
    r"parquet\.(binaryAsString|int96.*|inferTimestampNTZ\..*|fieldId\..*|respectSummaryFiles)|"
    r"(parquet|orc|avro)\.(filterPushdown|aggregatePushdown).*|inMemoryColumnarStorage\.partitionPruning|"
    r"hive\.(caseSensitiveInferenceMode|verifyPartitionPath|metastorePartitionPruning.*|convert(Metastore|Inserting).*)|"
    r"sources\.(partitionColumnTypeInference\..*|validatePartitionColumns|partitionOverwriteMode))",
    re.IGNORECASE,
)
"""Settings that are known to decide how a file or a condition is read, or what is written, and not only how fast."""
Failure = TypeVar("Failure", bound=ConfigurationError)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunConfig:
    """All settings of one run.

    Args:
        input, output, privacy, mechanism, run, evaluate: see `config_sections`.
        schema: the columns that are synthesised, with the constraints on them; all others are left out. What is private of
            the columns has the largest domain that may come of it, until it is answered.
        private: what the schema leaves to private steps.
        spark: settings of Spark, for speed only.
        tree: that it was read from, for the places of its settings; None where it was not read.

    Raises:
        ConfigurationError: a section names a column that the schema has not.
    """

    input: InputConfig
    output: OutputConfig
    privacy: PrivacyConfig
    schema: TableSchema
    private: tuple[PrivateColumn, ...] = ()
    mechanism: MechanismConfig = field(default_factory=MechanismConfig)
    run: RunDirConfig
    evaluate: EvaluateConfig = field(default_factory=EvaluateConfig)
    spark: Mapping[str, str] = field(default_factory=dict)
    tree: Tree | None = field(default=None, repr=False, compare=False)

    def __post_init__(self) -> None:
        self._require_apart()
        require_shares(self.privacy, self.private)
        for key in self.spark:
            if not key.startswith("spark."):
                refuse(
                    f"spark.{key}",
                    f"would do nothing: the name of a setting of Spark starts with spark., as in spark.{key}. Write it so "
                    f"in the section spark, or as --set spark.spark.{key}=VALUE.",
                )
            if _CHANGES_RESULTS.fullmatch(key):
                refuse(
                    f"spark.{key}",
                    f"sets {key}, which changes what is read and not only the speed. Leave it out.",
                )
        self._require_columns("output.partition_by", self.output.partition_by)
        if len(self.output.partition_by) == len(self.schema.columns):
            refuse("output.partition_by", "names every column, and a file needs one. Leave one out.")
        self._require_columns("mechanism.targets", self.mechanism.targets)
        for clique, _ in self.mechanism.workload.cliques:
            self._require_columns("mechanism.workload", clique)

    def placed(self, error: Failure) -> Failure:
        """Returns the error with the file and line of its setting, where it has one and does not say so yet."""
        return error if self.tree is None else _placed(error, self.tree)

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
            **({"private": [column.to_json() for column in self.private]} if self.private else {}),
            "epsilon": float(self.privacy.budget.epsilon),
            "delta": float(self.privacy.budget.delta),
            "mechanism": self.mechanism.identity() | self._advised_by(),
        }

    def _advised_by(self) -> dict[str, Any]:
        """The size that mechanism auto goes by, which then decides what is measured."""
        if self.mechanism.name != AUTO:
            return {}
        return {"expected_rows": self.input.expected_rows}

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
                    f"is {self.output.path!r}, and {name} is {place!r}. Neither may be in the other. Choose another path.",
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
    tree: Tree | None = None
    try:
        tree = read_tree(text, source)
        for assignment in overrides:
            tree = override(tree, assignment, FREE)
        if isinstance(tree, Scalar) and tree.is_null:
            raise ConfigurationError(
                f"The configuration is empty ({source}). Write its sections: "
                f"{', '.join(name for name, setting in ROOT.items() if setting.required)}."
            )
        require_filled(tree)
        folder = folder or Path()
        tree, _ = _with_file(tree, "schema", Entries, folder)
        tree, found_from = _with_file(tree, "constraints", Items, folder)
        require_filled(tree)
        return _read_run(tree, found_from)
    except ConfigurationError as error:
        raise _placed(error, tree) from None


def _placed(error: Failure, tree: Tree | None) -> Failure:
    """Adds to a refusal what holds for all that are made here, and where the setting stands."""
    message = (
        error.message if "Nothing was" in error.message else f"{error.message} Nothing was read or spent."
    )
    if error.field is None or tree is None:
        return type(error)(message, field=error.field)
    place = f" ({place_of(tree, error.field)})"
    return type(error)(message if place in message else message + place, field=error.field)


def _read_file(path: Path, name: str | None) -> str:
    """Reads a text of at most LARGEST_BYTES characters; a byte order mark is no part of it."""
    what = f"Setting '{name}' names '{path}', which" if name else f"Configuration '{path}'"
    try:
        with path.open(encoding="utf-8-sig") as file:
            return file.read(LARGEST_BYTES + 1)
    except (OSError, UnicodeDecodeError, ValueError) as error:
        reason = "it is not UTF-8" if isinstance(error, UnicodeDecodeError) else "it is no file name"
        if isinstance(error, OSError):
            reason = error.strerror or type(error).__name__
        advice = (
            "Save it as UTF-8" if reason.endswith("UTF-8") else "Give the path of a YAML file that is there"
        )
        raise ConfigurationError(
            f"{what} cannot be read: {reason}. Nothing was read or spent. {advice}.", field=name
        ) from None


def _with_file(tree: Tree, section: str, form: type[Entries | Items], folder: Path) -> tuple[Tree, Path]:
    """Returns the tree with a section that names a file replaced by what the file has, and the folder of that file."""
    named = tree.entries.get(section) if isinstance(tree, Entries) else None
    if not isinstance(tree, Entries) or not isinstance(named, Scalar) or named.is_null:
        return tree, folder
    path = folder / named.text
    found = read_tree(_read_file(path, section), str(path))
    if not isinstance(found, form):
        wanted = "mapping of columns" if section == "schema" else "list of constraints"
        refuse(
            section,
            f"names '{path}', which is no {wanted}. Write one, as in the {section} of a configuration.",
        )
    return replace(tree, entries={**tree.entries, section: found}), path.parent


def _read_run(tree: Tree, folder: Path) -> RunConfig:
    root = Section(tree, "", ROOT)
    return RunConfig(
        input=read_input(root),
        output=read_output(root),
        privacy=with_thresholds(read_privacy(root), private := read_private(root)),
        schema=(schema := read_schema(root, folder)),
        private=private,
        mechanism=read_mechanism(root, schema),
        run=read_run_directory(root),
        evaluate=read_evaluate(root),
        spark=root.texts("spark"),
        tree=tree,
    )
