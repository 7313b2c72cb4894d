"""The command line: `spark-dp COMMAND CONFIG`."""

from __future__ import annotations

import click

from spark_dp import __version__
from spark_dp.commands import run
from spark_dp.commands.audit import audit
from spark_dp.commands.completion import completion
from spark_dp.commands.init import init
from spark_dp.commands.ledger import ledger
from spark_dp.commands.options import examples
from spark_dp.commands.program import Program
from spark_dp.commands.query import query
from spark_dp.commands.validate import validate


@click.group(
    cls=Program,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=examples(
        "spark-dp init data/visits > visits.yaml     then replace each ???",
        "spark-dp ledger open visits --ledger sqlite:///ledger.db --epsilon 4 --delta 1e-7 --unit patient_id",
        "spark-dp validate visits.yaml",
        "spark-dp plan visits.yaml",
        "spark-dp run visits.yaml",
        "spark-dp query runs/visits/first --by ward,age",
    )
    + "\n\n\b\nExit codes:\n"
    "  0 done, 78 configuration or usage, 65 input, 77 budget,\n"
    "  75 transient (the same key may be run again), 70 internal, 130 interrupted",
)
@click.version_option(__version__, prog_name="spark-dp")
def cli() -> None:
    """Differentially private synthetic tables on Apache Spark."""


for _command in (init, validate, *run.COMMANDS, query, ledger, audit, completion):
    cli.add_command(_command)


def main() -> None:
    """The entry point of the console script."""
    cli(prog_name="spark-dp")


if __name__ == "__main__":
    main()
