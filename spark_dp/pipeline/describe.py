"""Plans, results and accounts as lines to read."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from spark_dp.pipeline.artefacts import MEASUREMENTS, MODEL, REPORT, read_statement
from spark_dp.pipeline.describe_ledger import (
    accounting_words,
    held_words,
    promise_lines,
    promise_list_facts,
    share_and_input_facts,
    share_and_input_lines,
)
from spark_dp.pipeline.run import Run
from spark_dp.pipeline.run_directory import Artefact
from spark_dp.pipeline.runner import RunResult
from spark_dp.privacy.account_views import AccountView, RunView
from spark_dp.privacy.stated import at_least, at_most, declared, pair


def counted_as(promise: Mapping[str, Any]) -> str:
    """Says how rows were counted."""
    if promise["unit"] == "row":
        return "each row counts once"
    return f"each {promise['unit']} counts as at most {promise['max_rows_per_unit']} rows"


def kept_relations(cliques: Sequence[Sequence[str]]) -> str:
    """Says which columns the model relates to each other."""
    pairs = [" × ".join(clique) for clique in cliques if len(clique) > 1]
    return (
        f"relations: {'; '.join(pairs)}"
        if pairs
        else "no relation: every column is independent of the others"
    )


def result_lines(run: Run, result: RunResult) -> Iterator[str]:
    """Says where the output is, what was spent, how long each stage took, and how close it came if asked for."""
    promise = result.manifest["privacy"]
    yield ""
    yield f"Output   {run.config.output.path}: {result.manifest['rows']:,} rows, with _manifest.json"
    if run.config.output.rows is None:
        yield f"         (rows: auto is the noisy total in which {counted_as(promise)}; set output.rows for another size)"
    yield f"Kept     {kept_relations(result.relations)}"
    if result.measured_now:
        yield f"Spent    (ε, δ) = {pair(promise['epsilon'], promise['delta'])} of account {run.config.privacy.dataset!r}"
    else:
        yield f"Spent    nothing again: {pair(promise['epsilon'], promise['delta'])} was charged when it was measured"
    yield f"Promise  {promise['promise']}"
    yield f"Run      {run.directory.folder.shown} (released/ may be published)"
    yield f"Report   {run.directory.folder.child(REPORT).shown}/report.html"
    yield "Time     " + ", ".join(f"{name} {seconds:.1f} s" for name, seconds in result.seconds.items())
    if result.evaluation is not None:
        yield f"NOT PRIVATE, for the owner alone: {run.directory.internal.shown}/evaluation.html (or `spark-dp evaluate`)"


def result_facts(run: Run, result: RunResult) -> dict[str, Any]:
    """Returns what a run made, JSON-able."""
    return {
        "output": {
            "path": run.config.output.path,
            "rows": result.manifest["rows"],
            "manifest": result.manifest,
        },
        "privacy": result.manifest["privacy"],
        "spent_now": result.measured_now,
        "dataset": run.config.privacy.dataset,
        "relations": result.relations,
        "run_directory": run.directory.folder.shown,
        "seconds": result.seconds,
        "evaluation": None
        if result.evaluation is None
        else f"{run.directory.internal.shown}/evaluation.json",
    }


def measure_facts(run: Run, measured: Artefact) -> dict[str, Any]:
    """Returns what was released by the measurement, JSON-able."""
    described = measured.json("measurements.json")["measurements"]
    return {
        "directory": run.directory.folder.child(MEASUREMENTS).shown,
        "privacy": read_statement(measured),
        "measurements": [
            {name: m[name] for name in ("query", "clique", "shape", "stddev_rows", "noisy_total_rows")}
            for m in described
        ],
    }


def measure_lines(facts: Mapping[str, Any]) -> Iterator[str]:
    cells = sum(math.prod(m["shape"]) for m in facts["measurements"])
    yield f"{len(facts['measurements'])} noisy marginals with {cells:,} cells in {facts['directory']}"
    yield f"Promise: {facts['privacy']['promise']}"


def fit_facts(run: Run, fitted: Artefact) -> dict[str, Any]:
    """Returns how the fit went, JSON-able."""
    return {"directory": run.directory.folder.child(MODEL).shown, **fitted.json("fit.json")}


def fit_lines(facts: Mapping[str, Any]) -> Iterator[str]:
    yield f"{facts['cells']:,} cells in {facts['directory']}"
    yield kept_relations(facts["cliques"])


def report_facts(run: Run) -> dict[str, Any]:
    """Returns where the report is, JSON-able."""
    folder = run.directory.folder.child(REPORT)
    made = run.directory.require(REPORT, made_by="report")
    return {"directory": folder.shown, "files": sorted(made.files)}


def account_lines(account: AccountView) -> Iterator[str]:
    """Shows an account."""
    yield f"Account    {account.dataset} ({account.status}), opened {account.opened_at}"
    yield f"Protects   {account.unit}, neighbours: {account.neighbours}"
    yield f"Budget     (ε, δ) = {pair(account.epsilon, account.delta)}, that is ρ = {float(account.rho):.6g}"
    yield f"Accounting {accounting_words(account)}"
    yield f"Spent      ρ = {float(account.spent_rho):.6g}, that is ε = {at_least(account.spent_epsilon, 6)} at this δ"
    left = at_most(account.remaining_epsilon, 6)
    yield f"Left       ρ = {float(account.remaining_rho):.6g}: a run of ε = {left} at this δ"
    yield from promise_lines(account)
    yield from share_and_input_lines(account)


def account_facts(account: AccountView) -> dict[str, Any]:
    """Returns an account, JSON-able."""
    return {
        "dataset": account.dataset,
        "status": account.status,
        "opened_at": account.opened_at,
        "unit": account.unit,
        "neighbours": account.neighbours.value,
        "epsilon": account.epsilon,
        "delta": account.delta,
        "rho": float(account.rho),
        "accounting": account.accounting.value,
        "spent_rho": float(account.spent_rho),
        "spent_epsilon": account.spent_epsilon,
        "remaining_rho": float(account.remaining_rho),
        "remaining_epsilon": account.remaining_epsilon,
        **promise_list_facts(account),
        **share_and_input_facts(account),
    }


def history_lines(runs: Sequence[RunView], *, queries: bool = True) -> Iterator[str]:
    """Lists an account's runs as a table, and below each its queries where asked for."""
    if not runs:
        yield "No run yet."
        return
    width = max(len("key"), *(len(run.key) for run in runs))
    yield f"{'began':25}  {'key':{width}}  {'status':8}  {'ε':>8}  {'δ':>8}  {'ρ':>10}  {'queries':>7}  run"
    for run in runs:
        yield (
            f"{run.created_at:25}  {run.key:{width}}  {run.status:8}  {declared(run.epsilon):>8}  {declared(run.delta):>8}  "
            f"{float(run.rho):10.6g}  {len(run.queries):7}  {run.run_id}{held_words(run)}"
        )
        for query in run.queries if queries else ():
            yield f"    {query.ordinal:3} {query.name:32} {query.kind:8} {query.state:9} ρ = {float(query.event.rho):.6g}"


def history_facts(dataset: str, runs: Sequence[RunView]) -> dict[str, Any]:
    """Returns an account's runs with their queries, JSON-able."""
    return {
        "dataset": dataset,
        "runs": [
            {
                "key": run.key,
                "run_id": run.run_id,
                "status": run.status,
                "created_at": run.created_at,
                "held_until": run.held_until,
                "epsilon": run.epsilon,
                "delta": run.delta,
                "rho": float(run.rho),
                "queries": [
                    {
                        "ordinal": query.ordinal,
                        "name": query.name,
                        "kind": query.kind,
                        "state": query.state,
                        "rho": float(query.event.rho),
                        "event": query.event.to_json(),
                        "reserved_at": query.reserved_at,
                        "answered_at": query.answered_at,
                    }
                    for query in run.queries
                ],
            }
            for run in runs
        ],
    }
