"""Every setting of a run, once: its form, what to write for it, and its choices.

The readers (`config_reader`), the messages about what is missing, and the JSON Schema for editors
(`config_schema`) all read this table.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

from spark_dp.mechanisms.automatic import AUTO
from spark_dp.mechanisms.catalog import MECHANISMS
from spark_dp.pipeline.config_sections import LARGEST_SEED, Bounding, UnitNulls
from spark_dp.privacy.sensitivity import Neighbours
from spark_dp.spark.write import OutputMode


class Form(Enum):
    """What kind of value a setting takes."""

    TEXT = auto()
    NUMBER = auto()
    INTEGER = auto()
    FLAG = auto()
    NAMES = auto()
    TEXTS = auto()
    SECTION = auto()
    OWN = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One setting.

    Args:
        form: the kind of its value; OWN where a reader of its own takes it.
        what: completes "Write ...", and explains it in an editor.
        required: whether it has to be given.
        choices: the texts that it may be; empty where any will do.
        above: a number has to be above it.
        least, most: of a whole number.
        usual: the default as it would be written; None where there is none.
        secret: no message may show its value.
    """

    form: Form
    what: str
    required: bool = False
    choices: tuple[str, ...] = ()
    above: float | None = None
    least: int | None = None
    most: int | None = None
    usual: str | None = None
    secret: bool = False


Settings = Mapping[str, Setting]

ROOT: Final[Settings] = {
    "input": Setting(form=Form.SECTION, what="where the sensitive table is", required=True),
    "output": Setting(form=Form.SECTION, what="where the synthetic table goes", required=True),
    "privacy": Setting(
        form=Form.SECTION, what="the promise, and the account that pays for it", required=True
    ),
    "schema": Setting(
        form=Form.OWN,
        what="the columns to synthesise with their domains, or the path of a file that has them",
        required=True,
    ),
    "constraints": Setting(
        form=Form.OWN,
        what="a list of what no row of the output may be, or the path of a file that has it: {forbid: {age: '<15', marital: "
        "married}}, or {determines: {zip: state}, mapping: {...}}",
    ),
    "mechanism": Setting(form=Form.SECTION, what="how the privacy budget is spent"),
    "run": Setting(form=Form.SECTION, what="where the run keeps its artefacts, and its name", required=True),
    "evaluate": Setting(form=Form.SECTION, what="a look for the owner's eyes, NOT private"),
    "spark": Setting(
        form=Form.TEXTS, what="settings of Spark, for speed only, such as spark.driver.memory: 4g"
    ),
}

INPUT: Final[Settings] = {
    "path": Setting(form=Form.TEXT, what="where the table's files are; this or input.table"),
    "table": Setting(form=Form.TEXT, what="the table's name in Spark's catalog; this or input.path"),
    "format": Setting(form=Form.TEXT, what="the format as Spark's reader knows it", usual="parquet"),
    "options": Setting(form=Form.TEXTS, what="options of Spark's reader, such as a pinned version"),
    "filter": Setting(form=Form.TEXT, what="a row-wise SQL condition; rows that fail it are left out"),
    "expected_rows": Setting(
        form=Form.INTEGER,
        what="about how many rows count after bounding, as far as you may say it without looking: a whole number from 1, "
        "for the plan's predictions, and with mechanism auto for its choice",
        least=1,
    ),
}

OUTPUT: Final[Settings] = {
    "path": Setting(form=Form.TEXT, what="where the synthetic table goes", required=True),
    "rows": Setting(
        form=Form.OWN, what="auto for the noisy bounded total, or a whole number from 0", usual="auto"
    ),
    "partition_by": Setting(form=Form.NAMES, what="columns of the schema that become folders"),
    "mode": Setting(
        form=Form.TEXT,
        what="what to do with an output that is there already",
        choices=tuple(OutputMode),
        usual="error",
    ),
}

PRIVACY: Final[Settings] = {
    "epsilon": Setting(
        form=Form.NUMBER, what="the privacy loss of this run, such as 1", required=True, above=0
    ),
    "delta": Setting(
        form=Form.NUMBER,
        what="a probability below a tenth of one over the number of units, such as 1e-9",
        required=True,
        above=0,
    ),
    "unit": Setting(
        form=Form.OWN,
        what="whom the promise is for: row, or {column: NAME, max_rows: K} for all rows of one person",
        required=True,
    ),
    "neighbours": Setting(
        form=Form.TEXT,
        what="which pairs of tables are hard to tell apart",
        choices=tuple(Neighbours),
        usual="add_remove",
    ),
    "ledger": Setting(
        form=Form.TEXT,
        what="a SQLAlchemy URL such as sqlite:///ledger.db, or env:NAME",
        required=True,
        secret=True,
    ),
    "dataset": Setting(form=Form.TEXT, what="the name of the account that is charged", required=True),
    "confirm_large_delta": Setting(form=Form.FLAG, what="true to allow a delta above 1e-5", usual="false"),
}

