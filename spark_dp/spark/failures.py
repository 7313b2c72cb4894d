"""Spark's failures, told without a private value.

Spark's messages hold cells of the table (a failed cast prints the value it could not cast), and paths hold
values of partition columns. What is passed on is the kind of failure, Spark's own error class, and the file.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from spark_dp.errors import InputError, SparkDPError, TransientError

_PARTITION = re.compile(r"(?:(?<=/)|^)([^/=]+)=[^/]*(?=/)")
_LOGGERS = ("SQLQueryContextLogger", "DataFrameQueryContextLogger")
_CORRUPT = re.compile(
    r"is not a Parquet file|FAILED_READ_FILE|CANNOT_READ_FILE|ParquetDecodingException|"
    r"Could not read footer|ParquetEncodingException|corrupt|Unable to read|magic number",
    re.IGNORECASE,
)


def redact_path(path: str) -> str:
    """Returns the path with the values of partition folders left out: `ds=2013-01-01` becomes `ds=*`."""
    return _PARTITION.sub(r"\1=*", path)


@contextmanager
def told_without_values(doing: str, *, field: str = "input", files: Sequence[str] = ()) -> Iterator[None]:
    """Turns whatever Spark raises inside into an error that holds no value of a row.

    Args:
        doing: what was being done, as the message says it: "counting the marginals".
        field: the setting to look at. Where it is not the input's, no failure is the input's fault.
        files: the input's files, to say which of them a failure is about.

    Raises:
        InputError: a file could not be read, or a row broke an expression of the user's own.
        TransientError: anything else the engine failed with.
    """
    try:
        with nothing_logged():
            yield
    except SparkDPError:
        raise
    except Exception as error:
        raise _translate(error, doing, field, files) from None


@contextmanager
def nothing_logged() -> Iterator[None]:
    """Keeps PySpark's own loggers quiet: they write the message, with the cell at fault, to standard error."""
    try:
        from pyspark.logger import PySparkLogger
    except ImportError:  # PySpark before 4.0 logs none
        yield
        return
    loggers = [PySparkLogger.getLogger(name) for name in _LOGGERS]
    before = [logger.disabled for logger in loggers]
    for logger in loggers:
        logger.disabled = True
    try:
        yield
    finally:
        for logger, disabled in zip(loggers, before, strict=True):
            logger.disabled = disabled


def condition_of(error: Exception) -> str | None:
    """Returns Spark's own name of a failure, such as CAST_INVALID_INPUT.

    It is asked for and never read out of the message, where a value in brackets looks the same.
    """
    for thrown in _thrown(error):
        for question in ("getCondition", "getErrorClass"):
            found = _ask(thrown, question)
            if found:
                return str(found)
    return None


def kind_of(error: Exception) -> str:
    """Returns what a failure is called, by Spark where it has a name for it."""
    return condition_of(error) or type(error).__name__


def files_at_fault(error: Exception, files: Sequence[str] = ()) -> list[str]:
    """Returns the files that a failure names, without the values of their partitions.

    Args:
        files: of the input, of which those are taken whose names its text has where Spark names none itself.
    """
    return _file_at_fault(error) or [redact_path(f) for f in files if f.rsplit("/", 1)[-1] in str(error)]


def _file_at_fault(error: Exception) -> list[str]:
    for thrown in _thrown(error):
        if str(_ask(thrown, "getCondition") or "").startswith(("FAILED_READ_FILE", "CANNOT_READ_FILE")):
            path = (_ask(thrown, "getMessageParameters") or {}).get("path")
            return [redact_path(str(path))] if path else []
    return []


def _thrown(error: Exception) -> Iterator[Any]:
    """Yields the error and, where Py4J passes on Java's own, that one and what caused it."""
    yield error
    thrown = getattr(error, "java_exception", None)
    while thrown is not None:
        yield thrown
        thrown = _ask(thrown, "getCause")


def _ask(thrown: Any, question: str) -> Any:
    try:
        return getattr(thrown, question)()
    except Exception:
        return None


def _translate(error: Exception, doing: str, field: str, files: Sequence[str]) -> SparkDPError:
    said = str(error)
    condition = condition_of(error)
    named = f"{type(error).__name__} {condition}" if condition else type(error).__name__
    touched = files_at_fault(error, files)
    reads_input = field.partition(".")[0] == "input"
    if reads_input and _CORRUPT.search(said):
        which = f"the file {touched[0]}" if touched else "a file of the input"
        return InputError(
            f"While {doing}, {which} could not be read as declared ({named}). No query was answered from it. "
            "Repair or remove it, and run the same key again.",
            field=field,
        )
    if reads_input and re.search(r"CAST_INVALID_INPUT|DIVIDE_BY_ZERO|ARITHMETIC_OVERFLOW|CANNOT_PARSE", said):
        return InputError(
            f"While {doing}, a row broke an expression ({named}). No query was answered. Write input.filter with "
            "try_cast or try_divide where it casts or divides: they give null instead of failing.",
            field="input.filter",
        )
    return TransientError(
        f"While {doing}, Spark failed ({named}). No query was answered by this step. Its message is withheld, for it "
        "may hold values of rows; see Spark's own log. The same key can be run again.",
        field=field,
    )
