"""Puts each deliberate fault into a copy of the tree, and runs the tests that must fail. Run from the project's root.

    python scripts/mutants.py               all of them; prints the table, and writes it into docs/audit.md
    python scripts/mutants.py --quick       with those tests alone that start no JVM; writes nothing
    python scripts/mutants.py "noise scale" one of them; writes nothing

Fails where a fault is not found by each of its tests, where a fault's text is not there exactly once, and where
a test already fails without a fault.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

ROOT = Path(__file__).parents[1]
MEMORY = "/dev/shm"
MINUTES = 15
PAGE = ROOT / "docs" / "audit.md"
sys.path.insert(0, str(ROOT / "tests"))

from support.mutants import MUTANTS, Mutant, needs_spark  # noqa: E402


def main(arguments: Sequence[str]) -> int:
    """Runs mutants; returns how many survived."""
    chosen = [m for m in map(quick, MUTANTS) if m.tests] if "--quick" in arguments else list(MUTANTS)
    names = [a for a in arguments if not a.startswith("--")]
    if unknown := set(names) - {m.name for m in MUTANTS}:
        raise SystemExit(f"There is no mutant {sorted(unknown)}. Choose from: {[m.name for m in MUTANTS]}")
    chosen = [m for m in chosen if m.name in names] if names else chosen
    memory = MEMORY if os.access(MEMORY, os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="spark-dp-mutants-", dir=memory) as folder:
        tree = copied(Path(folder) / "tree")
        asked = list(dict.fromkeys(test for m in chosen for test in m.tests))
        if broken := failed(tree, asked):
            raise SystemExit(f"These tests fail without any fault: {sorted(broken)}")
        survivors = [m for m in chosen if not killed(m, tree)]
    if not names and "--quick" not in arguments and not survivors:
        PAGE.write_text(with_table(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    print(f"{len(chosen) - len(survivors)} of {len(chosen)} faults were found.")
    return len(survivors)


def quick(mutant: Mutant) -> Mutant:
    """Returns the mutant with those of its tests that start no JVM."""
    return replace(mutant, tests=tuple(test for test in mutant.tests if not needs_spark(test)))


def copied(tree: Path) -> Path:
    """Copies what git knows of, as it is now."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    for name in listed.stdout.splitlines():
        if (ROOT / name).is_file():
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, tree / name)
    return tree


def killed(mutant: Mutant, tree: Path) -> bool:
    """Puts the fault in, runs its tests, and takes it out again; says what came of it."""
    file = tree / mutant.file
    before = file.read_text(encoding="utf-8")
    file.write_text(mutated(mutant, before), encoding="utf-8")
    try:
        found = failed(tree, mutant.tests)
    finally:
        file.write_text(before, encoding="utf-8")
    for test in mutant.tests:
        print(f"{'found' if test in found else 'SURVIVED':9} {mutant.name:32} {test}", flush=True)
    return set(mutant.tests) == found


def mutated(mutant: Mutant, text: str) -> str:
    """Returns the file with the fault in it."""
    if text.count(mutant.old) != 1:
        raise SystemExit(f"{mutant.name}: its text is {text.count(mutant.old)} times in {mutant.file}.")
    return text.replace(mutant.old, mutant.new)


def failed(tree: Path, tests: Iterable[str]) -> set[str]:
    """Runs tests in a tree, and returns which of them failed or could not be made ready, in any of their cases."""
    tests = list(tests)
    environment = {
        **os.environ,
        "PYTHONPATH": str(tree),
        "PYTHONDONTWRITEBYTECODE": "1",
        "TMPDIR": str(tree.parent),
    }
    how = ["-q", "--tb=no", "-rfE", "-p", "no:cacheprovider", "-p", "no:xdist"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *how, *tests],
        cwd=tree,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60 * MINUTES,
    )
    if done.returncode not in (0, 1):
        raise SystemExit(f"The tests did not run:\n{done.stdout[-4000:]}{done.stderr[-2000:]}")
    names = re.findall(r"^(?:FAILED|ERROR) ([^\s\[]+)", done.stdout, flags=re.MULTILINE)
    return {test for test in tests if test in names}


def table(mutants: Iterable[Mutant] = MUTANTS) -> str:
    """Returns the table mutant → test."""
    lines = ["| fault | what the code does | found by |", "|---|---|---|"]
    for m in mutants:
        tests = "<br>".join(f"`{test.removeprefix('tests/')}`" for test in m.tests)
        lines.append(f"| {m.name} | {m.fault} | {tests} |")
    return "\n".join(lines)


def with_table(page: str) -> str:
    """Returns the page with the table, between its marks, written anew."""
    mark = r"(<!-- table: mutants -->\n).*?(\n<!-- end -->)"
    return re.sub(mark, lambda m: f"{m[1]}\n{table()}\n{m[2]}", page, flags=re.DOTALL)


if __name__ == "__main__":
    sys.exit(1 if main(sys.argv[1:]) else 0)
