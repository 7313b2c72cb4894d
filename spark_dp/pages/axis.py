"""Axes: round numbers along a scale, and as many labels of cells as there is room for."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from spark_dp.pages.text import visible

CHARACTER = 7.0
"""Width of a character of a tick in pixels, about."""

WIDE, NARROW = 420.0, 220.0
"""Width of a chart in pixels, on a wide and on a narrow screen, at the least."""

GAP = 8.0
"""Pixels between two ticks."""

LONGEST = 24
"""Characters of a tick; what is longer is cut."""

_BIN = re.compile(r"[\[(](.*), (.*)([)\]])", re.DOTALL)


Anchor = Literal["first", "middle", "last"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tick:
    """A label on an axis.

    Attributes:
        at: per cent of the axis, 0 to 100.
        text: visible, and cut where too long.
        anchor: which part of the text is at the place.
        fine: there is no room for it on a narrow screen.
    """

    at: float
    text: str
    anchor: Anchor = "middle"
    fine: bool = False


def round_ticks(low: float, high: float, about: int = 6) -> list[float]:
    """Returns round numbers from low to high, 1, 2 or 5 times a power of ten apart; zero is always one of them."""
    if not high > low:
        return [low]
    rough = (high - low) / about
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * f for f in (1, 2, 5, 10) if power * f >= rough * 0.999)
    first = math.ceil(low / step - 1e-9)
    return [step * i for i in range(first, math.floor(high / step + 1e-9) + 1)]


def cell_ticks(labels: Sequence[str]) -> list[Tick]:
    """Returns ticks of a row of cells: at the edges where all labels are bins that meet, else below the cells."""
    bins = [_BIN.fullmatch(label) for label in labels]
    edges = [b[1] for b in bins if b] + [b[2] for b in bins[-1:] if b]
    if len(edges) == len(labels) + 1:
        places = [(100.0 * i / len(labels), edge) for i, edge in enumerate(edges)]
    else:
        places = [(100.0 * (i + 0.5) / len(labels), label) for i, label in enumerate(labels)]
    short = [(at, _days(text)) for at, text in places]
    if len({text for _, text in short}) == len(short):  # no two moments on one day
        places = short
    texts = [_cut(visible(text)) for _, text in places]
    ticks = [
        Tick(at=at, text=text, anchor=_anchor(at, text)) for (at, _), text in zip(places, texts, strict=True)
    ]
    step = next(n for n in itertools.count(1) if _have_room(ticks[::n], WIDE))
    coarse = next(n for n in itertools.count(step, step) if _have_room(ticks[::n], NARROW))
    return [replace(tick, fine=i % coarse != 0) for i, tick in enumerate(ticks) if i % step == 0]


def joined(first: str, last: str) -> str:
    """Returns the label of neighbouring cells taken together."""
    a, b = _BIN.fullmatch(first), _BIN.fullmatch(last)
    if first == last:
        return first
    return f"[{a[1]}, {b[2]}{b[3]}" if a and b else f"{first} … {last}"


def _anchor(at: float, text: str) -> Anchor:
    """Keeps a label within a narrow chart."""
    half, place = len(text) * CHARACTER / 2, at / 100 * NARROW
    return "first" if place < half else "last" if NARROW - place < half else "middle"


def _have_room(ticks: Sequence[Tick], room: float) -> bool:
    """Whether the labels stand apart in a chart of this width in pixels."""
    boxes = []
    for tick in ticks:
        width, place = len(tick.text) * CHARACTER, tick.at / 100 * room
        left = place - {"first": 0.0, "middle": width / 2, "last": width}[tick.anchor]
        boxes.append((left, left + width))
    return all(b[0] - a[1] >= GAP for a, b in itertools.pairwise(boxes))


def _days(text: str) -> str:
    return text[:10] if re.match(r"\d{4}-\d\d-\d\d ", text) else text


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"
