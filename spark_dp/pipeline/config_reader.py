"""Typed access to one section of the configuration: an unknown key or a value of another type is an error."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from enum import StrEnum
from fractions import Fraction
from typing import TypeVar

from spark_dp.errors import nearest
from spark_dp.pipeline.config_tree import Entries, Items, Scalar, Tree, refuse

_INTEGER = re.compile(r"[-+]?\d{1,30}")
_NUMBER = re.compile(r"[-+]?(\d+(\.\d*)?|\.\d+)([eE][-+]?\d{1,4})?")
_TRUE, _FALSE = ("true", "True", "TRUE"), ("false", "False", "FALSE")

Choice = TypeVar("Choice", bound=StrEnum)


class Section:
    """A mapping of the configuration with the keys that it may have.

    Args:
        tree: the mapping; a null or nothing is an empty one.
        field: its dotted name; empty for the whole configuration.
        keys: the keys that are known; None where any may be given.

    Raises:
        ConfigurationError: it is no mapping, or has an unknown key; the message has the nearest known one.
    """

    def __init__(self, tree: Tree | None, field: str, keys: Sequence[str] | None) -> None:
        self._field = field
        if tree is None or (isinstance(tree, Scalar) and tree.is_null):
            tree = Entries({}, "")
        if not isinstance(tree, Entries):
            known = f" with {', '.join(keys)}" if keys else ""
            refuse(field or "configuration", f"is {_shown(tree)}. Write a mapping{known}.")
        self._entries = tree.entries
        for key in self._entries:
            if keys is not None and key not in keys:
                refuse(self.name(key), f"is unknown. Choose one of: {', '.join(keys)}.{nearest(key, keys)}")

    def name(self, key: str) -> str:
        """Returns the dotted name of a key."""
        return f"{self._field}.{key}" if self._field else key

    def tree(self, key: str) -> Tree | None:
        """Returns what is there, or None where the key is missing or null."""
        found = self._entries.get(key)
        return None if isinstance(found, Scalar) and found.is_null else found

    def section(self, key: str, keys: Sequence[str] | None) -> Section:
        return Section(self.tree(key), self.name(key), keys)

    def required(self, key: str, what: str) -> Tree:
        """Returns what is there; `what` says what to write where nothing is."""
        found = self.tree(key)
        if found is None:
            refuse(
                self.name(key), f"is missing, and it has no default. Nothing was read or spent. Write {what}."
            )
        return found

    def text(self, key: str) -> str | None:
        """Returns a scalar's own text, whatever it looks like: `NO` and `2013-01-01` stay as they are."""
        found = self.tree(key)
        if found is None:
            return None
        if not isinstance(found, Scalar) or not found.text:
            refuse(self.name(key), f"is {_shown(found)}. Write a text.")
        return found.text

    def required_text(self, key: str, what: str) -> str:
        self.required(key, what)
        return self.text(key) or ""

    def secret(self, key: str, what: str) -> str:
        """Returns a text that no message may show."""
        found = self.required(key, what)
        if not isinstance(found, Scalar) or not found.text:
            refuse(self.name(key), f"is not a text. Write {what}.")
        return found.text

    def number(self, key: str) -> float | None:
        """Returns a finite number; text in quotes is none."""
        found = self.tree(key)
        if found is None:
            return None
        if not isinstance(found, Scalar) or not found.plain or not _NUMBER.fullmatch(found.text):
            refuse(self.name(key), f"is {_shown(found)}. Write a finite number, without quotes.")
        if not math.isfinite(value := float(found.text)):
            refuse(self.name(key), f"is {_shown(found)}. Write a finite number.")
        return value

    def required_number(self, key: str, what: str) -> float:
        self.required(key, what)
        value = self.number(key)
        return math.nan if value is None else value

    def integer(self, key: str, *, least: int) -> int | None:
        """Returns a whole number from `least`; neither 2.5 nor true is one."""
        found = self.tree(key)
        if found is None:
            return None
        is_integer = isinstance(found, Scalar) and found.plain and _INTEGER.fullmatch(found.text)
        if not isinstance(found, Scalar) or not is_integer or int(found.text) < least:
            refuse(self.name(key), f"is {_shown(found)}. Write a whole number from {least}.")
        return int(found.text)

    def flag(self, key: str, default: bool) -> bool:
        found = self.tree(key)
        if found is None:
            return default
        if not isinstance(found, Scalar) or not found.plain or found.text not in _TRUE + _FALSE:
            refuse(self.name(key), f"is {_shown(found)}. Write true or false.")
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
    """Reads a positive weight exactly as it is written."""
    is_number = isinstance(tree, Scalar) and tree.plain and _NUMBER.fullmatch(tree.text)
    if not isinstance(tree, Scalar) or not is_number or Fraction(tree.text) <= 0:
        refuse(field, f"has the weight {_shown(tree)}. Write a number above 0.")
    return Fraction(tree.text)


def _shown(tree: Tree) -> str:
    if isinstance(tree, Scalar):
        return repr(tree.text)
    return "a list" if isinstance(tree, Items) else "a mapping"
