"""Typed access to one section of the configuration: an unknown key or a value of another type is an error."""

from __future__ import annotations

import math
import re
from enum import StrEnum
from fractions import Fraction
from typing import TypeVar

from spark_dp.errors import nearest
from spark_dp.pipeline.config_fields import Settings
from spark_dp.pipeline.config_tree import Entries, Items, Scalar, Tree, refuse
from spark_dp.schema.spelling import hint_for, missing_colon

_INTEGER = re.compile(r"[-+]?[0-9]{1,30}")
_NUMBER = re.compile(r"[-+]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][-+]?[0-9]{1,4})?")
_LEAST_WEIGHT, _MOST_WEIGHT = 1e-9, 1e9
_GROUPED = re.compile(r"[0-9]{1,3}([_,][0-9]{3})+")
_TRUE, _FALSE = ("true", "True", "TRUE"), ("false", "False", "FALSE")

Choice = TypeVar("Choice", bound=StrEnum)


class Section:
    """A mapping of the configuration with the settings that it may have.

    Args:
        tree: the mapping; a null or nothing is an empty one.
        field: its dotted name; empty for the whole configuration.
        settings: those that are known; None where any may be given.

    Raises:
        ConfigurationError: it is no mapping, or has an unknown key; the message has the nearest known one.
    """

    def __init__(self, tree: Tree | None, field: str, settings: Settings | None) -> None:
        self._field = field
        self._settings = settings or {}
        if tree is None or (isinstance(tree, Scalar) and tree.is_null):
            tree = Entries({}, "")
        if not isinstance(tree, Entries):
            known = f" with {', '.join(self._settings)}" if settings else ""
            hint = missing_colon(tree.text, self._settings) if isinstance(tree, Scalar) else ""
            refuse(field or "configuration", f"is {_shown(tree)}. Write a mapping{known}.{hint}")
        self._entries = tree.entries
        for key in self._entries:
            if settings is not None and key not in settings:
                refuse(
                    self.name(key),
                    f"is unknown. Choose one of: {', '.join(settings)}.{hint_for(key, settings)}",
                )

    def name(self, key: str) -> str:
        """Returns the dotted name of a key."""
        return f"{self._field}.{key}" if self._field else key

    def tree(self, key: str) -> Tree | None:
        """Returns what is there, or None where the key is missing or null.

        Raises:
            ConfigurationError: it is missing and required; the message says what to write.
        """
        found = self._entries.get(key)
        if found is not None and not (isinstance(found, Scalar) and found.is_null):
            return found
        setting = self._settings.get(key)
        if setting is not None and setting.required:
            refuse(
                self.name(key),
                f"is missing, and it has no default. Nothing was read or spent. Write {setting.what}.",
            )
        return None

    def section(self, key: str, settings: Settings | None) -> Section:
        """Returns a section below; one that is missing is empty, so that what it lacks is named and not it."""
        found = self._entries.get(key)
        return Section(found, self.name(key), settings)

    def required(self, key: str) -> Tree:
        """Returns what is there, of a setting that is required."""
        found = self.tree(key)
        if found is None:
            refuse(self.name(key), "is missing, and it has no default. Nothing was read or spent.")
        return found

    def text(self, key: str) -> str | None:
        """Returns a scalar's own text, whatever it looks like: `NO` and `2013-01-01` stay as they are."""
        found = self.tree(key)
        if found is None:
            return None
        if not isinstance(found, Scalar) or not found.text:
            refuse(self.name(key), f"is {_shown(found)}. Write a text.")
        return found.text

    def required_text(self, key: str) -> str:
        """Returns a text that has to be there, and that no message shows where it is a secret."""
        found, setting = self.required(key), self._settings[key]
        if setting.secret and (not isinstance(found, Scalar) or not found.text):
            refuse(self.name(key), f"is not a text. Write {setting.what}.")
        return self.text(key) or ""

    def number(self, key: str) -> float | None:
        """Returns a finite number; text in quotes is none."""
        found = self.tree(key)
        if found is None:
            return None
        if not isinstance(found, Scalar) or not found.plain or not _NUMBER.fullmatch(found.text):
            refuse(
                self.name(key),
                f"is {_shown(found)}. Write a finite number, without quotes.{_digits_hint(found)}",
            )
        if not math.isfinite(value := float(found.text)):
            refuse(self.name(key), f"is {_shown(found)}. Write a finite number.")
        return value

    def required_number(self, key: str) -> float:
        self.required(key)
        value = self.number(key)
        return math.nan if value is None else value

    def integer(self, key: str, *, least: int | None = None) -> int | None:
        """Returns a whole number from `least`, or from what the setting says; neither 2.5 nor true is one."""
        found = self.tree(key)
        if found is None:
            return None
        if least is None:
            least = self._settings[key].least or 0
        is_integer = isinstance(found, Scalar) and found.plain and _INTEGER.fullmatch(found.text)
        if not isinstance(found, Scalar) or not is_integer or int(found.text) < least:
            refuse(
                self.name(key),
                f"is {_shown(found)}. Write a whole number from {least}.{_digits_hint(found)}",
            )
        return int(found.text)

    def flag(self, key: str, default: bool) -> bool:
        found = self.tree(key)
        if found is None:
            return default
        if not isinstance(found, Scalar) or not found.plain or found.text not in _TRUE + _FALSE:
            refuse(self.name(key), f"is {_shown(found)}. Write true or false, without quotes.")
        return found.text in _TRUE

    def choice(self, key: str, choices: type[Choice], default: Choice) -> Choice:
        text = self.text(key)
        if text is None:
            return default
        known = [choice.value for choice in choices]
        if text not in known:
            refuse(self.name(key), f"is {text!r}. Choose one of: {', '.join(known)}.{nearest(text, known)}")
        return choices(text)

    def names(self, key: str) -> tuple[str, ...]:
        """Returns names, given as one name or as a list of distinct ones."""
        found = self.tree(key)
        return () if found is None else read_names(found, self.name(key))

    def texts(self, key: str) -> dict[str, str]:
        """Returns a mapping of any keys to texts, such as settings that are handed on."""
        section = self.section(key, None)
        pairs = {}
        for inner in section._entries:
            text = section.text(inner)
            if text is None:
                refuse(section.name(inner), "is null. Write a text, or leave it out.")
            pairs[inner] = text
        return pairs


