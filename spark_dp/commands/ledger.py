"""`spark-dp ledger`: accounts, what may be spent on a data set, and what was."""

from __future__ import annotations

import click

from spark_dp.commands.options import JSON, LEDGER, LOG, examples
from spark_dp.commands.program import CommandGroup
from spark_dp.commands.voice import tell

_URL = "--ledger sqlite:///ledger.db"


@click.group(
    cls=CommandGroup,
    short_help="Opens and shows accounts.",
    epilog=examples(
        f"spark-dp ledger open visits {_URL} --epsilon 4 --delta 1e-7 --unit patient_id",
        f"spark-dp ledger show visits {_URL}",
        f"spark-dp ledger history visits {_URL} --queries",
    ),
)
def ledger() -> None:
    """Opens and shows accounts: what may be spent on a data set, and what was."""


@ledger.command(
    "open",
    epilog=examples(
        f"spark-dp ledger open visits {_URL} --epsilon 4 --delta 1e-7 --unit patient_id",
        f"spark-dp ledger open logs {_URL} --epsilon 1 --delta 1e-9 --unit row",
        "LEDGER=postgresql+psycopg://... spark-dp ledger open visits --ledger env:LEDGER ...",
    ),
)
@click.argument("dataset")
@LEDGER
@click.option("--epsilon", type=float, required=True, help="What all runs together may spend.")
@click.option("--delta", type=float, required=True, help="Below a tenth of one over the number of units.")
@click.option("--unit", required=True, help="The column that identifies a person (several: a,b), or 'row'.")
@click.option(
    "--neighbours",
    type=click.Choice(["add_remove", "replace"]),
    default="add_remove",
    show_default=True,
    help="Which pairs of tables the promise makes hard to tell apart.",
)
@click.option("--confirm-large-delta", is_flag=True, help="Allows a delta above 1e-5.")
@click.option(
    "--accounting",
    type=click.Choice(["gaussian", "zcdp"]),
    default="gaussian",
    show_default=True,
    help="How costs add up, for good: gaussian allows the least noise, unless selection takes a large part.",
)
@click.option(
    "--thresholds-delta",
    default="0",
    metavar="NUMBER",
    help="Part of delta that pays for private values (values: {private: ...}), for good; a tenth of it is plenty.",
)
@click.option("--releases", type=int, help="No run may take more than one part in this many of the account.")
@JSON
@LOG
def open_(
    dataset: str,
    ledger: str,
    epsilon: float,
    delta: float,
    unit: str,
    neighbours: str,
    confirm_large_delta: bool,
    accounting: str,
    releases: int | None,
    thresholds_delta: str,
    as_json: bool,
    log_format: str,  # noqa: ARG001
) -> None:
    """Opens an account, and the ledger where there is none. Nothing else creates either."""
    from spark_dp.pipeline.describe import account_facts, account_lines
    from spark_dp.privacy.composition import Accounting
    from spark_dp.privacy.ledger import open_account
    from spark_dp.privacy.sensitivity import Neighbours

    made = open_account(
        ledger,
        dataset,
        epsilon,
        delta,
        unit,
        Neighbours(neighbours),
        allow_large_delta=confirm_large_delta,
        releases=releases,
        accounting=Accounting(accounting),
        thresholds=thresholds_delta,
    )
    tell(
        {"command": "ledger open", **account_facts(made)},
        lambda: "\n".join(account_lines(made)),
        as_json=as_json,
    )


@ledger.command(
    epilog=examples(f"spark-dp ledger show visits {_URL}", f"spark-dp ledger show visits {_URL} --json")
)
@click.argument("dataset")
@LEDGER
@JSON
@LOG
def show(dataset: str, ledger: str, as_json: bool, log_format: str) -> None:  # noqa: ARG001
    """Shows what an account may spend, has spent and has left."""
    from spark_dp.pipeline.describe import account_facts, account_lines
    from spark_dp.privacy.ledger import Ledger

    account = Ledger.connect(ledger).show(dataset)
    tell(
        {"command": "ledger show", **account_facts(account)},
        lambda: "\n".join(account_lines(account)),
        as_json=as_json,
    )


