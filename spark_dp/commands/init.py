"""`spark-dp init`: a configuration to start from."""

from __future__ import annotations

from pathlib import Path

import click

from spark_dp.commands.options import JSON, LOG, QUIET, examples
from spark_dp.commands.voice import progress_for, tell
from spark_dp.errors import ConfigurationError


@click.command(
    short_help="Writes a configuration to start from, by a table's types only.",
    epilog=examples(
        "spark-dp init data/visits > visits.yaml",
        "spark-dp init s3://bucket/visits --output visits.yaml",
        "spark-dp init --table lake.clinic.visits --output visits.yaml",
    ),
)
@click.argument("path", metavar="TABLE", required=False, type=click.Path())
@click.option("--table", metavar="NAME", help="A table of a catalog that Spark knows, instead of a path.")
@click.option(
    "--output",
    type=click.Path(dir_okay=False),
    metavar="FILE",
    help="Writes to a file, which must not be there yet, instead of standard output.",
)
@QUIET
@JSON
@LOG
def init(
    path: str | None, table: str | None, output: str | None, quiet: bool, as_json: bool, log_format: str
) -> None:
    """Writes a commented configuration from a table's types only.

    TABLE is a folder or file of Parquet, at any URI that pyarrow.fs opens. Names and types are read from one
    footer. No row, value or statistic is looked at, and every domain is left for you to declare.
    """
    from spark_dp.pipeline.init_config import configuration_text
    from spark_dp.pipeline.init_types import read_catalog_types, read_parquet_types

    if (path is None) == (table is None):
        raise click.UsageError("Give the path of a table, or --table NAME: one of the two.")
    if output is not None and Path(output).exists():
        raise ConfigurationError(
            f"--output {output!r} is there already. It was left as it is. Choose another name, or remove it.",
            field="output",
        )
    if path is not None:
        columns = read_parquet_types(path)
    else:
        from spark_dp.spark.session import open_session

        progress = progress_for(quiet=quiet, log_format=log_format)
        try:
            with progress.waiting("starting Spark"):
                session = open_session({})
            columns = read_catalog_types(session, table or "")
        finally:
            progress.close()
    text = configuration_text(columns, path=path, table=table)
    if output is not None:
        _write(Path(output), text)
    facts = {
        "command": "init",
        "file": output,
        "configuration": text,
        "columns": [{"name": c.name, "type": c.type, "why": c.why or None} for c in columns],
    }
    written = f"{output}: replace each ???, then: spark-dp validate {output}"
    tell(facts, lambda: text.rstrip("\n") if output is None else written, as_json=as_json)


def _write(file: Path, text: str) -> None:
    try:
        with file.open("x", encoding="utf-8") as stream:
            stream.write(text)
    except OSError as error:
        raise ConfigurationError(
            f"--output {str(file)!r} cannot be written ({error.strerror}). Nothing was left there. Choose another name.",
            field="output",
        ) from None
