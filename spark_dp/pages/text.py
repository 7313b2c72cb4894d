"""Text and numbers for a reader: nothing in a name or a value can hide, reorder or break the page."""

from __future__ import annotations

import unicodedata

from markupsafe import Markup, escape

LONGEST = 80
"""Characters of a name or a value in a table."""

_HIDDEN = frozenset({"Cc", "Cf", "Co", "Cs", "Zl", "Zp"})
_JOINERS = frozenset({"\u200c", "\u200d"})  # they shape emoji and Persian words, and hide nothing
_NO_CHARACTERS = range(0xFDD0, 0xFDF0)


def visible(text: str) -> str:
    """Returns the text with all that would not be seen written out, as in ‹U+202E›.

    That is control, format, private and surrogate code points, which could reorder a line, end it, or stop it
    from being written as UTF-8, and spaces at either end.
    """
    if not text:
        return "‹empty›"
    shown = "".join(f"‹U+{ord(c):04X}›" if _is_hidden(c) else c for c in text)
    inner = shown.strip(" ")
    before = len(shown) - len(shown.lstrip(" "))
    return "␣" * before + inner + "␣" * (len(shown) - before - len(inner))


def whole(text: str) -> Markup:
    """Returns the text to put into a page: visible, escaped, and in a direction of its own."""
    return Markup("<bdi>{}</bdi>").format(escape(visible(text)))


def shown(text: str) -> Markup:
    """Returns the text as `whole` does, cut where it would take too many lines of a table."""
    seen = visible(text)
    if len(seen) <= LONGEST:
        return whole(text)
    return Markup('<bdi title="{}">{}…</bdi>').format(seen, seen[: LONGEST - 1])


def shown_all(texts: tuple[str, ...] | list[str]) -> Markup:
    """Returns names of columns joined by a cross."""
    return Markup(" × ").join(shown(text) for text in texts)


def rows(number: float) -> str:
    """Writes a number of rows, whole, with separators."""
    return f"{round(number):,}".replace("-", "−")


def share(number: float) -> str:
    """Writes a share of rows in per cent, with two digits that count."""
    percent = abs(number) * 100
    digits = 1 if percent >= 9.95 else 2 if percent >= 0.095 else 3
    written = "<0.001" if 0 < percent < 0.0005 else f"{percent:.{digits}f}" if percent else "0"
    return f"{'−' if number < 0 else ''}{written} %"


def round_share(number: float) -> str:
    """Writes a round share of rows, as on an axis."""
    return f"{number * 100:.6g} %".replace("-", "−")


def distance(number: float) -> str:
    """Writes a total variation."""
    return f"{number:.3f}"


def value(number: float | None) -> str:
    """Writes a statistic; a dash where there is none."""
    if number is None:
        return "–"
    return (f"{number:,.0f}" if 1000 <= abs(number) < 1e15 else f"{number:.4g}").replace("-", "−")


def _is_hidden(c: str) -> bool:
    if c in _JOINERS:
        return False
    code = ord(c)
    return unicodedata.category(c) in _HIDDEN or code in _NO_CHARACTERS or code & 0xFFFE == 0xFFFE