@ledger.command(
    epilog=examples(
        f"spark-dp ledger history visits {_URL}", f"spark-dp ledger history visits {_URL} --queries"
    )
)
@click.argument("dataset")
@LEDGER
@click.option("--queries", is_flag=True, help="Lists the queries of each run too.")
@JSON
@LOG
def history(dataset: str, ledger: str, queries: bool, as_json: bool, log_format: str) -> None:  # noqa: ARG001
    """Lists an account's runs, oldest first, and with --queries what each has asked."""
    from spark_dp.pipeline.describe import history_facts, history_lines
    from spark_dp.privacy.ledger import Ledger

    runs = Ledger.connect(ledger).history(dataset)
    tell(
        {"command": "ledger history", **history_facts(dataset, runs)},
        lambda: "\n".join(history_lines(runs, queries=queries)),
        as_json=as_json,
    )


@ledger.command(epilog=examples(f"spark-dp ledger close visits {_URL}"))
@click.argument("dataset")
@LEDGER
@JSON
@LOG
def close(dataset: str, ledger: str, as_json: bool, log_format: str) -> None:  # noqa: ARG001
    """Closes an account: runs that have begun may finish, new ones are refused."""
    from spark_dp.pipeline.describe import account_facts, account_lines
    from spark_dp.privacy.ledger import Ledger

    opened = Ledger.connect(ledger)
    opened.close_account(dataset)
    account = opened.show(dataset)
    tell(
        {"command": "ledger close", **account_facts(account)},
        lambda: "\n".join(account_lines(account)),
        as_json=as_json,
    )


@ledger.command(
    epilog=examples(
        f"spark-dp ledger bind visits s3://lake/visits {_URL}",
        f"spark-dp ledger bind research table:lake.health.visits {_URL} --confirm-shared",
    )
)
@click.argument("dataset")
@click.argument("input")
@LEDGER
@click.option("--confirm-shared", is_flag=True, help="Though another account has the input too.")
@JSON
@LOG
def bind(
    dataset: str,
    input: str,  # noqa: A002  what the user is shown
    ledger: str,
    confirm_shared: bool,
    as_json: bool,
    log_format: str,  # noqa: ARG001
) -> None:
    """Binds an account to an input: a path, or table:CATALOG.SCHEMA.NAME."""
    from spark_dp.pipeline.describe import account_facts, account_lines
    from spark_dp.privacy.ledger import Ledger

    account = Ledger.connect(ledger).bind(dataset, input, confirm_shared=confirm_shared)
    tell(
        {"command": "ledger bind", **account_facts(account)},
        lambda: "\n".join(account_lines(account)),
        as_json=as_json,
    )


@ledger.command(
    epilog=examples(f"spark-dp ledger void visits 2024-W01 {_URL}"),
)
@click.argument("dataset")
@click.argument("key")
@LEDGER
@JSON
@LOG
def void(dataset: str, key: str, ledger: str, as_json: bool, log_format: str) -> None:  # noqa: ARG001
    """Gives back a killed run that answered no query and will not be resumed."""
    from spark_dp.pipeline.describe import account_facts, account_lines
    from spark_dp.privacy.ledger import Ledger

    account = Ledger.connect(ledger).void(dataset, key)
    tell(
        {"command": "ledger void", "key": key, **account_facts(account)},
        lambda: "\n".join(account_lines(account)),
        as_json=as_json,
    )


@ledger.command("upgrade", epilog=examples(f"spark-dp ledger upgrade {_URL}"))
@LEDGER
@JSON
@LOG
def upgrade_(ledger: str, as_json: bool, log_format: str) -> None:  # noqa: ARG001
    """Upgrades a ledger that an earlier release wrote. Copy it first."""
    from spark_dp.pipeline.describe_ledger import upgrade_lines
    from spark_dp.privacy.ledger_upgrade import upgrade

    upgraded = upgrade(ledger)
    tell(
        {"command": "ledger upgrade", "datasets": list(upgraded)},
        lambda: "\n".join(upgrade_lines(upgraded)),
        as_json=as_json,
    )
