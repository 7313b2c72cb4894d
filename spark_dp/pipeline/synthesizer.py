"""The Python face: the same stages as the command line, on a Spark frame."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from spark_dp.errors import ConfigurationError
from spark_dp.graphical.model import GraphicalModel
from spark_dp.graphical.uncertainty import ErrorBars, error_bars
from spark_dp.mechanisms.schedules import schedule_of
from spark_dp.pipeline import stages
from spark_dp.pipeline.artefacts import read_measurements
from spark_dp.pipeline.config import RunConfig, load_config
from spark_dp.pipeline.config_sections import LARGEST_SEED
from spark_dp.pipeline.error_bars import read_unmeasured
from spark_dp.pipeline.output import rows_to_generate, shipped
from spark_dp.pipeline.planning import RunPlan
from spark_dp.pipeline.preprocessing import resolved_config
from spark_dp.pipeline.progress import Progress
from spark_dp.pipeline.resume import measurements_of, model_of
from spark_dp.pipeline.run import Run
from spark_dp.spark.generate import generate_table
from spark_dp.spark.session import settings_restored

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession


@dataclass(frozen=True, slots=True)
class Synthesizer:
    """Fits a private model to a table, as a configuration says."""

    config: RunConfig
    progress: Progress

    @classmethod
    def from_config(
        cls,
        config: str | Path | RunConfig,
        overrides: Sequence[str] = (),
        *,
        progress: Progress | None = None,
    ) -> Synthesizer:
        """Reads a configuration file (or takes one that was read).

        Args:
            config: a path, or a RunConfig.
            overrides: assignments such as `privacy.epsilon=1`.
            progress: where the stages say what they do; standard error by default.
        """
        read = config if isinstance(config, RunConfig) else load_config(config, overrides)
        return cls(read, progress if progress is not None else Progress())

    def plan(self) -> RunPlan:
        """Returns what fitting will ask and cost. Free."""
        return stages.plan(Run(self.config, self.progress))

    def fit(self, table: DataFrame | None = None) -> SyntheticModel:
        """Measures the table, which SPENDS, and fits the model; a second time under the same key spends nothing.

        Args:
            table: a Spark frame with the schema's columns and the unit's; what `input` names where None.
                `input.filter` applies to it too. The promise is for its rows as they were made: make them row by
                row, with types that are declared.

        Raises:
            ConfigurationError: the table is no Spark frame.
        """
        if table is not None and not hasattr(table, "sparkSession"):
            raise ConfigurationError(
                f"fit() was given a {type(table).__name__}. Nothing was read or spent. Give a Spark frame, such as "
                "spark.createDataFrame(...), or nothing to measure what `input` names.",
                field="table",
            )
        session = table.sparkSession if table is not None else None
        run = Run(self.config, self.progress, table=table, session=session)
        with settings_restored(session):
            with self.progress.stage("measure", "bound, count, and add noise"):
                stages.measure(run)
            with self.progress.stage("fit", "the graphical model that agrees best"):
                stages.fit(run)
            return SyntheticModel(self.config, run.spark())


LARGEST_ROWS = 2**53


@dataclass(frozen=True, slots=True)
class SyntheticModel:
    """A fitted model: all that it gives is post-processing, and free."""

    config: RunConfig
    session: SparkSession

    def __repr__(self) -> str:
        return f"SyntheticModel(run {self.config.run.key!r}, {len(self.config.schema.columns)} columns)"

    @property
    def epsilon(self) -> float:
        """The epsilon that was spent."""
        return float(self.config.privacy.budget.epsilon)

    @property
    def delta(self) -> float:
        """The delta that was spent."""
        return float(self.config.privacy.budget.delta)

    @property
    def model(self) -> GraphicalModel:
        """The graphical model, for marginals of any columns."""
        run = self._run()
        found = model_of(run, measurements_of(run))
        return GraphicalModel.from_bytes(found.files["model.npz"])

    def error_bars(self, columns: Sequence[str], *, confidence: float = 0.95) -> ErrorBars:
        """Says how far the model's marginal of some columns is from that of the bounded table. Free.

        Args:
            columns: distinct, in the order wanted of the axes.
            confidence: of each interval and bound, in (0, 1).

        Raises:
            ConfigurationError: a column is unknown, or the confidence is none.
        """
        run = self._run()
        measured = measurements_of(run)
        modelled = model_of(run, measured)
        measurements = read_measurements(measured)
        return error_bars(
            GraphicalModel.from_bytes(modelled.files["model.npz"]),
            measurements,
            columns,
            confidence=confidence,
            schedule=schedule_of(measurements),
            revealed=read_unmeasured(modelled) or (),
        )

    def sample(self, rows: int | None = None, seed: int | None = None) -> DataFrame:
        """Returns synthetic rows as a Spark frame with the declared schema.

        Args:
            rows: how many; the configuration's, or the noisy bounded total, where None.
            seed: of the generation; the configuration's where None.

        Raises:
            ConfigurationError: rows or seed is no whole number in range.
        """
        _require_whole("rows", rows, LARGEST_ROWS)
        _require_whole("seed", seed, LARGEST_SEED)
        run = self._run()
        measured = measurements_of(run)
        modelled = model_of(run, measured)
        return generate_table(
            self.session,
            shipped(run, modelled),
            resolved_config(run, measured).schema,
            rows=rows_to_generate(run, modelled) if rows is None else rows,
            seed=self.config.run.seed if seed is None else seed,
        )

    def write(self) -> None:
        """Writes the configured output, with its manifest."""
        with settings_restored(self.session):
            stages.generate(self._run())

    def _run(self) -> Run:
        return Run(self.config, Progress(None), session=self.session)


def _require_whole(name: str, value: object, most: int) -> None:
    if value is None or (type(value) is int and 0 <= value <= most):
        return
    raise ConfigurationError(
        f"sample() was given {name} = {value!r}. Nothing was spent. Give a whole number from 0 to {most}.",
        field=name,
    )
