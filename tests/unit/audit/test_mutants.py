"""The list of deliberate faults stays true: each still fits the code, and its tests are there."""

from __future__ import annotations

import ast
import importlib.util
from dataclasses import replace

import pytest
from support.mutants import MUTANTS
from support.processes import ROOT

spec = importlib.util.spec_from_file_location("mutants", ROOT / "scripts" / "mutants.py")
mutants = importlib.util.module_from_spec(spec)
spec.loader.exec_module(mutants)

PAGE = (ROOT / "docs" / "audit.md").read_text(encoding="utf-8")
each = pytest.mark.parametrize("mutant", MUTANTS, ids=lambda m: m.name)


def defined(file: str) -> set[str]:
    tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


@each
def test_a_fault_still_fits_the_code_exactly_once(mutant):
    text = (ROOT / mutant.file).read_text(encoding="utf-8")
    assert mutants.mutated(mutant, text) != text
    compile(mutants.mutated(mutant, text), mutant.file, "exec")


@each
def test_the_tests_that_find_a_fault_are_there(mutant):
    assert mutant.tests
    for test in mutant.tests:
        file, _, name = test.partition("::")
        assert name in defined(file)


def test_a_fault_whose_text_is_gone_or_twice_is_refused():
    for old in ("there is no such line", "\n"):
        with pytest.raises(SystemExit):
            mutants.mutated(replace(MUTANTS[0], old=old), "a\nb\n")


def test_most_faults_are_found_without_a_jvm_and_those_tests_come_first():
    quick = [mutants.quick(mutant) for mutant in MUTANTS]
    assert sum(bool(mutant.tests) for mutant in quick) >= 15
    for fault, short in zip(MUTANTS, quick, strict=True):
        assert fault.tests[: len(short.tests)] == short.tests


def test_there_are_at_least_fifteen_faults_and_no_two_alike():
    assert len({(m.file, m.old, m.new) for m in MUTANTS}) == len({m.name for m in MUTANTS}) == len(MUTANTS)
    assert len(MUTANTS) >= 15


def test_the_page_has_the_table_that_the_script_writes():
    assert mutants.with_table(PAGE) == PAGE


def test_a_page_with_another_table_is_found_out():
    assert mutants.with_table(PAGE.replace("| noise scale |", "| noise |")) != PAGE.replace(
        "noise scale", "noise"
    )
