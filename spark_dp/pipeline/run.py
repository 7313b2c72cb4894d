"""One run: what its stages share."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from spark_dp.pipeline.config import RunConfig
from spark_dp.pipeline.progress import Progress
from spark_dp.pipeline.run_directory import RunDirectory, digest_of
from spark_dp.spark.environment import require_same_environment
from spark_dp.spark.session import open_session, require_settings
from spark_dp.spark.tasks import watched
from spark_dp.spark.write import Output

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession


@dataclass(slots=True, eq=False)
class Run:
    """One run: its configuration, its directory, and Spark when a stage needs it.

    Attributes:
        config: of the run.
        progress: where the stages say what they do.
        table: a frame to measure instead of what `input` names.
        session: the caller's, or started when first needed.
    """

    config: RunConfig
    progress: Progress = field(default_factory=Progress)
    table: DataFrame | None = None
    session: SparkSession | None = None
    directory: RunDirectory = field(init=False)
    _required: bool = False
    _compared: bool = False

    def __post_init__(self) -> None:
        self.directory = RunDirectory.open(self.config.run.directory, self.config.run.key)

    def spark(self, *, to_compute: bool = True) -> SparkSession:
        """Returns the session, with the settings that encoding relies on, a caller's too.

        Its executors were found to be what the driver is.

        Args:
            to_compute: False where Spark only lists files, and its executors do nothing of ours.
        """
        if self.session is None:
            with self.progress.waiting("starting Spark"):
                self.session = open_session(self.config.spark, app_name=f"spark-dp {self.config.run.key}")
        if not self._required:
            require_settings(self.session)
            self._required = True
        self.progress.follow(partial(watched, self.session))
        if to_compute and not self._compared:
            require_same_environment(self.session)
            self._compared = True
        return self.session

    @property
    def output(self) -> Output:
        output = self.config.output
        owner = digest_of({"directory": self.config.run.directory, "key": self.config.run.key})[:8]
        return Output(output.path, output.mode, output.partition_by, owner)

    @property
    def settings_digest(self) -> str:
        """Of all that decides what is measured, but for the input's content."""
        return digest_of(self.config.measure_settings())
