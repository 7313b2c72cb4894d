"""What the documentation's table says of faults of the engine: a test states the cell that it saw."""

from __future__ import annotations

import json
import os

from support.processes import ROOT

ENGINE = ROOT / "docs" / "reliability_engine.json"


def require_stated(step: str, fault: str, outcome: str) -> None:
    """Fails unless the table has this row; with SPARK_DP_RELIABILITY=collect, puts it there: it was seen."""
    row = {"part": "engine", "step": step, "fault": fault, "outcome": outcome}
    rows = json.loads(ENGINE.read_text())
    if os.environ.get("SPARK_DP_RELIABILITY") == "collect":
        others = [r for r in rows if (r["step"], r["fault"]) != (step, fault)]
        lines = (json.dumps(r) for r in sorted([*others, row], key=lambda r: (r["step"], r["fault"])))
        ENGINE.write_text("[\n " + ",\n ".join(lines) + "\n]\n")
        return
    assert row in rows, f"docs/reliability_engine.json lacks {json.dumps(row)}"
