"""Audits the product and writes the table of docs/audit.md. Run from the project's root.

python scripts/audit.py              the whole audit, as `spark-dp audit` does it; writes the table
python scripts/audit.py --fits 2000  fits that many whole models of a small table; for the night; writes nothing
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


def with_table(page: str, table: str) -> str:
    """Returns the page with the table, between its marks, written anew."""
    mark = r"(<!-- table: audit -->\n).*?(\n<!-- end -->)"
    return re.sub(mark, lambda m: f"{m[1]}\n{table}\n{m[2]}", page, count=1, flags=re.DOTALL)


def main(arguments: Sequence[str]) -> int:
    """Returns how many claims were broken."""
    if arguments[:1] == ["--fits"]:
        found = audit_fits(Progress(), fits=int(arguments[1]))
    else:
        found = audit_all(Progress())
        PAGE.write_text(with_table(PAGE.read_text(encoding="utf-8"), markdown(found)), encoding="utf-8")
    print("\n".join(lines(found, confidence=CONFIDENCE)))
    return sum(not finding.holds for finding in found)


if __name__ == "__main__":
    sys.exit(1 if main(sys.argv[1:]) else 0)
