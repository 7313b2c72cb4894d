"""The page on troubleshooting quotes messages that exist."""

from __future__ import annotations

import ast
import re
from functools import cache

import pytest
from doc_pages import ROOT, page, rows

ANY = "…"
MESSAGES = [
    row[0].strip("`") for row in rows(page("troubleshooting.md")) if re.fullmatch(r"`[^`]{8,}`", row[0])
]


@cache
def texts_of_the_source() -> tuple[str, ...]:
    """Every text in the package, with … for what is put into it."""
    found = []
    for path in sorted((ROOT / "spark_dp").rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        inner = {
            id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values
        }
        for node in ast.walk(tree):
            if isinstance(node, ast.JoinedStr):
                found.append("".join(_part(part) for part in node.values))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in inner:
                found.append(node.value)
    return tuple(found)


def _part(part: ast.expr) -> str:
    return str(part.value) if isinstance(part, ast.Constant) else ANY


def is_in_the_source(message: str) -> bool:
    """Whether the pieces of a message, between what differs, follow one another in one text of the source."""
    pieces = [re.escape(piece) for piece in message.split(ANY) if piece.strip()]
    pattern = re.compile(".*?".join(pieces), re.DOTALL)
    return any(pattern.search(text) for text in texts_of_the_source())


@pytest.mark.parametrize("message", MESSAGES)
def test_a_quoted_message_is_in_the_source(message):
    assert is_in_the_source(message)


@pytest.mark.parametrize(
    "message", ["is unknown. Choose any of: …", "The ledger's file … was eaten by the dog"]
)
def test_a_message_that_nobody_raises_is_found_out(message):
    assert not is_in_the_source(message)


def test_the_page_quotes_many_messages_and_none_twice():
    assert len(MESSAGES) > 50
    assert len(set(MESSAGES)) == len(MESSAGES)
