"""Plans, results and accounts as lines to read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from spark_dp.pipeline.run import Run
from spark_dp.pipeline.runner import RunResult
from spark_dp.privacy.account_views import AccountView, RunView


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
        yield f"Spent    (ε, δ) = ({promise['epsilon']:g}, {promise['delta']:g}) of account {run.config.privacy.dataset!r}"
    else:
        yield f"Spent    nothing again: ({promise['epsilon']:g}, {promise['delta']:g}) was charged when it was measured"
    yield f"Promise  {promise['promise']}"
    yield f"Run      {run.directory.folder.shown} (released/ may be published)"
    yield "Time     " + ", ".join(f"{name} {seconds:.1f} s" for name, seconds in result.seconds.items())
    if result.evaluation is not None:
        yield ""
        yield result.evaluation.text()


def account_lines(account: AccountView) -> Iterator[str]:
    """Shows an account."""
    yield f"Account    {account.dataset} ({account.status}), opened {account.opened_at}"
    yield f"Protects   {account.unit}, neighbours: {account.neighbours}"
    yield f"Budget     (ε, δ) = ({account.epsilon:g}, {account.delta:g}), that is ρ = {float(account.rho):.6g}"
    yield f"Spent      ρ = {float(account.spent_rho):.6g}, that is ε = {account.spent_epsilon:.6g} at this δ"
    yield f"Left       ρ = {float(account.remaining_rho):.6g}: a run of ε = {account.remaining_epsilon:.6g} at this δ"


def history_lines(runs: Sequence[RunView]) -> Iterator[str]:
    """Lists an account's runs with their queries."""
    if not runs:
        yield "No run yet."
    for run in runs:
        yield (
            f"{run.created_at}  {run.key}  {run.status}  (ε, δ) = ({run.epsilon:g}, {run.delta:g}), "
            f"ρ = {float(run.rho):.6g}, run {run.run_id}"
        )
        for query in run.queries:
            yield f"    {query.ordinal:3} {query.name:32} {query.kind:8} {query.state:9} ρ = {float(query.event.rho):.6g}"
