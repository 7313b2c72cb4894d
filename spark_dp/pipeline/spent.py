"""What a failure says was spent, made true where the run had answered queries before it, or may have."""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from spark_dp.errors import SparkDPError

_CLAIM: Final = re.compile(r"\bNothing was ((?:read or )?spent\b)")


class Reservation(StrEnum):
    """What became of what a run had reserved when it failed.

    Attributes:
        GIVEN_BACK: all of it: nothing was answered.
        ANSWERED: it stands, for something was answered.
        UNKNOWN: the ledger could not be asked, or another driver has taken the run over.
    """

    GIVEN_BACK = "given back"
    ANSWERED = "answered"
    UNKNOWN = "unknown"


_BEFORE: Final[Mapping[Reservation, str]] = {
    Reservation.ANSWERED: "What this run asked before is answered and stays charged.",
    Reservation.UNKNOWN: "It could not be found out whether anything was answered before: what was answered stays charged, "
    "and what was reserved may stand until the same key is run again.",
}


def say_what_stays_charged(failure: SparkDPError, reserved: Reservation) -> None:
    """Corrects the failure's message in place: checks that run before any query also run after private steps.

    "Nothing was spent" stays where all is given back. Else it becomes "Nothing more was spent", after what is known of
    what was asked before. A message that claims nothing of the kind stays as it is.
    """
    if reserved is Reservation.GIVEN_BACK:
        return
    said = _CLAIM.sub(rf"{_BEFORE[reserved]} Nothing more was \1", failure.message, count=1)
    failure.args = (said, *failure.args[1:])
