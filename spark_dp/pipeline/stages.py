"""The stages, in the order of the data.

    plan       configuration            ->  what will be asked, its noise, its cost                        free
    measure    the table, the ledger    ->  released/measurements: noisy marginals                         SPENDS
    fit        measurements             ->  released/model: the graphical model that agrees with them      free
    generate   model                    ->  the output table and its manifest                              free
    report     the above                ->  released/report                                                free
    evaluate   the table, the output    ->  internal/evaluation.json                            NOT PRIVATE

All below `measure` is post-processing of what it released: it can be repeated, lost and made again.
"""

from __future__ import annotations

import json
from typing import Any

from spark_dp.errors import InputError, OutputExistsError, SparkDPError
from spark_dp.evaluation.results import Evaluation
from spark_dp.graphical.estimation import estimate
from spark_dp.graphical.model import GraphicalModel
from spark_dp.graphical.zeros import structural_zeros
from spark_dp.pages.evaluation import evaluation_page
from spark_dp.pages.released import released_page
from spark_dp.pipeline.artefacts import (
    MEASUREMENTS,
    MODEL,
    REPORT,
    measurement_files,
    model_files,
    read_measurements,
    read_schema,
    read_statement,
)
from spark_dp.pipeline.durability import require_durable, submitted
from spark_dp.pipeline.error_bars import choice_files, unmeasured_files
from spark_dp.pipeline.evaluating import (
    compare_tables,
    evaluation_bytes,
    evaluation_there,
    marginals_to_compare,
)
from spark_dp.pipeline.inputs import OpenedInput, contribution_of, open_input
from spark_dp.pipeline.ledger_marks import keep_head
from spark_dp.pipeline.manifest import manifest_of, promise_of
from spark_dp.pipeline.output import (
    by_another_driver,
    earlier_runs,
    is_ours,
    manifest_there,
    own_manifest,
    remember_manifest,
    rows_to_generate,
    shipped,
)
from spark_dp.pipeline.plan_account import standing_of
from spark_dp.pipeline.planning import RunPlan, plan_run
from spark_dp.pipeline.preflight import require_input, require_own_key
from spark_dp.pipeline.preprocessing import Desk, learn, resolved_config
from spark_dp.pipeline.report import report_text
from spark_dp.pipeline.resume import (
    answers_of,
    begin,
    complete,
    give_back,
    is_complete,
    measurements_of,
    model_of,
    records_of,
    remember,
    replayed,
    require_affordable,
    require_records,
    reservation,
)
from spark_dp.pipeline.run import Run
from spark_dp.pipeline.run_directory import Artefact, digest_of
from spark_dp.pipeline.spent import say_what_stays_charged
from spark_dp.privacy.curator import Curator
from spark_dp.privacy.run_account import RunAccount
from spark_dp.privacy.transcript import Transcript
from spark_dp.spark.counting import SparkMarginals
from spark_dp.spark.generate import generate_table
from spark_dp.spark.tables import declared_columns, read_table
from spark_dp.spark.write import publish, recover, require_writable, write_rows

EVALUATION = "evaluation.json"
EVALUATION_PAGE = "evaluation.html"


def plan(run: Run) -> RunPlan:
    """Plans the run and says what it will ask. Free: no table is opened, no ledger is charged."""
    return plan_run(run.config, accounting=standing_of(run.config).accounting)


def measure(run: Run) -> Artefact:
    """Releases noisy measurements of the table: the only stage that spends.

    Guarantees: what is released is (epsilon, delta)-differentially private for the configured unit and adjacency,
    with the epsilon and delta that the ledger was charged (`docs/privacy.md`). A run that is resumed replays what
    was answered and is charged nothing more.
    """
    config = run.config
    plan_run(config)  # refuses what cannot be asked, before anything is opened
    released = run.directory.find(MEASUREMENTS)
    require_own_key(run)  # this and what follows: before Spark is started
    if released is None:
        require_durable(config)
        require_affordable(config)
        require_records(run)
    if run.table is None:
        require_input(config)
    opened = open_input(run.spark(to_compute=released is None), config, run.table)
    identity = digest_of({"settings": run.settings_digest, "input": opened.snapshot.digest})
    if released is not None and is_complete(run, released):
        return replayed(run, released, identity)
    require_durable(config, submitted(run.spark(to_compute=False)))
    account = begin(run, identity)  # waits while another driver holds the run
    with account:
        released = run.directory.find(MEASUREMENTS)  # by the driver that was waited for
        if released is None:
            return _measure(run, account, opened, identity)
        complete(run, account)  # the driver before was lost between its release and this
        return replayed(run, released, identity)


