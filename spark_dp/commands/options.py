"""Options that commands share, each with one meaning."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click
from click.shell_completion import CompletionItem

from spark_dp.commands.voice import FORMATS, LOG_FORMAT

Command = Callable[..., Any]

CONFIG = click.argument("config", type=click.Path(dir_okay=False))


def _settings(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:  # noqa: ARG001
    from spark_dp.commands.settings import complete_setting

    return [CompletionItem(found) for found in complete_setting(incomplete)]


SET = click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="FIELD=VALUE",
    shell_complete=_settings,
    help="Overrides a setting, by the rules of the file: --set privacy.epsilon=1. May be given again.",
)
QUIET = click.option("--quiet", is_flag=True, help="Says nothing but the result and errors.")
JSON = click.option(
    "--json", "as_json", is_flag=True, help="Writes the result, or the error, as one JSON document."
)
LOG = click.option(
    "--log-format",
    type=click.Choice(FORMATS),
    default="text",
    envvar=LOG_FORMAT,
    show_default=True,
    show_envvar=True,
    help="How progress and errors are written to standard error.",
)
LEDGER = click.option(
    "--ledger", required=True, metavar="URL", help="A SQLAlchemy URL, or env:NAME for one in NAME."
)


def examples(*lines: str) -> str:
    """Returns the end of a command's help: its examples, one a line, as they are typed."""
    return "\b\nExamples:\n" + "\n".join(f"  {line}" for line in lines)


def on_a_run(command: Command) -> Command:
    """Gives a command what all have that work on a run's configuration."""
    for option in (LOG, QUIET, JSON, SET, CONFIG):
        command = option(command)
    return command
