"""Audits the product and writes the table of docs/audit.md. Run from the project's root.

python scripts/audit.py              the whole audit of `spark-dp audit`, with more scorings; writes the table
python scripts/audit.py --fits 2000  fits that many whole models of a small table; for the night; writes its own table
"""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from pathlib import Path

from spark_dp.audit.audit import CONFIDENCE, audit_all, audit_fits
from spark_dp.audit.findings import lines, markdown
from spark_dp.pipeline.progress import Progress

PAGE = Path(__file__).parents[1] / "docs" / "audit.md"


SCORINGS = 2_000


def with_table(page: str, name: str, table: str) -> str:
    """Returns the page with one of its tables, between its marks, written anew."""
    mark = rf"(<!-- table: {name} -->\n).*?(\n<!-- end -->)"
    return re.sub(mark, lambda m: f"{m[1]}\n{table}\n{m[2]}", page, count=1, flags=re.DOTALL)


def main(arguments: Sequence[str]) -> int:
    """Returns how many claims were broken."""
    if arguments[:1] == ["--fits"]:
        name, found = "fits", audit_fits(Progress(), fits=int(arguments[1]))
    else:
        name, found = "audit", audit_all(Progress(), scorings=SCORINGS)
    page = with_table(PAGE.read_text(encoding="utf-8"), name, markdown(found))
    PAGE.write_text(page, encoding="utf-8")
    print("\n".join(lines(found, confidence=CONFIDENCE)))
    return sum(not finding.holds for finding in found)


if __name__ == "__main__":
    sys.exit(1 if main(sys.argv[1:]) else 0)
