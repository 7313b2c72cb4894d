"""The command line: `spark-dp COMMAND CONFIG`."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import click

from spark_dp import __version__
from spark_dp.errors import ConfigurationError, SparkDPError
from spark_dp.pipeline import stages
from spark_dp.pipeline.config import RunConfig, load_config
from spark_dp.pipeline.describe import account_lines, history_lines, result_lines
from spark_dp.pipeline.describe_plan import plan_lines
from spark_dp.pipeline.output import require_output
from spark_dp.pipeline.progress import Progress
from spark_dp.pipeline.run import Run
from spark_dp.pipeline.runner import outcome_of, record_failure, run_all
from spark_dp.privacy.ledger import Ledger, open_account
from spark_dp.privacy.sensitivity import Neighbours
from spark_dp.spark.session import ENGINE_LOG

CONFIG = click.argument("config", type=click.Path(dir_okay=False))
SET = click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="FIELD=VALUE",
    help="Overrides a setting: --set privacy.epsilon=1",
)
QUIET = click.option("--quiet", is_flag=True, help="Says nothing but the result and errors.")
LEAVE_OUTCOME = ("measure", "fit", "generate")
"""Stages whose failure is the run's. `run` leaves its own outcome; a look at a run changes nothing of it."""

LEDGER = click.option(
    "--ledger", required=True, metavar="URL", help="A SQLAlchemy URL, or env:NAME for one in NAME."
)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="spark-dp")
def cli() -> None:
    """Differentially private synthetic tables on Apache Spark.

    \b
    spark-dp ledger open flights --ledger sqlite:///ledger.db --epsilon 10 --delta 1e-5 --unit tailnum
    spark-dp plan conf/runs/flights.yaml
    spark-dp run  conf/runs/flights.yaml

    Exit codes: 0 done, 78 configuration, 65 input, 77 budget, 75 transient (the same key may be run again),
    70 internal.
    """


def _stage_command(name: str, act: Callable[[Run], str | None], text: str) -> None:
    @cli.command(name, help=text, short_help=text.partition("\n")[0])
    @CONFIG
    @SET
    @QUIET
    def command(config: str, overrides: Sequence[str], quiet: bool) -> None:
        with _told(), _recorded(config, overrides, quiet, leaves_outcome=name in LEAVE_OUTCOME) as run:
            said = act(run)
            if said:
                click.echo(said)


def _plan(run: Run) -> str:
    return "\n".join(plan_lines(stages.plan(run)))


def _measure(run: Run) -> None:
    require_output(run)
    with run.progress.stage("measure", "bound, count, and add noise"):
        stages.measure(run)


def _fit(run: Run) -> None:
    with run.progress.stage("fit", "the graphical model that agrees best"):
        stages.fit(run)


def _generate(run: Run) -> str:
    with run.progress.stage("generate", "synthetic rows"):
        manifest = stages.generate(run)
    return f"{manifest['rows']:,} rows in {run.config.output.path}"


def _report(run: Run) -> str:
    return stages.report(run)


def _evaluate(run: Run) -> str:
    with run.progress.stage("evaluate", "against the input, NOT PRIVATE"):
        return stages.evaluate(run).text()


def _run(run: Run) -> str:
    return "\n".join(result_lines(run, run_all(run)))


_stage_command("plan", _plan, "Says what a run will ask, its noise and cost. Free: opens no table.")
_stage_command("measure", _measure, "Releases noisy measurements of the table. SPENDS, once a key.")
_stage_command("fit", _fit, "Fits the model to the measurements. Free; needs no Spark.")
_stage_command("generate", _generate, "Writes the synthetic table from the model. Free.")
_stage_command("report", _report, "Writes a summary from what is released. Free.")
_stage_command("evaluate", _evaluate, "Compares the output with the input. NOT PRIVATE: for the owner alone.")
_stage_command(
    "run", _run, "Runs all stages; a second time under the same key it resumes and spends nothing again."
)


@cli.group()
def ledger() -> None:
    """Opens and shows accounts: what may be spent on a data set, and what was."""


@ledger.command("open")
@click.argument("dataset")
@LEDGER
@click.option("--epsilon", type=float, required=True, help="What all runs together may spend.")
@click.option("--delta", type=float, required=True, help="Below a tenth of one over the number of units.")
@click.option("--unit", required=True, help="The column that identifies a person (several: a,b), or 'row'.")
@click.option(
    "--neighbours",
    type=click.Choice([n.value for n in Neighbours]),
    default=Neighbours.ADD_REMOVE.value,
    show_default=True,
)
@click.option("--confirm-large-delta", is_flag=True, help="Allows a delta above 1e-5.")
def open_(
    dataset: str,
    ledger: str,
    epsilon: float,
    delta: float,
    unit: str,
    neighbours: str,
    confirm_large_delta: bool,
) -> None:
    """Opens an account, and the ledger where there is none. Nothing else creates either."""
    with _told():
        made = open_account(
            ledger,
            dataset,
            epsilon,
            delta,
            unit,
            Neighbours(neighbours),
            allow_large_delta=confirm_large_delta,
        )
        click.echo("\n".join(account_lines(made)))


@ledger.command()
@click.argument("dataset")
@LEDGER
def show(dataset: str, ledger: str) -> None:
    """Shows what an account may spend, has spent and has left."""
    with _told():
        click.echo("\n".join(account_lines(Ledger.connect(ledger).show(dataset))))


@ledger.command()
@click.argument("dataset")
@LEDGER
def history(dataset: str, ledger: str) -> None:
    """Lists an account's runs and their queries."""
    with _told():
        click.echo("\n".join(history_lines(Ledger.connect(ledger).history(dataset))))


@ledger.command()
@click.argument("dataset")
@LEDGER
def close(dataset: str, ledger: str) -> None:
    """Closes an account: runs that have begun may finish, new ones are refused."""
    with _told():
        opened = Ledger.connect(ledger)
        opened.close_account(dataset)
        click.echo("\n".join(account_lines(opened.show(dataset))))


@contextmanager
def _recorded(config: str, overrides: Sequence[str], quiet: bool, *, leaves_outcome: bool) -> Iterator[Run]:
    """Opens a run, and leaves its outcome in its directory when a stage of its own fails."""
    run = Run(_load(config, overrides), Progress(None) if quiet else Progress())
    try:
        yield run
    except SparkDPError as error:
        if leaves_outcome:
            record_failure(run, error)
        raise


def _load(config: str, overrides: Sequence[str]) -> RunConfig:
    if config.endswith(".json"):
        raise ConfigurationError(f"{config!r} is not YAML. Write the configuration as YAML.", field="config")
    return load_config(config, overrides)


@contextmanager
def _told() -> Iterator[None]:
    """Tells a user's mistake in a sentence, with the exit code that a scheduler understands."""
    try:
        yield
    except SparkDPError as error:
        click.echo(f"error: {error.message}", err=True)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        click.echo("Interrupted. Nothing more was spent; the same key can be run again.", err=True)
        sys.exit(130)
    except Exception as error:
        if os.environ.get(ENGINE_LOG):
            with Path(os.environ[ENGINE_LOG]).open("a") as log:
                traceback.print_exc(file=log)
        click.echo(
            f"error: {outcome_of(error).message} Set {ENGINE_LOG} to a file to keep it there.", err=True
        )
        sys.exit(70)


def main() -> None:
    """The entry point of the console script."""
    cli(prog_name="spark-dp")


if __name__ == "__main__":
    main()