def _measure(run: Run, account: RunAccount, opened: OpenedInput, identity: str) -> Artefact:
    config, say = run.config, run.progress.say
    say(reservation(config, resumed=account.epoch > 1))
    try:
        remember(run, identity)
        keep_head(run, account.head)
        answers_of(run, account).sweep()
        answers = answers_of(run, account)
        transcript = Transcript(account, answers)
        config = learn(  # what the schema leaves open: values, k, bins, nulls
            Desk(
                config=config, opened=opened, account=account, answers=answers, transcript=transcript, say=say
            )
        )
        opened = opened.with_config(config)
        planned = plan_run(config, accounting=account.accounting, rho=account.rho)
        contribution = contribution_of(config)
        curator = Curator(
            domain=config.schema.domain,  # an attribute for each column, a cell for each declared value or bin
            contribution=contribution,  # the weight that bounding leaves a unit
            source=SparkMarginals(  # exact marginals of the bounded rows, counted when first asked for
                config.schema.domain,
                planned.queries.countable,
                lambda: opened.bounded_pass(account.run_id),
                passes=planned.passes,  # one, or as many as the declared memory asks for
                held_cells=planned.held_cells,
                weight=contribution.weight,  # a table that was bounded to more is refused
            ),
            account=account,  # what may be spent
            answers=answers,  # what was drawn: never drawn again
            transcript=transcript,
            drawn=run.progress.meter("noise", "cells"),
        )
        measurements = planned.mechanism.measure(curator, planned.queries, say)
    except Exception as failure:
        reserved = give_back(run, account)
        if isinstance(failure, SparkDPError):
            say_what_stays_charged(failure, reserved)
        raise
    finally:
        opened.release()
    statement = promise_of(
        config,
        account.run_id,
        account.accounting,
        account.rho,
        mechanism=planned.mechanism.name,
        reason=planned.reason,
    )
    account.require_held()  # a driver that was taken over releases nothing
    made = run.directory.commit(
        MEASUREMENTS,
        {
            **measurement_files(measurements, config.schema, statement),
            **choice_files(
                transcript,
                planned.mechanism.name,
                unit=contribution_of(config).unit,
                law=account.accounting.noise,
            ),
        },
        inputs=run.settings_digest,
    )
    complete(run, account)
    return made


def fit(run: Run) -> Artefact:
    """Fits the graphical model that agrees best with the measurements. Free: post-processing."""
    measured = measurements_of(run)
    max_cells = int(run.config.mechanism.max_model_mb * 1_000_000 / 8)
    inputs = digest_of({"measurements": measured.digest, "max_cells": max_cells})
    made = run.directory.find(MODEL)
    if made is not None and made.inputs == inputs:
        run.progress.say("the model of these measurements is there already")
        return made
    schema, measurements = read_schema(measured), read_measurements(measured)
    fitted = estimate(
        schema.domain,
        measurements,  # noisy marginals and the scale of their noise
        max_cells=max_cells,
        zeros=structural_zeros(schema),  # what no row may be, as it was declared
        progress=run.progress.step,
    )
    said = fitted.convergence
    run.progress.say(
        f"{fitted.model.cells:,} cells in {len(fitted.model.cliques)} cliques after {said.iterations} iterations; misfit "
        f"{said.loss:,.0f}, where noise alone would give the true table about {said.noise_floor:,.0f}, and proved to be "
        f"within {said.gap:.3g} of the least possible"
    )
    if not said.converged:
        run.progress.warn("the fit did not converge; the model is valid and private, but not the best one")
    files = {
        **model_files(fitted.model, said, measured.digest),
        **unmeasured_files(fitted.model, measurements, measured, records_of(run, measured)),  # for error bars
    }
    return run.directory.commit(MODEL, files, inputs=inputs)


