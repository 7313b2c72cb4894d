"""What was seen at each step under each fault: kept, and compared with what the documentation says."""

from __future__ import annotations

import json
import os
from pathlib import Path

from support.processes import ROOT

SEEN = ROOT / "build" / "reliability.jsonl"
STATED = ROOT / "docs" / "reliability.json"
OTHERWISE = "docs/reliability.md says otherwise: python scripts/reliability.py build/reliability.jsonl"


def require_as_documented(group: str, rows: list[dict[str, str]], part: str = "driver") -> None:
    """Keeps rows, and fails where they are not those that `docs/reliability.json` has of their group.

    Args:
        group: what the steps of these rows begin with, before a colon.
        rows: in order.
        part: 'driver' or 'engine'.
    """
    assert rows
    assert all(row["part"] == part and row["step"].startswith(f"{group}: ") for row in rows)
    if _keep(rows):
        return
    stated = [row for row in all_stated() if row["part"] == part and row["step"].startswith(f"{group}: ")]
    assert rows == stated, OTHERWISE


def require_stated(step: str, fault: str, outcome: str) -> None:
    """Keeps one cell of the engine's table, and fails where `docs/reliability.json` has it otherwise."""
    row = {"part": "engine", "step": step, "fault": fault, "outcome": outcome}
    assert _keep([row]) or row in all_stated(), OTHERWISE


def _keep(rows: list[dict[str, str]]) -> bool:
    """Keeps what was seen; returns whether that is all that is asked for."""
    SEEN.parent.mkdir(exist_ok=True)
    with SEEN.open("a", encoding="utf-8") as file:
        file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    return os.environ.get("SPARK_DP_RELIABILITY") == "collect"


def all_stated(path: Path = STATED) -> list[dict[str, str]]:
    """Returns the rows of the documentation."""
    return list(json.loads(path.read_text(encoding="utf-8")))
