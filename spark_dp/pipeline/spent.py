"""What a failure says was spent, made true where the run had answered queries before it."""

from __future__ import annotations

import re
from typing import Final

from spark_dp.errors import SparkDPError

_CLAIM: Final = re.compile(r"\bNothing was ((?:read or )?spent\b)")
_BEFORE: Final = "What this run asked before is answered and stays charged."


def say_what_stays_charged(failure: SparkDPError) -> None:
    """Corrects the failure's message in place: checks that run before any query also run after private steps.

    "Nothing was spent" becomes "What this run asked before is answered and stays charged. Nothing more was spent".
    A message that claims nothing of the kind stays as it is.
    """
    said = _CLAIM.sub(rf"{_BEFORE} Nothing more was \1", failure.message, count=1)
    failure.args = (said, *failure.args[1:])
