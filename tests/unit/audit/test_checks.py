"""The table of checks in the documentation names tests that are there, and a twin to each."""

from __future__ import annotations

import ast
import re

from support.processes import ROOT

PAGE = (ROOT / "docs" / "audit.md").read_text(encoding="utf-8")


def checks(page: str) -> list[tuple[int, list[str], list[str]]]:
    """The number of each check, its tests, and its twins."""
    rows = re.findall(r"^\| (\d+)\. [^|]*\|([^|]*)\|([^|]*)\|$", page, flags=re.MULTILINE)
    return [(int(number), _names(tests), _names(twins)) for number, tests, twins in rows]


def _names(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def missing(tests: list[str]) -> list[str]:
    """Those that no file under `tests` defines."""
    found = []
    for test in tests:
        file, _, name = test.partition("::")
        path = ROOT / "tests" / file
        tree = ast.parse(path.read_text(encoding="utf-8")) if path.is_file() else ast.Module([], [])
        if name not in {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}:
            found.append(test)
    return found


def test_there_are_fourteen_checks_each_with_a_test_and_a_twin():
    found = checks(PAGE)
    assert [number for number, _, _ in found] == list(range(1, 15))
    assert all(tests and twins and not set(tests) & set(twins) for _, tests, twins in found)


def test_every_test_that_the_page_names_is_there():
    assert missing([test for _, tests, twins in checks(PAGE) for test in tests + twins]) == []


def test_a_test_that_is_gone_is_noticed():
    assert missing(["unit/audit/test_checks.py::test_there_is_none"])
    assert missing(["unit/audit/there_is_none.py::missing"])
