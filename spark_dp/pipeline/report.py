"""A summary of a release, made of released artefacts alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spark_dp.privacy.measurement import Measurement
from spark_dp.privacy.stated import at_least, declared
from spark_dp.schema.table import TableSchema

SHOWN_CELLS = 12
"""Cells of a column that are listed: the largest ones."""


def report_text(
    *,
    statement: Mapping[str, Any],
    measurements: Sequence[Measurement],
    schema: TableSchema,
    fitted: Mapping[str, Any],
    manifest: Mapping[str, Any],
) -> str:
    """Returns the summary: the promise, what was asked, how the model fits, and the noisy distributions.

    Guarantees: post-processing of released artefacts; it may be published with them.
    """
    lines = [
        "The promise",
        f"  {statement['promise']}",
        f"  Each {statement['unit']} counts with the weight of at most {statement['max_rows_per_unit']} rows. "
        f"Run {statement['run_id']}, mechanism {statement['mechanism']}.",
        *accounting_lines(statement),
        *_earlier_lines(manifest.get("earlier_runs", [])),
        "",
        "What was asked",
        f"  {'query':28} {'marginals':>9} {'cells':>9} {'noise, rows (σ)':>16}",
    ]
    for name in dict.fromkeys(m.query for m in measurements):
        group = [m for m in measurements if m.query == name]
        cells = sum(m.noisy.size for m in group)
        lines.append(f"  {name:28} {len(group):9} {cells:9,} {group[0].stddev:16,.1f}")
    lines += ["", "The model", *(f"  {line}" for line in _model_lines(fitted))]
    if manifest:
        lines.append(f"  {manifest['rows']:,} synthetic rows, seed {manifest['seed']}")
    if rules := schema.rules():
        lines += ["", "Rules that every synthetic row keeps (declared, so that they cost nothing)"]
        lines += [f"  {rule}" for rule in rules]
    lines += ["", "Noisy counts by column, in rows ± σ (largest cells first)"]
    for measured in (m for m in measurements if len(m.clique) == 1):
        labels = schema.column(measured.clique[0]).cell_labels()
        lines.append(f"  {measured.clique[0]}")
        lines += [f"    {line}" for line in _cell_lines(labels, measured.values, measured.stddev)]
    lines += [
        "",
        "How to use it",
        *(f"  {line}" for line in _usage(statement)),
    ]
    return "\n".join(lines) + "\n"


def accounting_lines(statement: Mapping[str, Any]) -> list[str]:
    """Says how the promise was proved, and what the same release promises at other deltas."""
    proved = statement.get("accounting")  # releases before this one did not say
    if proved is None:
        return []
    others = ", ".join(
        f"ε = {at_least(p['epsilon'], 4)} at δ = {declared(p['delta'])}"
        for p in proved["promises"]
        if p["delta"] != statement["delta"]
    )
    return [f"  Proved by: {proved['method']}. The same release keeps {others}."]


def _earlier_lines(earlier: Sequence[Mapping[str, Any]]) -> list[str]:
    if not earlier:
        return []
    return [
        f"  The output also holds partitions of {len(earlier)} earlier {'run' if len(earlier) == 1 else 'runs'}, "
        "whose cost for the same units adds up with the above:",
        *(f"    run {run['run_id']}: {run['promise']}" for run in earlier),
    ]


def _usage(statement: Mapping[str, Any]) -> list[str]:
    rows = (
        "each row counts once"
        if statement["unit"] == "row"
        else (f"each {statement['unit']} counts as at most {statement['max_rows_per_unit']} rows")
    )
    return [
        f"Shares answer like those of the table in which {rows}, within the noise above: where some have many more",
        "rows than that, shares of the full table differ. Of relations, those named above are kept, as far as the noise",
        "and the bins allow; all others are as if by chance. Values are spread evenly within their bin. Counts below a",
        "few σ are noise. Do not look for single persons or rare combinations: the rows are drawn from a model.",
        "What was asked to choose relations, if anything, was charged too: the ledger's history lists every query.",
    ]


def _model_lines(fitted: Mapping[str, Any]) -> list[str]:
    pairs = [" × ".join(clique) for clique in fitted["cliques"] if len(clique) > 1]
    state = "converged" if fitted["converged"] else "NOT CONVERGED"
    return [
        f"relations kept: {'; '.join(pairs) if pairs else 'none, the columns are independent'}",
        f"{state}: misfit to the noisy counts {fitted['loss']:,.1f} (noise alone would give the true table about "
        f"{fitted['noise_floor']:,.1f}), proved to be within {at_least(fitted['gap'], 3)} of the least possible",
        f"estimated total, each unit bounded: {fitted['total']:,.0f} rows",
    ]


def _cell_lines(labels: Sequence[str], values: NDArray[np.float64], stddev: float) -> list[str]:
    order = np.argsort(-values, kind="stable")
    width = max(len(label) for label in labels)
    lines = [f"{labels[i]:{width}} {values[i]:14,.0f} ± {stddev:,.0f}" for i in order[:SHOWN_CELLS]]
    left = len(order) - SHOWN_CELLS
    return [*lines, f"… and {left} more cells"] if left > 0 else lines
