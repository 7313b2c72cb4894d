"""Errors that a user can act on.

Every message says what was asked, the value, the limit or the choices, what was not spent or released, and
what to change. No message may carry a value of a private row (`docs/privacy.md`).
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable

_CREDENTIALS = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*:/{1,3})[^\s'\"<>]*@")


def without_credentials(text: str) -> str:
    """Returns a text in which no URL has a user or a password any more: whatever stands before its last `@` is gone."""
    return _CREDENTIALS.sub(r"\1***@", text)


class SparkDPError(Exception):
    """The root of all errors raised on purpose.

    Attributes:
        exit_code: what the command line exits with.
        retriable: whether a scheduler may run the same key again and hope.
        field: the dotted name of the setting at fault, where there is one.
    """

    exit_code = 70
    retriable = False

    def __init__(self, message: str, *, field: str | None = None) -> None:
        super().__init__(without_credentials(message))
        self.field = None if field is None else without_credentials(field)

    @property
    def message(self) -> str:
        return str(self.args[0])


class ConfigurationError(SparkDPError):
    """The configuration is at fault: running it again cannot help."""

    exit_code = 78


class DomainTooLargeError(ConfigurationError):
    """A marginal or a model has more cells than the driver or an executor may hold."""


class InputError(SparkDPError):
    """The table is at fault: missing, unreadable, or not what the schema declares."""

    exit_code = 65


class InputChangedError(InputError):
    """The input changed while it was read. Nothing was drawn."""

    retriable = True


class OutputExistsError(ConfigurationError):
    """The output is there already and the mode does not allow replacing it."""


class BudgetError(SparkDPError):
    """The account or the run cannot pay for what was asked."""

    exit_code = 77


class BudgetExceededError(BudgetError):
    """A query costs more than is left. It was neither read nor drawn."""


class LedgerError(BudgetError):
    """The ledger or an account in it is missing, altered, or at odds with the run."""


class TakenOverError(LedgerError):
    """Another driver holds the run now. What it answers is the run's; running the same key again uses it."""

    exit_code = 75
    retriable = True


class TransientError(SparkDPError):
    """Something outside failed that may work next time."""

    exit_code = 75
    retriable = True


class InternalError(SparkDPError):
    """A check of our own failed. Nothing was released after it."""


class ContributionExceededError(InternalError):
    """The rows that were counted are not those that were bounded. Nothing was drawn."""

    exit_code = 75
    retriable = True


def nearest(name: str, choices: Iterable[str]) -> str:
    """Returns a hint such as ` Did you mean 'epsilon'?`, or an empty string."""
    found = difflib.get_close_matches(name, list(choices), n=1)
    return f" Did you mean {found[0]!r}?" if found else ""
