"""The stages of a run, one command each, and `run`, which does them all."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from spark_dp.commands.options import examples, on_a_run
from spark_dp.commands.voice import progress_for, tell
from spark_dp.errors import ConfigurationError

if TYPE_CHECKING:
    from spark_dp.pipeline.config import RunConfig
    from spark_dp.pipeline.run import Run

Said = tuple[Mapping[str, Any], Callable[[], str]]
"""What a command found: as facts for --json, and as text to read."""

LEAVE_OUTCOME = ("measure", "fit", "generate")
"""Stages whose failure is the run's. `run` leaves its own outcome; a look at a run changes nothing of it."""


def stage_command(name: str, act: Callable[[Run], Said], text: str, *lines: str) -> click.Command:
    """Makes the command of a stage."""

    @click.command(name, help=text, short_help=text.partition("\n")[0], epilog=examples(*lines))
    @on_a_run
    def command(config: str, overrides: Sequence[str], as_json: bool, quiet: bool, log_format: str) -> None:
        with opened(
            config, overrides, quiet=quiet, log_format=log_format, leaves_outcome=name in LEAVE_OUTCOME
        ) as run:
            facts, lines = act(run)
        tell({"command": name, **facts}, lines, as_json=as_json)

    return command


@contextmanager
def opened(
    config: str, overrides: Sequence[str], *, quiet: bool, log_format: str, leaves_outcome: bool
) -> Iterator[Run]:
    """Opens a run, and leaves its outcome in its directory when a stage of its own fails."""
    from spark_dp.pipeline.run import Run
    from spark_dp.pipeline.runner import record_failure

    progress = progress_for(quiet=quiet, log_format=log_format)
    try:
        run = Run(load(config, overrides), progress)
        try:
            yield run
        except BaseException as error:
            if leaves_outcome:
                record_failure(run, error)
            raise
    finally:
        progress.close()


def load(config: str, overrides: Sequence[str]) -> RunConfig:
    """Reads a configuration, which is YAML."""
    from spark_dp.pipeline.config import load_config

    if config.endswith(".json"):
        raise ConfigurationError(
            f"{config!r} is not YAML. Nothing was read or spent. Write the configuration as YAML.",
            field="config",
        )
    return load_config(config, overrides)


def _plan(run: Run) -> Said:
    from spark_dp.pipeline.describe_plan import plan_lines
    from spark_dp.pipeline.stages import plan

    planned = plan(run)
    return planned.facts(), lambda: "\n".join(plan_lines(planned))


def _measure(run: Run) -> Said:
    from spark_dp.pipeline.describe import measure_facts, measure_lines
    from spark_dp.pipeline.output import require_output
    from spark_dp.pipeline.stages import measure

    require_output(run)
    with run.progress.stage("measure", "bound, count, and add noise"):
        facts = measure_facts(run, measure(run))
    return facts, lambda: "\n".join(measure_lines(facts))


def _fit(run: Run) -> Said:
    from spark_dp.pipeline.describe import fit_facts, fit_lines
    from spark_dp.pipeline.stages import fit

    with run.progress.stage("fit", "the graphical model that agrees best"):
        facts = fit_facts(run, fit(run))
    return facts, lambda: "\n".join(fit_lines(facts))


def _generate(run: Run) -> Said:
    from spark_dp.pipeline.stages import generate

    with run.progress.stage("generate", "synthetic rows"):
        manifest = generate(run)
    facts = {"path": run.config.output.path, "rows": manifest["rows"], "manifest": manifest}
    return facts, lambda: f"{facts['rows']:,} rows in {facts['path']}"


def _report(run: Run) -> Said:
    from spark_dp.pipeline.describe import report_facts
    from spark_dp.pipeline.stages import report

    text = report(run)
    return report_facts(run), lambda: text


def _evaluate(run: Run) -> Said:
    from spark_dp.pipeline.stages import evaluate

    with run.progress.stage("evaluate", "against the input, NOT PRIVATE"):
        found = evaluate(run)
    return found.facts(), found.text


def _run(run: Run) -> Said:
    from spark_dp.pipeline.describe import result_facts, result_lines
    from spark_dp.pipeline.runner import run_all

    result = run_all(run)
    return result_facts(run, result), lambda: "\n".join(result_lines(run, result))


PLAN = stage_command(
    "plan",
    _plan,
    "Says what a run will ask, its noise and cost. Free: opens no table.",
    "spark-dp plan visits.yaml",
    "spark-dp plan visits.yaml --set privacy.epsilon=1      what another epsilon would do",
    "spark-dp plan visits.yaml --json | jq .queries",
)
MEASURE = stage_command(
    "measure",
    _measure,
    "Releases noisy measurements of the table. SPENDS, once a key.",
    "spark-dp measure visits.yaml",
    "spark-dp measure visits.yaml --set run.key=2024-W02    another key is another charge",
)
FIT = stage_command(
    "fit",
    _fit,
    "Fits the model to the measurements. Free; needs no Spark.",
    "spark-dp fit visits.yaml",
    "spark-dp fit visits.yaml --set mechanism.max_model_mb=40",
)
GENERATE = stage_command(
    "generate",
    _generate,
    "Writes the synthetic table from the model. Free.",
    "spark-dp generate visits.yaml",
    "spark-dp generate visits.yaml --set output.rows=500000 --set output.path=out/large",
)
REPORT = stage_command(
    "report",
    _report,
    "Writes a summary from what is released. Free.",
    "spark-dp report visits.yaml",
    "spark-dp report visits.yaml --json | jq .files",
)
EVALUATE = stage_command(
    "evaluate",
    _evaluate,
    "Compares the output with the input. NOT PRIVATE: for the owner alone.",
    "spark-dp evaluate visits.yaml",
    "spark-dp evaluate visits.yaml --json > owner-only.json",
)
RUN = stage_command(
    "run",
    _run,
    "Runs all stages; a second time under the same key it resumes and spends nothing again.",
    "spark-dp run visits.yaml",
    "spark-dp run visits.yaml --set run.key=2024-W02 --set output.path=out/2024-W02",
    "spark-dp run visits.yaml --quiet --json > result.json",
    "SPARK_DP_LOG_FORMAT=json spark-dp run visits.yaml 2> run.log",
)
COMMANDS = (PLAN, MEASURE, FIT, GENERATE, REPORT, EVALUATE, RUN)
