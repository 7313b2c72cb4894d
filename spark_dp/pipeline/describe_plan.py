"""A plan as a page to read, at most 110 columns wide."""

from __future__ import annotations

import itertools
import textwrap
from collections.abc import Iterator, Sequence
from typing import Any, Final

from spark_dp.mechanisms.protocol import PlannedQuery
from spark_dp.pipeline.config_sections import ColumnUnit
from spark_dp.pipeline.expected_error import GOOD, ExpectedError, ExpectedRows
from spark_dp.pipeline.plan_account import CHARGED, NOT_OPENED, UNREACHABLE, Standing
from spark_dp.pipeline.plan_accounting import noise_of_other, promises_of
from spark_dp.pipeline.plan_private import private_lines
from spark_dp.pipeline.plan_resources import passes_of
from spark_dp.pipeline.plan_time import time_lines
from spark_dp.pipeline.planning import RunPlan
from spark_dp.privacy.composition import Accounting
from spark_dp.privacy.stated import at_least, at_most, declared, pair
from spark_dp.schema.describe import show

WIDTH: Final = 110
COLUMNS_SHOWN: Final = 40
PAIRS_SHOWN: Final = 10
PASSES_SHOWN: Final = 3
NAMES_SHOWN: Final = 20
_NAME: Final = 34


def plan_lines(plan: RunPlan) -> Iterator[str]:
    """Says what a run will ask, how noisy the answers will be, and what it costs, takes and makes."""
    standing = plan.standing()
    yield f"Plan of run {plan.config.run.key!r}. Free: no table was opened and nothing was spent."
    parts = (
        ("PROMISE", _promise(plan)),
        ("ACCOUNT", _account(standing)),
        *([("WHAT IS LEARNED FIRST", private_lines(plan))] if plan.steps else []),
        ("WHAT WILL BE ASKED", _questions(plan)),
        ("EXPECTED ERROR", _errors(plan)),
        ("WORK", _work(plan)),
        ("TIME", time_lines(plan.time)),
        ("WHAT BECOMES OF VALUES AND ROWS", _bullets(_grouped_notes(plan))),
        ("WARNINGS", _bullets(plan.warnings(standing) or ["none"])),
    )
    for title, lines in parts:
        yield ""
        yield title
        yield from lines


def _promise(plan: RunPlan) -> Iterator[str]:
    config, rho = plan.config, plan.rho
    budget, unit = config.privacy.budget, config.privacy.unit
    change = "added or removed" if config.privacy.neighbours == "add_remove" else "replaced by another"
    if isinstance(unit, ColumnUnit):
        most = f"{unit.max_rows}" if unit.learned is None else f"k ({unit.max_rows} at most, learned)"
        whom = f"all rows of one {unit.label}, of which at most {most} rows' weight count"
    else:
        whom = "one row"
    yield _fact("protects", f"{whom}; neighbouring tables differ by one, {change}")
    yield _fact(
        "promises",
        f"(ε, δ) = {pair(budget.epsilon, budget.delta)}, that is ρ = {float(rho):.5g}",
    )
    promises = promises_of(config, plan.accounting, rho)
    own = next(p for p in promises if p.delta == budget.delta)
    other = noise_of_other(config, plan.queries, plan.accounting)
    kind = "zCDP" if plan.accounting is Accounting.GAUSSIAN else "Gaussian DP"
    yield _fact(
        "proved by",
        f"{own.method}; an account of {kind} would have {abs(other - 1):.1%} {'more' if other >= 1 else 'LESS'} noise",
    )
    also = (f"ε = {at_least(p.epsilon, 4)} at δ = {declared(p.delta)}" for p in promises if p is not own)
    yield from _wrapped(f"  {'and keeps':12} {', '.join(also)}", " " * 15)


def _account(standing: Standing) -> Iterator[str]:
    account = standing.account
    if account is None:
        kind = {NOT_OPENED: "not opened yet", UNREACHABLE: "ledger unreachable"}[standing.state]
        yield from _wrapped(f"  {standing.dataset}: {kind}. {standing.said}", "  ")
        return
    yield _fact(
        "account",
        f"{standing.dataset} ({account.status}), of (ε, δ) = {pair(account.epsilon, account.delta)}",
    )
    yield _fact("left before", _left(float(account.remaining_rho), account.remaining_epsilon, account.delta))
    if standing.state == CHARGED:
        yield _fact("this run", "charged already, costs nothing again")
    if standing.left_after is not None:
        after = _left(float(standing.left_after), standing.epsilon_after or 0.0, account.delta)
        runs = standing.runs_after
        yield _fact("left after", after + (f"; {runs:,} more runs like this one" if runs else ""))
    if standing.said:
        yield from _wrapped(f"  {standing.said}", "  ")


