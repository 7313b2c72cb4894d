"""Writes the tables of docs/reliability.md from what the tests have seen. Run from the project's root.

    SPARK_DP_RELIABILITY=collect python -m pytest ...      the tests only keep what they see, in build/reliability.jsonl
    python scripts/reliability.py build/reliability.jsonl  takes that over into docs/reliability.json, and writes the page
    python scripts/reliability.py                          writes the page from docs/reliability.json

A row has a part ('driver' or 'engine'), a step ('GROUP: what happens'), a fault and an outcome. Without 'collect', the
tests fail where they see something else than docs/reliability.json has.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable
from pathlib import Path

STATED = Path("docs/reliability.json")
PAGE = Path("docs/reliability.md")
Row = dict[str, str]


def group_of(row: Row) -> tuple[str, str]:
    """Returns the part and the group of a row."""
    return row["part"], row["step"].partition(": ")[0]


def merged(stated: Iterable[Row], seen: Iterable[Row]) -> list[Row]:
    """Replaces each group that was seen by what was seen of it last; of the engine's, each row for itself."""
    stated, seen = list(stated), list(seen)
    engine = {(row["step"], row["fault"]): row for row in (*stated, *seen) if row["part"] == "engine"}
    stated, seen = ([row for row in rows if row["part"] != "engine"] for rows in (stated, seen))
    fresh: dict[tuple[str, str], dict[tuple[str, str], Row]] = {}
    for row in seen:
        rows = fresh.setdefault(group_of(row), {})
        if (row["step"], row["fault"]) in rows:
            rows.clear()  # the test ran again
        rows[row["step"], row["fault"]] = row
    groups: dict[tuple[str, str], list[Row]] = {}
    for row in stated:
        groups.setdefault(group_of(row), []).append(row)
    groups |= {group: list(rows.values()) for group, rows in fresh.items()}
    return [row for _, rows in sorted(groups.items()) for row in rows] + [
        engine[key] for key in sorted(engine)
    ]


def table(rows: Iterable[Row]) -> str:
    """Returns rows as tables, one a group; steps in a row that ended alike share a line."""
    lines: list[str] = []
    before: tuple[str, str] | None = None
    for row in rows:
        group = group_of(row)
        if group != before:
            lines += ["", f"### {group[1]}", "", "| step | fault | outcome |", "|---|---|---|"]
            before = group
        cells = [row["step"].partition(": ")[2], row["fault"], row["outcome"]]
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines).strip() + "\n"


def with_tables(page: str, rows: list[Row]) -> str:
    """Returns the page with its tables, between their marks, written anew."""
    for part in ("driver", "engine"):
        made = table(row for row in rows if row["part"] == part)
        mark = rf"(<!-- table: {part} -->\n).*?(<!-- end -->)"
        page = re.sub(mark, lambda m, made=made: f"{m[1]}\n{made}\n{m[2]}", page, flags=re.DOTALL)
    return page


def main(arguments: list[str]) -> None:
    """Takes over what was seen, and writes the page."""
    rows: list[Row] = json.loads(STATED.read_text(encoding="utf-8")) if STATED.exists() else []
    for name in arguments:
        rows = merged(rows, map(json.loads, Path(name).read_text(encoding="utf-8").splitlines()))
    STATED.write_text(json.dumps(rows, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    PAGE.write_text(with_tables(PAGE.read_text(encoding="utf-8"), rows), encoding="utf-8")
    print(f"{len(rows)} rows in {PAGE}")


if __name__ == "__main__":
    main(sys.argv[1:])
