"""The program around its commands: every way to fail ends in a sentence and an exit code, never in a stack trace."""

from __future__ import annotations

import errno
import os
import sys
import traceback
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, NoReturn

import click

from spark_dp.commands.voice import error_facts, logs_json, says_json, tell_error
from spark_dp.errors import (
    ConfigurationError,
    InternalError,
    SparkDPError,
    TransientError,
    nearest,
    without_credentials,
)
from spark_dp.spark.session import ENGINE_LOG, open_engine_log

INTERRUPTED = 130
READER_GONE = 141
"""What a shell reports of a program whose reader went away: 128 + SIGPIPE."""

_NO_ARGUMENTS = getattr(click.exceptions, "NoArgsIsHelpError", ())  # click 8.2


class ReaderGoneError(Exception):
    """Who read standard output has closed it."""


class CommandGroup(click.Group):
    """A group that lists its commands in the order of their use, and names the nearest where there is none."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return list(self.commands)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0] if args else ""
        if name and not name.startswith("-") and self.get_command(ctx, name) is None:
            known = self.list_commands(ctx)
            raise click.UsageError(
                f"There is no command {name!r}. Choose one of: {', '.join(known)}.{nearest(name, known)}", ctx
            )
        return super().resolve_command(ctx, args)


class Program(CommandGroup):
    """The whole command line. `main` is where every error ends."""

    group_class = CommandGroup

    def main(  # type: ignore[override]
        self, args: Sequence[str] | None = None, prog_name: str | None = None, **extra: Any
    ) -> NoReturn:
        """Runs a command and exits, whatever click's `standalone_mode` would do."""
        arguments = list(sys.argv[1:] if args is None else args)
        for stream in (sys.stdout, sys.stderr):
            with suppress(AttributeError, ValueError):  # a terminal or log that knows no ε
                stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
        extra["standalone_mode"] = False
        ends = _Ends(as_json=says_json(arguments), log_json=logs_json(arguments))
        try:
            code = super().main(arguments, prog_name, **extra)
        except Exception as error:
            code = ends.code_of(error)
        sys.exit(code if isinstance(code, int) else 0)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except BrokenPipeError:  # click would make it an exit code of its own
            raise ReaderGoneError from None


class _Ends:
    """Says how a command ended that raised, and returns its exit code."""

    def __init__(self, *, as_json: bool, log_json: bool) -> None:
        self._as_json = as_json
        self._log_json = log_json

    def code_of(self, error: Exception) -> int:
        try:
            return self._code_of(error)
        except OSError:  # nobody can be told
            _let_go_of_output()
            return 70 if not isinstance(error, SparkDPError) else error.exit_code

    def _code_of(self, error: Exception) -> int:
        if isinstance(error, _NO_ARGUMENTS):
            click.echo(without_credentials(error.format_message()), err=True)
            return self._told(ConfigurationError("No command was given. Nothing was read or spent."))
        if isinstance(error, click.UsageError):
            return self._told(_as_ours(error), hint=_usage(error))
        if isinstance(error, click.ClickException):
            return self._told(ConfigurationError(error.format_message()))
        if isinstance(error, click.Abort):
            facts = {
                "exit_code": INTERRUPTED,
                "retriable": True,
                "field": None,
                "message": "Interrupted. What the run had reserved stays reserved, and the same key resumes it.",
            }
            tell_error(facts, as_json=self._as_json, log_json=self._log_json)
            return INTERRUPTED
        if isinstance(error, SparkDPError):
            return self._told(error)
        if isinstance(error, ReaderGoneError | BrokenPipeError):
            _let_go_of_output()
            return READER_GONE
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EIO, errno.EBADF):
            _let_go_of_output()
            return self._told(
                TransientError(
                    f"The result could not be written to standard output ({error.strerror}). What the command did "
                    "stands; run it again with an output that can be written."
                )
            )
        return self._told(_withheld(error))

    def _told(self, error: SparkDPError, *, hint: str = "") -> int:
        tell_error(error_facts(error), as_json=self._as_json, log_json=self._log_json, hint=hint)
        return error.exit_code


def _as_ours(error: click.UsageError) -> ConfigurationError:
    message = error.format_message()
    field = error.param.name if isinstance(error, click.BadParameter) and error.param else None
    return ConfigurationError(f"{message.rstrip()} Nothing was read or spent.", field=field)


def _usage(error: click.UsageError) -> str:
    if error.ctx is None:
        return ""
    return f"{error.ctx.get_usage()}\nTry '{error.ctx.command_path} --help' for examples.\n\n"


def _withheld(error: Exception) -> InternalError:
    if os.environ.get(ENGINE_LOG):
        with suppress(OSError), open_engine_log("a") as log:
            traceback.print_exception(error, file=log)
    # The text of an unforeseen error may hold a value of a row.
    return InternalError(
        f"An unforeseen {type(error).__name__} ended the command; its text is withheld, for it may hold values. "
        f"Set {ENGINE_LOG} to a file to keep it there."
    )


def _let_go_of_output() -> None:
    """Sends what is left in the buffer nowhere, so that the interpreter does not fail over it when it ends."""
    with suppress(OSError, ValueError, AttributeError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
