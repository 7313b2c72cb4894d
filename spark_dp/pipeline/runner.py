"""Running all stages under one key, and leaving a record that a scheduler can read."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from spark_dp.errors import SparkDPError, TakenOverError
from spark_dp.evaluation.results import Evaluation
from spark_dp.pipeline.output import require_output
from spark_dp.pipeline.planning import RunPlan
from spark_dp.pipeline.run import Run
from spark_dp.pipeline.stages import evaluate, fit, generate, measure, plan, report
from spark_dp.privacy.stated import pair

OUTCOME = "outcome.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a run ended: what `state/outcome.json` says, for exit codes do not survive every scheduler.

    Attributes:
        status: 'succeeded' or 'failed'.
        retriable: whether the same key may be run again and hope.
        exit_code: of the command line.
        message: for a person.
    """

    status: str
    retriable: bool
    exit_code: int
    message: str

    def to_json(self) -> bytes:
        facts = {name: getattr(self, name) for name in ("status", "retriable", "exit_code", "message")}
        return json.dumps(facts, indent=1).encode()


@dataclass(frozen=True, slots=True, kw_only=True)
class RunResult:
    """What a finished run made.

    Attributes:
        plan: that it followed.
        manifest: of its output.
        relations: cliques of columns that the model keeps together.
        measured_now: False where the measurements were there already, and nothing was spent.
        evaluation: NOT PRIVATE; None where none was asked for.
        seconds: wall time by stage.
    """

    plan: RunPlan
    manifest: dict[str, Any]
    relations: list[list[str]]
    measured_now: bool
    evaluation: Evaluation | None
    seconds: dict[str, float]


def run_all(run: Run) -> RunResult:
    """Runs plan, measure, fit, generate, report, and evaluate where the configuration says so.

    Each stage is skipped where its artefact is there and was made from the same inputs. Ends by writing
    `state/outcome.json`, also when it fails.
    """
    try:
        result = _run_stages(run)
    except BaseException as error:
        record_failure(run, error)
        raise
    message = f"{result.manifest['rows']} rows in {run.config.output.path}"
    run.directory.state.write(
        OUTCOME, Outcome(status="succeeded", retriable=False, exit_code=0, message=message).to_json()
    )
    return result


def outcome_of(error: BaseException) -> Outcome:
    """Returns how a run ended that raised this."""
    if isinstance(error, SparkDPError):
        return Outcome(
            status="failed", retriable=error.retriable, exit_code=error.exit_code, message=error.message
        )
    if isinstance(error, KeyboardInterrupt):
        return Outcome(
            status="failed",
            retriable=True,
            exit_code=130,
            message="Interrupted. The same key can be run again.",
        )
    # The text of an unforeseen error may hold a value of a row.
    return Outcome(
        status="failed",
        retriable=False,
        exit_code=70,
        message=f"An unforeseen {type(error).__name__} ended the run; its text is withheld, for it may hold values.",
    )


def record_failure(run: Run, error: BaseException) -> None:
    """Writes the outcome of a run that failed, unless its directory cannot be written either.

    Where another driver has taken the run over, its outcome is the run's, and this one's is not written.
    """
    if isinstance(error, TakenOverError):
        return
    try:
        run.directory.state.write(OUTCOME, outcome_of(error).to_json())
    except SparkDPError as unwritable:
        run.progress.say(f"The outcome could not be recorded: {unwritable.message}")


def _run_stages(run: Run) -> RunResult:
    progress, config = run.progress, run.config
    with progress.stage("plan", "what will be asked and what it costs"):
        planned = plan(run)
        _say_plan(run, planned)
    require_output(run)
    with progress.stage("measure", "bound, count, and add noise"):
        before = run.directory.find("released/measurements") is not None
        measure(run)
    with progress.stage("fit", "the graphical model that agrees best"):
        fitted = fit(run)
    with progress.stage("generate", "synthetic rows"):
        manifest = generate(run)
    with progress.stage("report", "a summary of what is released"):
        report(run)
    evaluation = None
    if config.evaluate.against_input:
        with progress.stage("evaluate", "against the input, NOT PRIVATE"):
            evaluation = evaluate(run)
    return RunResult(
        plan=planned,
        manifest=manifest,
        relations=fitted.json("fit.json")["cliques"],
        measured_now=not before,
        evaluation=evaluation,
        seconds=dict(progress.seconds),
    )


def _say_plan(run: Run, planned: RunPlan) -> None:
    budget = run.config.privacy.budget
    run.progress.say(
        f"{planned.mechanism.name} for (ε, δ) = {pair(budget.epsilon, budget.delta)}; "
        f"{len(planned.layout.kept):,} marginals with {planned.layout.vector_cells:,} cells counted in "
        f"{'one pass' if len(planned.passes) == 1 else f'{len(planned.passes)} passes'}"
    )
