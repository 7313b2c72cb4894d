"""What a wrong name was probably meant to be: a missing colon, a letter that only looks right, a slip of the pen."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable

from spark_dp.errors import nearest

_UNSEEN = ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp", "Zs")


def unseen_in(text: str) -> str | None:
    """Names the first character that a reader cannot see or tell from a space, or None."""
    for character in text:
        if character != " " and unicodedata.category(character) in _UNSEEN:
            return f"U+{ord(character):04X} {unicodedata.name(character, 'a control character')}"
    return None


def hint_for(name: str, known: Iterable[str]) -> str:
    """Returns a sentence with what was probably meant instead of an unknown name, or an empty string."""
    choices = tuple(known)
    return missing_colon(name, choices) or _lookalike(name, choices) or nearest(name, choices)


def missing_colon(text: str, known: Iterable[str]) -> str:
    """Returns the hint that `path data` or `path:data` lacks a colon or the space after it, or an empty string."""
    choices = tuple(known)
    word, space, rest = text.strip().partition(" ")
    if space and word in choices:
        return f" A colon is missing: write {word}: {rest.strip()}"
    word, colon, rest = text.strip().partition(":")
    if colon and rest and word in choices:
        return f" A space is missing after the colon: write {word}: {rest.strip()}"
    return ""


def _lookalike(name: str, choices: tuple[str, ...]) -> str:
    foreign = next((character for character in name if not character.isascii()), None)
    if foreign is None:
        return ""
    said = f" It has the letter U+{ord(foreign):04X} {unicodedata.name(foreign, '')}".rstrip() + "."
    return said + nearest(name, choices)
