"""`spark-dp query`: marginals of a released model."""

from __future__ import annotations

from collections.abc import Sequence

import click

from spark_dp.commands.options import JSON, LOG, examples
from spark_dp.commands.voice import tell

SHOWN = 20
"""Cells of the table, where no limit is given."""


@click.command(
    short_help="Answers marginals of a released model. Free.",
    epilog=examples(
        "spark-dp query runs/visits/first --by ward",
        "spark-dp query runs/visits/first --by ward,age --limit 50",
        "spark-dp query s3://bucket/released --by age --where ward=A --csv > ages.csv",
        "spark-dp query runs/visits/first --by cost --where visited=2024-03-01 --json",
        "spark-dp query runs/visits/first --by ward --confidence 0.99",
    ),
)
@click.argument("model", metavar="MODEL", type=click.Path())
@click.option("--by", "by", multiple=True, required=True, metavar="COLUMNS", help="One or more columns: a,b.")
@click.option(
    "--where",
    multiple=True,
    metavar="COLUMN=VALUE",
    help="Only rows of one cell of a column, named by its label or a value in it. May be given again.",
)
@click.option(
    "--limit",
    type=click.IntRange(min=1),
    help=f"How many cells, the largest first; {SHOWN} of the table and all of --json and --csv without it.",
)
@click.option(
    "--confidence",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    default=0.95,
    show_default=True,
    help="Of each interval and bound of the answer's error bars.",
)
@click.option("--csv", "as_csv", is_flag=True, help="Writes CSV.")
@JSON
@LOG
def query(
    model: str,
    by: Sequence[str],
    where: Sequence[str],
    limit: int | None,
    confidence: float,
    as_csv: bool,
    as_json: bool,
    log_format: str,  # noqa: ARG001
) -> None:
    """Says how many rows each combination of some columns has, by a released model. Free.

    MODEL is a run directory (run.directory/run.key), its released/ folder, or the model folder in that, at any URI.
    Needs no Spark and no ledger, and can be asked as often as you like. The intervals are those of the noisy counts that
    were released with the model; of columns that were not measured together, a bound says how far the model may be off.
    """
    from spark_dp.pipeline.query import ReleasedModel, marginal

    if as_csv and as_json:
        raise click.UsageError("--csv and --json are two formats. Choose one.")
    released = ReleasedModel.open(model)
    answer = marginal(released, _names(by, released.schema.names), where, confidence=confidence)
    text = (lambda: answer.csv(limit)) if as_csv else (lambda: "\n".join(answer.lines(limit or SHOWN)))
    tell({"command": "query", **answer.facts(limit)}, text, as_json=as_json)


def _names(given: Sequence[str], known: Sequence[str]) -> list[str]:
    """Splits `a,b` at its commas, unless a column has that very name."""
    return [name for text in given for name in ([text] if text in known else text.split(",")) if name != ""]
