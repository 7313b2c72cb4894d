"""YAML as a tree that keeps each scalar's own text and line, so that a field decides what a scalar means."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, NoReturn

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from spark_dp.errors import ConfigurationError

DEEPEST = 20
_NULLS = ("", "~", "null", "Null", "NULL")


@dataclass(frozen=True, slots=True)
class Scalar:
    """A scalar as it was written; `plain` where it has no quotes, `place` is file:line."""

    text: str
    plain: bool
    place: str

    @property
    def is_null(self) -> bool:
        return self.plain and self.text in _NULLS


@dataclass(frozen=True, slots=True)
class Items:
    """A list."""

    items: tuple[Tree, ...]
    place: str


@dataclass(frozen=True, slots=True)
class Entries:
    """A mapping, in the order of the file; the place of each entry is that of its key."""

    entries: Mapping[str, Tree]
    place: str


Tree = Scalar | Items | Entries


def read_tree(text: str, source: str, *, one_place: bool = False) -> Tree:
    """Reads one YAML 1.2 document.

    Args:
        text: the document; an empty one is a null.
        source: the file, for messages.
        one_place: whether `source` is the whole place, without a line.

    Raises:
        ConfigurationError: it is not YAML, or a mapping has a key twice, with file and line.
    """
    try:
        node = YAML(typ="safe", pure=True).compose(text)
    except YAMLError as error:
        mark = error.problem_mark if isinstance(error, MarkedYAMLError) else None
        place = source if one_place or mark is None else f"{source}:{mark.line + 1}"
        problem = getattr(error, "problem", None) or "it cannot be parsed"
        raise ConfigurationError(f"The configuration is not valid YAML: {problem} ({place}).") from None
    if node is None:
        return Scalar("", True, source)
    return _Converter(source, one_place).tree(node, node, 0)


class _Converter:
    def __init__(self, source: str, one_place: bool) -> None:
        self._source = source
        self._one_place = one_place

    def tree(self, node: Node, place_of: Node, depth: int) -> Tree:
        """Converts a node; an alias is converted again at each place, so that a cycle ends at DEEPEST."""
        place = self._place(place_of)
        if depth > DEEPEST:
            raise ConfigurationError(f"The configuration is nested deeper than {DEEPEST} levels ({place}).")
        if isinstance(node, ScalarNode):
            return Scalar(str(node.value), not node.style, place)
        if isinstance(node, SequenceNode):
            return Items(tuple(self.tree(item, item, depth + 1) for item in node.value), place)
        if not isinstance(node, MappingNode):
            raise ConfigurationError(f"The configuration has something that is no YAML value ({place}).")
        entries: dict[str, Tree] = {}
        for key, value in node.value:
            if not isinstance(key, ScalarNode):
                raise ConfigurationError(f"A key is a list or a mapping; write a name ({self._place(key)}).")
            if key.value in entries:
                raise ConfigurationError(
                    f"Key {key.value!r} is there twice. Keep one of the two "
                    f"({entries[key.value].place} and {self._place(key)})."
                )
            entries[str(key.value)] = self.tree(value, key, depth + 1)
        return Entries(entries, place)

    def _place(self, node: Node) -> str:
        return self._source if self._one_place else f"{self._source}:{node.start_mark.line + 1}"


def override(tree: Tree, assignment: str) -> Tree:
    """Returns the tree with `a.b.c=VALUE` applied, the value read by the same rules as the file.

    Missing mappings on the way are made. A mapping given as the value takes the place of the old one.

    Raises:
        ConfigurationError: it is no assignment, or its way leads through something that is no mapping.
    """
    path, equals, value = assignment.partition("=")
    keys = path.strip().split(".")
    if not equals or not all(keys):
        raise ConfigurationError(f"--set {path!r} is no assignment. Write it as --set privacy.epsilon=1.")
    return _assign(tree, keys, read_tree(value, f"--set {path.strip()}", one_place=True), path)


def _assign(tree: Tree | None, keys: list[str], value: Tree, path: str) -> Tree:
    if not keys:
        return value
    if tree is None or (isinstance(tree, Scalar) and tree.is_null):
        tree = Entries({}, value.place)
    if not isinstance(tree, Entries):
        raise ConfigurationError(
            f"--set {path} leads through {tree.place}, which is no mapping. Set the whole of it instead.",
            field=path.strip(),
        )
    changed = {**tree.entries, keys[0]: _assign(tree.entries.get(keys[0]), keys[1:], value, path)}
    return replace(tree, entries=changed)


def place_of(tree: Tree, field: str) -> str:
    """Returns where a dotted field stands, or where the innermost mapping that should have it does."""
    while isinstance(tree, Entries) and field:
        steps = [key for key in tree.entries if field == key or field.startswith((f"{key}.", f"{key}["))]
        if not steps:
            break
        step = max(steps, key=len)
        tree, field = tree.entries[step], field[len(step) :].lstrip(".")
    return tree.place


def plain_value(tree: Tree) -> Any:
    """Returns a tree as lists, dicts and texts; None for a plain null."""
    if isinstance(tree, Scalar):
        return None if tree.is_null else tree.text
    if isinstance(tree, Items):
        return [plain_value(item) for item in tree.items]
    return {key: plain_value(value) for key, value in tree.entries.items()}


def refuse(field: str, what: str) -> NoReturn:
    """Raises the error of a field; `read` of the whole configuration adds the place."""
    raise ConfigurationError(f"Setting '{field}' {what}", field=field)
