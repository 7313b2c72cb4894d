"""What every message to a user has to be like, whatever the mistake."""

from __future__ import annotations

import re

from bad_input.mistake import Mistake
from click.testing import CliRunner

from spark_dp.cli import cli

NOTHING_LOST = re.compile(
    r"[Nn]othing (was|is|more was) [a-z, ]*(spent|read|changed|drawn|released)|was left as it (is|was)|No query was answered|"
    r"there before is unchanged"
)
ADVICE = re.compile(
    r"\b(Write|Save|Order|Ask|Choose|Keep|Leave|Give|Lower|Raise|Declare|Correct|Set|Use|Install|Run|Restore|Check|Name|Open|Create|"
    r"Change|Charge|Drop|Rename|Cast|Quote|Look|Fill|Put|Remove|Repair|Try|Add)\b"
)


def succeeds(arguments: list[str]) -> str:
    """Runs a command that is without a mistake."""
    done = CliRunner().invoke(cli, arguments)
    assert done.exit_code == 0, done.output
    return done.output


def told(arguments: list[str], mistake: Mistake) -> str:
    """Runs the command, and checks that what it says is what a user needs; returns it."""
    done = CliRunner().invoke(cli, arguments)
    said = done.output
    assert done.exit_code == mistake.code, said
    require_useful(said, mistake)
    return said


def require_useful(said: str, mistake: Mistake) -> None:
    missing = [part for part in mistake.says if part not in said]
    assert not missing, f"{missing} not in: {said}"
    assert "Traceback" not in said
    assert NOTHING_LOST.search(said), f"does not say what was not spent: {said}"
    assert ADVICE.search(said), f"does not say what to do: {said}"
    assert len(said) < 1500, f"too long to read: {said}"