def _left(rho: float, epsilon: float, delta: float) -> str:
    if epsilon < 1e-4:
        return "nothing"
    return f"ρ = {rho:.4g}, a run of ε = {at_most(epsilon, 4)} at δ = {declared(delta)}"


def _questions(plan: RunPlan) -> Iterator[str]:
    domain, rho, why = plan.config.schema.domain, plan.rho, plan.reason_before
    yield _fact("mechanism", plan.mechanism.name if why is None else f"auto: {why}")
    yield _fact("workload", _workload(plan.workload_facts()))
    yield ""
    yield f"  {'query':{_NAME}} {'asks':8} {'marginals':>10} {'cells':>13} {'share of ρ':>11} {'noise σ, rows':>14}"
    for name, query, times in _merged(plan.queries.queries):
        cells = sum(domain.cells(clique) for clique in query.cliques)
        share = float(query.rho * times / rho)
        yield (
            f"  {_cut(name, _NAME)} {query.kind:8} {len(query.cliques):10,} {cells:13,} {share:11.1%} "
            f"{_number(query.stddev):>14}"
        )
    for note in plan.queries.notes:
        yield ""
        yield from _wrapped(f"  {note}", "  ")


def _workload(facts: dict[str, Any]) -> str:
    groups = _many(facts["groups"], "group")
    kind = {None: f"{groups} of columns that the configuration lists", 1: _many(facts["groups"], "column")}
    every = "all " if facts["groups"] > 1 else ""
    what = kind.get(facts["degree"], f"{every}{groups} of {facts['degree']} columns")
    if facts["degree"] == 2:
        what = f"{every}{_many(facts['groups'], 'pair')} of columns"
    because = "" if facts["reduced_because"] is None else f". {facts['reduced_because']}"
    return f"{what}, {_many(facts['cells'], 'cell')}{because}"


def _merged(queries: Sequence[PlannedQuery]) -> Iterator[tuple[str, PlannedQuery, int]]:
    """Gives equal queries in a row once, with how many there are."""

    def same(query: PlannedQuery) -> tuple[object, ...]:
        name = query.name if query.kind == "measure" else query.kind
        return name, query.rho, query.stddev, len(query.cliques)

    for _, equal in itertools.groupby(queries, key=same):
        found = list(equal)
        first, last = found[0].name, found[-1].name.rpartition("-")[2]
        yield (first if len(found) == 1 else f"{first} to {last}"), found[0], len(found)


def _errors(plan: RunPlan) -> Iterator[str]:
    expected, columns, pairs = plan.expected, plan.errors(1), plan.errors(2)
    yield from _wrapped(f"  {_explained(expected)}", "  ")
    yield ""
    types = {column.name: str(column.type) for column in plan.config.schema.columns}
    yield _error_head("column", "type", expected)
    for error in columns[:COLUMNS_SHOWN]:
        yield _error_line(error.clique[0], types[error.clique[0]], error, expected)
    if len(columns) > COLUMNS_SHOWN:
        yield f"  and {len(columns) - COLUMNS_SHOWN} more columns with smaller errors (--json has all)"
    if not pairs:
        yield from _wrapped(
            "  No pair is measured: the columns of the output are independent of one another.", "  "
        )
        return
    yield ""
    kept = " if kept" if pairs[0].if_kept else ""
    shown = f", the {PAIRS_SHOWN} worst of {len(pairs):,}" if len(pairs) > PAIRS_SHOWN else ""
    yield _error_head(f"pair{kept}{shown}", "", expected)
    for error in pairs[:PAIRS_SHOWN]:
        yield _error_line(" × ".join(error.clique), "", error, expected)
    good = sum(1 for pair in pairs if pair.tvd is not None and pair.tvd <= GOOD)
    if expected.rows is not None:
        yield f"  {good:,} of {_many(len(pairs), 'pair')} would be off by at most {GOOD:.0%}{kept}."


def _explained(expected: ExpectedRows) -> str:
    meaning = (
        "From the noise alone, at most about: rows that stand in a wrong cell of a marginal, and as a share of all rows "
        "(total variation)."
    )
    if expected.rows is None:
        return (
            f"{meaning} The table's size is not declared: the last column is how many rows would bring {GOOD:.0%}. Write "
            "input.expected_rows for shares: about how many rows count, as far as you may say it without looking."
        )
    because = "rows are asked for in output.rows" if expected.source == "output.rows" else "rows count"
    return f"{meaning} Given that about {expected.rows:,} {because}, where each unit counts as bounded."


def _error_head(name: str, kind: str, expected: ExpectedRows) -> str:
    last = f"rows for {GOOD:.0%}" if expected.rows is None else "error"
    return f"  {name:{_NAME}} {kind:14} {'cells':>11} {'noise σ, rows':>14} {'wrong rows':>13} {last:>14}"