def read_names(tree: Tree, field: str) -> tuple[str, ...]:
    """Reads one name, or a list of distinct ones."""
    items = tree.items if isinstance(tree, Items) else (tree,)
    names = [item.text for item in items if isinstance(item, Scalar) and not item.is_null and item.text]
    if len(names) != len(items) or not names:
        refuse(field, f"is {_shown(tree)}. Write a name, or a list of names such as [a, b].")
    if len(set(names)) != len(names):
        twice = next(name for i, name in enumerate(names) if name in names[:i])
        refuse(field, f"has {twice!r} twice. Keep it once.")
    return tuple(names)


def read_weight(tree: Tree, field: str) -> Fraction:
    """Reads a positive weight exactly as it is written; within bounds that floats can work with."""
    is_number = isinstance(tree, Scalar) and tree.plain and _NUMBER.fullmatch(tree.text)
    if not isinstance(tree, Scalar) or not is_number or not _LEAST_WEIGHT <= float(tree.text) <= _MOST_WEIGHT:
        refuse(
            field,
            f"has the weight {_shown(tree)}. Write a number above 0, from {_LEAST_WEIGHT:g} to {_MOST_WEIGHT:g}.",
        )
    return Fraction(tree.text)


def _digits_hint(tree: Tree) -> str:
    """Says how to write a number that YAML 1.1, Python or a spreadsheet would take, or nothing."""
    if not isinstance(tree, Scalar):
        return ""
    text = tree.text
    if not tree.plain and _NUMBER.fullmatch(text):
        return f" Take the quotes away: {text}"
    if _GROUPED.fullmatch(text):
        return f" Write digits alone: {re.sub('[_,]', '', text)}"
    if re.fullmatch(r"[0-9]+,[0-9]+", text):
        return f" Write a point and no comma: {text.replace(',', '.')}"
    if not _INTEGER.fullmatch(text) and _NUMBER.fullmatch(text) and len(text) < 12:
        return f" Write digits alone: {float(text):.0f}" if float(text).is_integer() else ""
    return ""


def _shown(tree: Tree) -> str:
    if isinstance(tree, Scalar):
        return repr(tree.text)
    return "a list" if isinstance(tree, Items) else "a mapping"
