"""The text of a small configuration, whole or with some of its lines changed."""

LINES = {
    "input": "input: {path: data/visits}",
    "output": "output: {path: out/visits}",
    "privacy": "privacy:",
    "epsilon": "  epsilon: 1.0",
    "delta": "  delta: 1e-9",
    "unit": "  unit: {column: person, max_rows: 5}",
    "ledger": "  ledger: sqlite:///secret-password.db",
    "dataset": "  dataset: visits",
    "schema": "schema:",
    "ward": "  ward: {type: string, values: [NO, SO], other: XX}",
    "age": "  age: {type: integer, min: 0, max: 99, bins: 10}",
    "run": "run: {directory: runs, key: first}",
}


def run_text(**changed: str | None) -> str:
    """Returns the configuration with lines changed, left out (None) or added at the end."""
    lines = {**LINES, **changed}
    return "\n".join(line for line in lines.values() if line is not None) + "\n"


def line_of(text: str, part: str) -> int:
    """Returns the number of the first line with this part, from 1."""
    return next(number for number, line in enumerate(text.splitlines(), 1) if part in line)
