"""Names and labels of a table as a terminal may show them: nothing in them moves the cursor or turns the line around."""

from __future__ import annotations

import unicodedata

_UNSEEN = frozenset({"Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp"})
"""Controls, bidirectional and zero-width formats, unassigned and private characters, separators of lines."""


def shown(text: str) -> str:
    r"""Returns the text with every character that a terminal would obey, or not show, written as \x1b or \u202e."""
    return "".join(_escaped(c) if unicodedata.category(c) in _UNSEEN else c for c in text)


def width_of(text: str) -> int:
    """Returns how many columns of a terminal a text takes: two for a wide character, none for a combining one."""
    return sum(map(_width, text))


def fitted(text: str, width: int, *, right: bool = False) -> str:
    """Escapes a text, cuts it to a width where it is longer, with … at its end, and fills it up with spaces.

    Args:
        text: of the table or of ours.
        width: columns of the terminal, at least 1.
        right: whether the spaces come first.
    """
    cut = shorten(shown(text), width)
    fill = " " * (width - width_of(cut))
    return fill + cut if right else cut + fill


def shorten(text: str, width: int) -> str:
    """Cuts a text that is wider than `width`, with … at its end."""
    if width_of(text) <= width and len(text) <= 4 * width:
        return text
    kept, used = [], 0
    for character in text[: 4 * width]:  # however many combining characters it heaps up
        if used + _width(character) > width - 1:
            break
        used += _width(character)
        kept.append(character)
    return "".join(kept) + "…"


def _width(character: str) -> int:
    if unicodedata.category(character) in ("Mn", "Me"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in ("W", "F") else 1


def _escaped(character: str) -> str:
    code = ord(character)
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
