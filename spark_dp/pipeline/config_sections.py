"""The sections of a run's configuration, each valid once constructed.

Three kinds of settings are never mixed: `privacy` is the promise, `mechanism` is how it is spent, and `spark` is
for speed only: settings of Spark that are known to change what is read are refused there."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from fractions import Fraction
from typing import Any

from spark_dp.pipeline.config_tree import refuse
from spark_dp.privacy.budget import PrivacyBudget
from spark_dp.privacy.sensitivity import Neighbours
from spark_dp.schema.domain import Clique
from spark_dp.spark.write import OutputMode

LARGEST_SEED = 2**64 - 1
_KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._=+-]{0,127}")
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+_.-]*://.*|env:[A-Za-z_][A-Za-z0-9_]*", re.DOTALL)
PATTERNS = {"key": f"^{_KEY.pattern}$", "ledger": f"^({_URL.pattern})$"}
"""What two texts look like, for an editor."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InputConfig:
    """Where the table is: a path or a table of a catalog, one of the two.

    A relative local path is relative to the current directory, here and in all other sections.

    Args:
        format, options: as Spark's reader takes them.
        filter: a row-wise SQL condition; None keeps all rows.
        expected_rows: about how many rows count after bounding, as far as the owner may say so without looking;
            for the plan's predictions; mechanism auto goes by it too, and has it in the run's identity.
    """

    path: str | None = None
    table: str | None = None
    format: str = "parquet"
    options: Mapping[str, str] = field(default_factory=dict)
    filter: str | None = None
    expected_rows: int | None = None

    def __post_init__(self) -> None:
        if self.path is not None and self.table is not None:
            refuse("input.table", "is given together with input.path. Keep one of the two.")
        if self.path is None and self.table is None:
            refuse(
                "input.path",
                "is missing. Nothing was read or spent. Write where the table is, or name it in input.table.",
            )
        if self.expected_rows is not None and (type(self.expected_rows) is not int or self.expected_rows < 1):
            refuse("input.expected_rows", f"is {self.expected_rows!r}. Write a whole number from 1.")

    def identity(self) -> dict[str, Any]:
        """Returns what names the input, JSON-able; not what is only expected of it."""
        return {
            "path": self.path,
            "table": self.table,
            "format": self.format,
            "options": dict(sorted(self.options.items())),
            "filter": self.filter,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputConfig:
    """Where the synthetic table goes.

    Args:
        rows: how many rows; None is the noisy bounded total.
        partition_by: columns of the schema that become folders.
    """

    path: str
    rows: int | None = None
    partition_by: tuple[str, ...] = ()
    mode: OutputMode = OutputMode.ERROR

    def __post_init__(self) -> None:
        if not self.path:
            refuse("output.path", "is empty. Write where the synthetic table goes.")
        if self.rows is not None and (type(self.rows) is not int or self.rows < 0):
            refuse("output.rows", f"is {self.rows!r}. Write auto, or a whole number from 0.")


class UnitNulls(StrEnum):
    """What becomes of rows whose unit is null in any part."""

    DROP = "drop"
    ERROR = "error"
    ONE_UNIT = "one_unit"


class Bounding(StrEnum):
    """How a unit with more than max_rows rows is bounded: all its rows weigh less, or some are kept."""

    WEIGHT = "weight"
    SAMPLE = "sample"


@dataclass(frozen=True, slots=True, kw_only=True)
class RowUnit:
    """Each row is a unit of its own: the promise is per row."""

    @property
    def columns(self) -> tuple[str, ...]:
        return ()

    @property
    def max_rows(self) -> int:
        return 1

    @property
    def label(self) -> str:
        """The unit in a word, for the ledger and the manifest."""
        return "row"

    def identity(self) -> str | dict[str, Any]:
        """Returns what defines the unit, JSON-able."""
        return "row"


@dataclass(frozen=True, slots=True, kw_only=True)
class LearnedBound:
    """The bound k is a private quantile of how many rows a unit has.

    Args:
        quantile: the part of all units whose rows should count in full, between 0 and 1.
        share: of the run's rho.
    """

    quantile: Fraction
    share: Fraction

    def __post_init__(self) -> None:
        for name in ("quantile", "share"):
            if not 0 < getattr(self, name) < 1:
                refuse(
                    f"privacy.unit.{name}",
                    f"is {float(getattr(self, name)):g}. Write a number between 0 and 1.",
                )


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnUnit:
    """All rows with one value of these columns are a unit: the promise is per such value.

    Args:
        columns: of the input; they are synthesised only if the schema names them.
        max_rows: k, the weight in rows to which each unit is bounded, at least 1. There is no default. Where it is learned,
            what it may be at most, until it is known.
        learned: how k is learned; None where it is declared.
        nulls: what becomes of rows without a unit.
        bounding: how the bound is kept.
    """

    columns: tuple[str, ...]
    max_rows: int
    nulls: UnitNulls = UnitNulls.DROP
    bounding: Bounding = Bounding.WEIGHT
    learned: LearnedBound | None = None

    def __post_init__(self) -> None:
        if not self.columns:
            refuse(
                "privacy.unit.column",
                "is missing. Name the column that identifies a person, or write unit: row.",
            )
        unclear = [name for name in self.columns if name == "row" or "," in name]
        if unclear:
            refuse(
                "privacy.unit.column",
                f"names {unclear[0]!r}, which the ledger could not tell from another unit. Rename it when the table is "
                "written: no comma, and not 'row'.",
            )
        if type(self.max_rows) is not int or self.max_rows < 1:
            refuse("privacy.unit.max_rows", f"is {self.max_rows!r}. Write a whole number from 1.")

    @property
    def label(self) -> str:
        """The unit in a word, for the ledger and the manifest."""
        return ",".join(self.columns)

    def identity(self) -> str | dict[str, Any]:
        """Returns what defines the unit, JSON-able."""
        identity = {
            "columns": list(self.columns),
            "max_rows": self.max_rows,
            "nulls": self.nulls.value,
            "bounding": self.bounding.value,
        }
        if self.learned is None:
            return identity
        return identity | {"quantile": str(self.learned.quantile), "share": str(self.learned.share)}


@dataclass(frozen=True, slots=True, kw_only=True)
class PrivacyConfig:
    """The promise, and the account that pays for it.

    Args:
        budget: epsilon and delta of the run.
        unit: whom the promise is for.
        neighbours: which pairs of tables it makes hard to tell apart.
        ledger: a SQLAlchemy URL, or env:NAME for one in an environment variable. Never shown.
        dataset: the account that is charged.
        confirm_large_delta: whether a delta above 1e-5 was confirmed.
    """

    budget: PrivacyBudget
    unit: RowUnit | ColumnUnit
    ledger: str = field(repr=False)
    dataset: str
    neighbours: Neighbours = Neighbours.ADD_REMOVE
    confirm_large_delta: bool = False

    def __post_init__(self) -> None:
        if not _URL.fullmatch(self.ledger):
            refuse("privacy.ledger", "is no URL. Write one such as sqlite:///ledger.db, or env:NAME.")
        if not self.dataset:
            refuse("privacy.dataset", "is empty. Name the account that is charged.")

    def ledger_url(self, environment: Mapping[str, str] | None = None) -> str:
        """Returns the ledger's URL, looked up now where it is kept in the environment.

        Raises:
            ConfigurationError: the environment has no such variable.
        """
        if not self.ledger.startswith("env:"):
            return self.ledger
        name = self.ledger.removeprefix("env:")
        url = (os.environ if environment is None else environment).get(name)
        if not url:
            refuse(
                "privacy.ledger",
                f"is env:{name}, and there is no such environment variable. Nothing was read or spent. Set it.",
            )
        return url


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkloadConfig:
    """Which marginals should be good: all of up to `degree` columns, or a list of cliques with weights.

    Args:
        degree: at least 1; None where cliques are given.
        cliques: distinct cliques, each with a positive weight.
    """

    degree: int | None = None
    cliques: tuple[tuple[Clique, Fraction], ...] = ()

    def __post_init__(self) -> None:
        if (self.degree is None) == (not self.cliques):
            refuse(
                "mechanism.workload",
                "has neither a degree nor a group of columns, or both. Write {degree: 2}, or a "
                "list of groups such as [[a, b]].",
            )
        if self.degree is not None and (type(self.degree) is not int or self.degree < 1):
            refuse("mechanism.workload.degree", f"is {self.degree!r}. Write a whole number from 1.")
        seen = set()
        for clique, weight in self.cliques:
            if not clique or len(set(clique)) != len(clique) or frozenset(clique) in seen:
                refuse("mechanism.workload", f"has {list(clique)}, which is empty or has something twice.")
            if weight <= 0:
                refuse("mechanism.workload", f"gives {list(clique)} the weight {weight}. Write one above 0.")
            seen.add(frozenset(clique))

    def identity(self) -> dict[str, Any]:
        """Returns the workload, JSON-able."""
        if self.degree is not None:
            return {"degree": self.degree}
        return {"cliques": [[list(clique), str(weight)] for clique, weight in self.cliques]}


@dataclass(frozen=True, slots=True, kw_only=True)
class MechanismConfig:
    """How the budget is spent.

    Args:
        name: of the mechanism; the catalog of mechanisms knows which there are.
        targets: columns whose relations to others matter most.
        max_model_mb: the model's size in megabytes at most.
    """

    name: str = "mst"
    workload: WorkloadConfig = WorkloadConfig(degree=2)
    targets: tuple[str, ...] = ()
    max_model_mb: float = 80.0

    def __post_init__(self) -> None:
        if not self.name:
            refuse("mechanism.name", "is empty. Name a mechanism such as mst.")
        if not 0 < self.max_model_mb < float("inf"):
            refuse("mechanism.max_model_mb", f"is {self.max_model_mb}. Write a number above 0.")

    def identity(self) -> dict[str, Any]:
        """Returns all that decides what is measured, JSON-able."""
        return {
            "name": self.name,
            "workload": self.workload.identity(),
            "targets": list(self.targets),
            "max_model_mb": self.max_model_mb,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class RunDirConfig:
    """Where a run keeps its artefacts, `directory`/`key`, and the seed of its generation.

    Args:
        directory: a local path or a URI.
        key: names the run: letters, digits and . _ = + -. There is no default.
        seed: 0 to 2**64 - 1; it reaches only the sampling from the finished model.
    """

    directory: str
    key: str
    seed: int = 0

    def __post_init__(self) -> None:
        if not self.directory:
            refuse("run.directory", "is empty. Write where the run keeps its artefacts.")
        if not _KEY.fullmatch(self.key):
            refuse(
                "run.key", f"is {self.key!r}. Write up to 128 letters, digits and . _ = + -, as in 2013-W01."
            )
        if type(self.seed) is not int or not 0 <= self.seed <= LARGEST_SEED:
            refuse("run.seed", f"is {self.seed!r}. Write a whole number from 0 to 2**64 - 1.")


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluateConfig:
    """Whether `run` also compares the output with the input, which is NOT private and for the owner only."""

    against_input: bool = False
