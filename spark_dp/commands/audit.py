"""`spark-dp audit`: attacks the product on tables that it generates."""

from __future__ import annotations

from collections.abc import Sequence

import click

from spark_dp.commands.options import JSON, LOG, QUIET, examples
from spark_dp.commands.voice import progress_for, tell

BROKEN = 70


@click.command(
    short_help="Attacks the product on generated tables.",
    epilog=examples(
        "spark-dp audit",
        "spark-dp audit --mechanism mst --canaries 4000 --draws 200",
        "spark-dp audit --json > audit.json",
    ),
)
@click.option(
    "--mechanism", "mechanisms", multiple=True, metavar="NAME", help="Only this one. May be given again."
)
@click.option(
    "--canaries",
    type=click.IntRange(100, 1_000_000),
    default=40_000,
    show_default=True,
    help="Units of a table.",
)
@click.option(
    "--draws",
    type=click.IntRange(10, 100_000),
    default=400,
    show_default=True,
    help="Of each choice and scoring, on each table.",
)
@click.option(
    "--confidence",
    type=click.FloatRange(0.5, 1, max_open=True),
    default=0.99,
    show_default=True,
    help="Of each line of the result.",
)
@QUIET
@JSON
@LOG
@click.pass_context
def audit(
    ctx: click.Context,
    mechanisms: Sequence[str],
    canaries: int,
    draws: int,
    confidence: float,
    quiet: bool,
    as_json: bool,
    log_format: str,
) -> None:
    """Attacks measuring, choosing and scoring, and says how much of the claimed loss of privacy it could prove.

    It takes no configuration: tables are generated, and ledgers thrown away. No account is charged.
    Needs Spark on this machine, and a few minutes. Exits with 70 where a claim is broken.
    """
    from spark_dp.audit.audit import audit_all
    from spark_dp.audit.findings import lines
    from spark_dp.mechanisms.catalog import mechanism_named

    for name in mechanisms:
        mechanism_named(name)
    found = audit_all(
        progress_for(quiet=quiet, log_format=log_format),
        mechanisms=mechanisms,
        canaries=canaries,
        draws=draws,
        scorings=draws,
        confidence=confidence,
    )
    facts = {"command": "audit", "confidence": confidence, "findings": [finding.facts() for finding in found]}
    tell(facts, lambda: "\n".join(lines(found, confidence=confidence)), as_json=as_json)
    if not all(finding.holds for finding in found):
        ctx.exit(BROKEN)