def generate(run: Run) -> dict[str, Any]:
    """Writes the synthetic table. Free: a function of the model and the seed.

    Returns:
        The output's manifest.
    """
    measured = measurements_of(run)
    modelled = model_of(run, measured)
    config = resolved_config(run, measured)
    generated = config.generate_settings()
    digest = digest_of({"model": modelled.digest, "settings": generated})
    output = run.output
    recover(output)
    there = manifest_there(run)
    if there.get("generate_digest") == digest:
        recover(output)  # partitions follow their manifest
        run.progress.say("the output of this model and seed is there already")
        return there
    if not is_ours(run):
        require_writable(output)
    session = run.spark()
    run.directory.state.write("output", run.config.output.path.encode())
    rows = rows_to_generate(run, modelled)
    run.progress.say(f"{rows:,} rows to {run.config.output.path}")
    table = generate_table(  # typed rows, a chunk a stream
        session,
        shipped(run, modelled),
        config.schema,
        rows=rows,
        seed=run.config.run.seed,
    )
    with run.progress.counted_in("writing", rows, "rows"):
        write_rows(table, output, session, expected=rows)  # beside the output, and counted there
    statement = read_statement(measured)
    manifest = manifest_of(
        statement, rows=rows, generated=generated, digest=digest, earlier=earlier_runs(run, statement)
    )
    remember_manifest(run, manifest)
    try:
        written = publish(output, manifest)  # the old table or the new one, nothing between
    except OutputExistsError:
        published = by_another_driver(run, digest)
        if published is None:
            raise
        run.progress.say("another driver of this run was quicker: its output of this model and seed is there")
        recover(output)
        return published
    if written != manifest:  # other runs wrote partitions meanwhile, and are named too
        remember_manifest(run, written)
    return dict(json.loads(written))


def report(run: Run) -> str:
    """Writes a summary from released artefacts alone, as text and as a page. Free.

    Returns:
        The text.
    """
    measured = measurements_of(run)
    modelled = model_of(run, measured)
    statement, measurements, schema = (
        read_statement(measured),
        read_measurements(measured),
        read_schema(measured),
    )
    fitted, manifest = modelled.json("fit.json"), own_manifest(run)
    text = report_text(
        statement=statement, measurements=measurements, schema=schema, fitted=fitted, manifest=manifest
    )
    page = released_page(
        statement=statement,
        measurements=measurements,
        schema=schema,
        fitted=fitted,
        model=GraphicalModel.from_bytes(modelled.files["model.npz"]),
        manifest=manifest,
    )
    run.directory.commit(
        REPORT,
        {"report.txt": text.encode(), "report.html": page.encode()},
        inputs=digest_of({"measurements": measured.digest, "model": modelled.digest}),
    )
    return text


def evaluate(run: Run) -> Evaluation:
    """Compares the output with the input, marginal by marginal. NOT PRIVATE: for the owner alone.

    Returns:
        What is written to `internal/evaluation.json` and, as a page, to `internal/evaluation.html`, and nowhere else.
    """
    say = run.progress.say
    manifest = manifest_there(run)
    if not manifest:
        raise InputError(
            f"There is no finished output at {run.config.output.path!r} to evaluate. Nothing was read or spent. "
            "Run `spark-dp generate` first.",
            field="output.path",
        )
    measured = measurements_of(run)
    statement, config = read_statement(measured), resolved_config(run, measured)
    opened = open_input(run.spark(to_compute=False), config, run.table)
    compared = digest_of({"input": opened.snapshot.digest, "output": manifest, "run": statement["run_id"]})
    made = evaluation_there(run.directory.internal.read(EVALUATION), compared)
    if made is not None:
        say("the evaluation of this input and output is there already")
        return made
    choice, layout = marginals_to_compare(config)  # of one, two and three columns, by what fits in memory
    say(
        f"{layout.vector_cells:,} cells of "
        + ", ".join(f"{c.compared:,} of {c.of:,} {n}-way" for n, c in choice.coverage.items())
        + " marginals"
    )
    output = declared_columns(
        read_table(run.spark(), path=config.output.path), config.schema, frozenset(config.output.partition_by)
    )
    try:
        found = compare_tables(
            opened, output, choice, layout, run_id=statement["run_id"], compared=compared
        )  # shares of cells, rates of nulls, statistics of numbers: exact
    finally:
        opened.release()
    page = evaluation_page(found, dataset=config.privacy.dataset)
    run.directory.internal.write(EVALUATION_PAGE, page.encode())
    run.directory.internal.write(EVALUATION, evaluation_bytes(found))  # last: it says that both are there
    return found