def _error_line(name: str, kind: str, error: ExpectedError, expected: ExpectedRows) -> str:
    wrong = error.rows if expected.rows is None else min(error.rows, expected.rows)
    last = f"{error.good_from:,.0f}" if error.tvd is None else _share(error.tvd)
    return f"  {_cut(name, _NAME)} {kind:14} {error.cells:11,} {_number(error.stddev):>14} {wrong:13,.0f} {last:>14}"


def _work(plan: RunPlan) -> Iterator[str]:
    memory, output = plan.memory, plan.output
    counting = len(plan.passes)
    passes = passes_of(plan.config, counting)
    said = "; ".join(passes if counting <= PASSES_SHOWN else passes_of(plan.config))
    yield _fact("passes", f"{len(passes)} over the table: {said}")
    parts = (
        ""
        if counting == 1
        else f", in {counting} passes that fit the memory below; what is then measured of parts that could not be kept "
        "takes a pass for each measurement"
    )
    yield _fact(
        "counting",
        f"{_many(len(plan.layout.kept), 'marginal')}, {_many(plan.layout.vector_cells, 'cell')}{parts}",
    )
    yield _fact(
        "driver",
        f"{_size(memory.driver)} (counts {_size(memory.driver_counts)}, comparing {_size(memory.driver_scores)}, noise "
        f"{_size(memory.driver_noise)}, fit {_size(memory.driver_fit)}); allowed {_size(memory.driver_allowed)}, "
        "half of spark.driver.memory",
    )
    tasks = "1 task" if memory.tasks == 1 else f"{memory.tasks} tasks"
    yield _fact(
        "executor",
        f"{_size(memory.executor_counts)} for counts, with {tasks} at once; allowed "
        f"{_size(memory.executor_allowed)}, half of spark.executor.memory",
    )
    bound = " if that much turns out to be worth its noise" if memory.model_is_open else ""
    yield _fact(
        "model",
        f"at most {memory.model_cells:,} cells ({_size(8 * memory.model_cells)}){bound}; mechanism.max_model_mb allows "
        f"{plan.model_cells:,}",
    )
    rows = "as many rows as the noisy total says" if output.rows is None else f"{output.rows:,} rows"
    if output.rows is not None and not output.exact:
        rows = f"about {rows}, as many as the noisy total says"
    folders = f" in up to {output.folders:,} folders" if plan.config.output.partition_by else ""
    files = (
        ""
        if output.files is None
        else f"; {'up to ' if folders else ''}{output.files:,} Parquet files{folders}"
    )
    yield _fact("output", rows + (files or folders))


def _grouped_notes(plan: RunPlan) -> Iterator[str]:
    """Gives each note once, with all columns that it is about."""
    ranged = [c for c in plan.config.schema.columns if c.values is None]
    if ranged:
        ranges = [f"{c.name} ({show(c, c.min or 0)} to {show(c, c.max or 0)})" for c in ranged]
        yield f"A value out of range counts in the first or the last bin: {_listed(ranges)}."
    about: dict[str, list[str]] = {}
    for column in plan.config.schema.columns:
        for note in column.notes()[1 if column.values is None else 0 :]:
            sentence = note.removeprefix(f"Column {column.name!r}: ")
            about.setdefault(sentence[0].upper() + sentence[1:], []).append(column.name)
    for sentence, names in about.items():
        yield f"{sentence.removesuffix('.')}: {_listed(names)}."
    of_columns = {note for column in plan.config.schema.columns for note in column.notes()}
    yield from (note for note in plan.notes() if note not in of_columns)


def _bullets(sentences: Sequence[str] | Iterator[str]) -> Iterator[str]:
    for sentence in sentences:
        yield from _wrapped(f"  - {sentence}", "    ")


def _wrapped(text: str, indent: str) -> list[str]:
    return textwrap.wrap(
        text, WIDTH, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )


def _fact(name: str, text: str) -> str:
    return "\n".join(_wrapped(f"  {name:11}  {text}", " " * 15))


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - NAMES_SHOWN} more" if len(names) > NAMES_SHOWN else ""
    return ", ".join(names[:NAMES_SHOWN]) + more


def _many(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def _cut(name: str, width: int) -> str:
    return f"{name:{width}}" if len(name) <= width else f"{name[: width - 1]}…"


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:,.1f}" if value >= 1 else f"{value:.2g}"


def _share(share: float) -> str:
    return f"{share:.0%}" if share >= 0.1 else f"{share:.1%}" if share >= 0.001 else f"{share:.2g}"


def _size(count: int) -> str:
    if count < 1_000_000:
        return f"{count / 1e3:,.0f} kB"
    return f"{count / 1e9:,.1f} GB" if count >= 1e9 else f"{count / 1e6:,.1f} MB"
