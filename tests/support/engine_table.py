"""What the documentation's table says of faults of the engine: a test states the cell that it saw."""

from __future__ import annotations

import json

from support.processes import ROOT

ENGINE = ROOT / "docs" / "reliability_engine.json"


def require_stated(step: str, fault: str, outcome: str) -> None:
    """Fails unless the table has this row."""
    row = {"part": "engine", "step": step, "fault": fault, "outcome": outcome}
    assert row in json.loads(ENGINE.read_text()), f"docs/reliability_engine.json lacks {json.dumps(row)}"
