"""`spark-dp validate`: all that can be found wrong without the data."""

from __future__ import annotations

from collections.abc import Sequence

import click

from spark_dp.commands.options import CONFIG, JSON, LOG, SET, examples
from spark_dp.commands.run import load
from spark_dp.commands.voice import error_facts, tell


@click.command(
    short_help="Checks everything that needs no data.",
    epilog=examples(
        "spark-dp validate visits.yaml",
        "spark-dp validate visits.yaml --set run.key=2024-W02",
        "spark-dp validate visits.yaml --json | jq '.checks[] | select(.status == \"failed\")'",
    ),
)
@CONFIG
@SET
@JSON
@LOG
@click.pass_context
def validate(
    ctx: click.Context,
    config: str,
    overrides: Sequence[str],
    as_json: bool,
    log_format: str,  # noqa: ARG001
) -> None:
    """Checks everything that needs no data, and goes on after a problem where it can. Free.

    A configuration is read up to its first mistake. Then:
    plan, ledger and account, input's path, output, run directory and key, Python, PySpark and Java.
    Exits as the first problem would end the run.
    """
    from spark_dp.pipeline.validation import validate as look

    found = look(lambda: load(config, overrides))
    first = found.first_error
    facts = {
        "command": "validate",
        "valid": first is None,
        "checks": [check.facts() for check in found.checks],
        **({"error": error_facts(first)} if first is not None else {}),
    }
    failed = sum(check.error is not None for check in found.checks)
    said = "Nothing is wrong that can be seen without the data."
    if failed:
        said = f"{failed} {'problems' if failed > 1 else 'problem'}."

    def text() -> str:
        lines = [
            f"{c.status.upper() if c.error else c.status:8} {c.name:14} {c.message}" for c in found.checks
        ]
        return "\n".join([*lines, "", f"{said} Nothing was read or spent."])

    tell(facts, text, as_json=as_json)
    if first is not None:
        ctx.exit(first.exit_code)
