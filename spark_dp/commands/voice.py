"""How a command speaks: its result on standard output, its progress and errors on standard error.

With --json there is exactly one JSON document on standard output, of the result or of the error.
"""

from __future__ import annotations

import itertools
import json
import math
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from fractions import Fraction
from typing import Any

import click

from spark_dp.errors import SparkDPError
from spark_dp.pipeline.progress import Face, Progress, Silent
from spark_dp.pipeline.progress_lines import JsonLines, Lines

LOG_FORMAT = "SPARK_DP_LOG_FORMAT"
FORMATS = ("text", "json")


def says_json(arguments: Sequence[str]) -> bool:
    """Whether --json was asked for, also where the arguments cannot be parsed."""
    return "--json" in _options(arguments)


def logs_json(arguments: Sequence[str]) -> bool:
    """Whether progress and errors go to standard error as JSON lines."""
    options = _options(arguments)
    chosen = os.environ.get(LOG_FORMAT, "text")
    for option, after in itertools.pairwise([*options, ""]):
        if option == "--log-format":
            chosen = after
        elif option.startswith("--log-format="):
            chosen = option.partition("=")[2]
    return chosen == "json"


def progress_for(*, quiet: bool, log_format: str) -> Progress:
    """Returns where a command's progress goes: nowhere, to a log, or to a terminal with bars."""
    if quiet:
        return Progress(None)
    face: Face
    if log_format == "json":
        face = JsonLines(sys.stderr)
    else:
        face = Lines(sys.stderr)
        if sys.stderr.isatty():
            with suppress(ImportError):  # a cluster's environment may have no rich
                from spark_dp.pipeline.progress_bars import Bars, is_terminal

                if is_terminal(sys.stderr):
                    face = Bars(sys.stderr)
    return Progress(face=face)


def tell(facts: Mapping[str, Any], text: Callable[[], str], *, as_json: bool) -> None:
    """Says a command's result: as one JSON document, or as text to read."""
    click.echo(document(facts) if as_json else text())


def document(facts: Mapping[str, Any]) -> str:
    """Returns one strict JSON document: what is not finite is null."""
    return json.dumps(_plain(facts), ensure_ascii=False, indent=1, allow_nan=False)


def error_facts(error: SparkDPError) -> dict[str, Any]:
    """Returns an error as the JSON document of a command has it."""
    return {
        "exit_code": error.exit_code,
        "retriable": error.retriable,
        "field": error.field,
        "message": error.message,
    }


def tell_error(facts: Mapping[str, Any], *, as_json: bool, log_json: bool, hint: str = "") -> None:
    """Says on standard error why a command failed, and with --json on standard output too."""
    face: Face = JsonLines(sys.stderr) if log_json else Silent()
    Progress(face=face).error(str(facts["message"]))
    if not log_json:
        click.echo(f"{hint}error: {facts['message']}", err=True)
    if as_json:
        click.echo(document({"error": facts}))


def _options(arguments: Sequence[str]) -> list[str]:
    found = list(arguments)
    return found[: found.index("--")] if "--" in found else found


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    if isinstance(value, Fraction):
        return float(value)
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