UNIT: Final[Settings] = {
    "column": Setting(form=Form.NAMES, what="the column that identifies a person, or a list of columns"),
    "columns": Setting(form=Form.NAMES, what="the columns that together identify a person"),
    "max_rows": Setting(
        form=Form.OWN,
        what="how many rows of one unit may count, a whole number from 1; or auto, to learn it with at_most and share",
        required=True,
        least=1,
    ),
    "at_most": Setting(
        form=Form.INTEGER, what="with max_rows: auto, what it may be at most, a whole number from 2", least=2
    ),
    "quantile": Setting(
        form=Form.NUMBER,
        what="with max_rows: auto, the part of all units whose rows should count in full, below 1",
        above=0,
        usual="0.9",
    ),
    "share": Setting(
        form=Form.NUMBER,
        what="with max_rows: auto, the part of the run's budget that it may cost, such as 0.01",
        above=0,
    ),
    "nulls": Setting(
        form=Form.TEXT, what="what becomes of rows without a unit", choices=tuple(UnitNulls), usual="drop"
    ),
    "bounding": Setting(
        form=Form.TEXT,
        what="whether rows of a large unit weigh less, or some are kept",
        choices=tuple(Bounding),
        usual="weight",
    ),
}

MECHANISM: Final[Settings] = {
    "name": Setting(form=Form.TEXT, what="the name of a mechanism", choices=(AUTO, *MECHANISMS), usual="mst"),
    "workload": Setting(
        form=Form.OWN,
        what="which marginals should be good: {degree: 2}, or a list of cliques such as [[a, b]]",
        usual="{degree: 2}",
    ),
    "targets": Setting(
        form=Form.NAMES, what="columns whose relations matter most: what holds one weighs four times as much"
    ),
    "max_model_mb": Setting(
        form=Form.NUMBER, what="the model's size in megabytes at most", above=0, usual="80"
    ),
}

WORKLOAD: Final[Settings] = {
    "degree": Setting(
        form=Form.INTEGER, what="how many columns a marginal has, a whole number from 1", least=1
    ),
    "cliques": Setting(form=Form.OWN, what="a list of cliques such as [[a, b]]"),
}

CLIQUE: Final[Settings] = {
    "columns": Setting(form=Form.NAMES, what="the columns of the clique", required=True),
    "weight": Setting(form=Form.NUMBER, what="how much it matters, a number above 0", above=0, usual="1"),
}

FORBID: Final[Settings] = {
    "forbid": Setting(
        form=Form.OWN,
        what="a combination of values of two or more columns that no row has: for each column a value, a list, a "
        "comparison such as '<15', null, or {not: VALUE}",
        required=True,
    ),
}

DETERMINES: Final[Settings] = {
    "determines": Setting(
        form=Form.OWN, what="a column and the one that it determines, as in {zip: state}", required=True
    ),
    "mapping": Setting(
        form=Form.OWN,
        what="the value that each value determines, as in {'10001': NY}, or the path of a public CSV or Parquet file with "
        "both columns; never taken from the table",
        required=True,
    ),
}

RUN: Final[Settings] = {
    "directory": Setting(
        form=Form.TEXT, what="where the run keeps its artefacts: a path or a URI", required=True
    ),
    "key": Setting(
        form=Form.TEXT,
        what="a name for this run, such as 2013-W01; the same key resumes and never spends twice",
        required=True,
    ),
    "seed": Setting(
        form=Form.INTEGER,
        what="the seed of the generation only, a whole number from 0",
        least=0,
        most=LARGEST_SEED,
        usual="0",
    ),
}

EVALUATE: Final[Settings] = {
    "against_input": Setting(
        form=Form.FLAG, what="true to compare the output with the input, which is NOT private", usual="false"
    ),
}

SECTIONS: Final[Mapping[str, Settings]] = {
    "": ROOT,
    "input": INPUT,
    "output": OUTPUT,
    "privacy": PRIVACY,
    "privacy.unit": UNIT,
    "mechanism": MECHANISM,
    "mechanism.workload": WORKLOAD,
    "run": RUN,
    "evaluate": EVALUATE,
}

FREE: Final = ("spark", "input.options")
"""Mappings whose keys are handed on, dots and all."""


def setting_of(field: str) -> Setting | None:
    """Returns what is known of a dotted name outside of the schema, or None."""
    section, _, key = field.rpartition(".")
    return SECTIONS.get(section, {}).get(key)
