"""YAML as a tree that keeps each scalar's own text and line, so that a field decides what a scalar means."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, NoReturn

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from spark_dp.errors import ConfigurationError
from spark_dp.schema.spelling import unseen_in

DEEPEST: Final = 20
LARGEST_BYTES: Final = 4_000_000
"""Of a document: some half a minute of reading."""

MOST_NODES: Final = 1_000_000
"""Values and keys, after each alias is written out: a small document may stand for a huge one."""

UNFILLED: Final = "???"
"""The value of a setting that somebody still has to fill in."""

_ITEM = re.compile(r"\[([0-9]{1,9})\]\.?")
_NULLS = ("", "~", "null", "Null", "NULL")
_CORE = "tag:yaml.org,2002:"
_HINTS = {
    r"'\t' that cannot start any token": "Use spaces instead of tabs",
    "that cannot start any token": "Put a text that starts so in quotes",
    "mapping values are not allowed here": "Look here and on the line above for a colon without a space after it, "
    "for other indentation, or for a text with a colon that needs quotes",
    "found another document": "Write one document, without --- lines",
    "found unexpected end of stream": "A quote or a bracket is not closed",
    "found undefined alias": "An * starts an alias; put a text that starts so in quotes",
}


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
    if len(text) > LARGEST_BYTES:
        raise ConfigurationError(
            f"The configuration has {len(text):,} characters, and may have {LARGEST_BYTES:,}. Nothing was read or spent. "
            f"Declare fewer values, or bins ({source})."
        )
    try:
        node = YAML(typ="safe", pure=True).compose(text)
    except YAMLError as error:
        raise _invalid(error, text, source, one_place) from None
    except RecursionError:
        raise ConfigurationError(
            f"The configuration is nested deeper than {DEEPEST} levels ({source}). Write it flatter."
        ) from None
    if node is None:
        return Scalar("", True, source)
    return _Converter(source, one_place).tree(node, node, 0)


def _invalid(error: YAMLError, text: str, source: str, one_place: bool) -> ConfigurationError:
    """Returns what to say of a text that is no YAML: what, where, and what it often is."""
    mark = error.problem_mark if isinstance(error, MarkedYAMLError) else None
    place = source if one_place or mark is None else f"{source}:{mark.line + 1}"
    line = text.splitlines()[mark.line] if mark is not None and mark.line < len(text.splitlines()) else ""
    if UNFILLED in line:
        return ConfigurationError(
            f"A setting is still {UNFILLED}: fill it in ({place}). Nothing was read or spent."
        )
    problem = getattr(error, "problem", None) or "it has a character that no text file should have"
    hint = next((f" {said}." for part, said in _HINTS.items() if part in problem), "")
    return ConfigurationError(
        f"The configuration is not valid YAML: {problem} ({place}).{hint or ' Correct it there.'}"
    )


class _Converter:
    def __init__(self, source: str, one_place: bool) -> None:
        self._source = source
        self._one_place = one_place
        self._nodes = 0
        self._resolver = YAML(typ="safe", pure=True).resolver

    def tree(self, node: Node, place_of: Node, depth: int) -> Tree:
        """Converts a node; an alias is converted again at each place, so that a cycle ends at DEEPEST."""
        place = self._place(place_of)
        if depth > DEEPEST:
            raise ConfigurationError(
                f"The configuration is nested deeper than {DEEPEST} levels ({place}). Write it flatter."
            )
        self._nodes += 1
        if self._nodes > MOST_NODES:
            raise ConfigurationError(
                f"The configuration stands for more than {MOST_NODES:,} values, each alias written out ({place})."
            )
        if isinstance(node, ScalarNode):
            return self._scalar(node, place)
        self._require_untagged(node, place)
        if isinstance(node, SequenceNode):
            return Items(tuple(self.tree(item, item, depth + 1) for item in node.value), place)
        if not isinstance(node, MappingNode):
            raise ConfigurationError(f"The configuration has something that is no YAML value ({place}).")
        entries: dict[str, Tree] = {}
        for key, value in node.value:
            if not isinstance(key, ScalarNode):
                raise ConfigurationError(f"A key is a list or a mapping; write a name ({self._place(key)}).")
            self._require_name(key)
            if key.value in entries:
                raise ConfigurationError(
                    f"Key {key.value!r} is there twice. Keep one of the two "
                    f"({entries[key.value].place} and {self._place(key)})."
                )
            entries[str(key.value)] = self.tree(value, key, depth + 1)
        return Entries(entries, place)

    def _scalar(self, node: ScalarNode, place: str) -> Scalar:
        text, plain = str(node.value), not node.style
        if plain:
            self._require_untagged(node, place)
        if any("\ud800" <= character <= "\udfff" for character in text):
            raise ConfigurationError(f"A value has half of a character, which no file can hold ({place}).")
        return Scalar(text, plain, place)

    def _require_untagged(self, node: Node, place: str) -> None:
        """Refuses a tag that would have changed what a value is: here the field alone decides that."""
        if isinstance(node, ScalarNode):
            usual = str(self._resolver.resolve(ScalarNode, node.value, (True, False)))
        else:
            usual = _CORE + ("seq" if isinstance(node, SequenceNode) else "map")
        if str(node.tag) != usual:
            shown = str(node.tag).replace(_CORE, "!!")
            raise ConfigurationError(
                f"A value has the tag {shown!r}. Leave tags out: each field says what its value is ({place})."
            )

    def _require_name(self, key: ScalarNode) -> None:
        """Refuses a key that is not what it looks like."""
        if key.style:
            return
        name, place = str(key.value), self._place(key)
        if name == "<<":
            raise ConfigurationError(
                f"Key '<<' merges mappings in YAML 1.1 only. Write the keys out, or use an alias for a whole value "
                f"({place})."
            )
        if name.startswith(UNFILLED):
            raise ConfigurationError(f"A key is still {UNFILLED}: fill it in ({place}).")
        if unseen := unseen_in(name):
            raise ConfigurationError(
                f"Key {name!a} has a character that cannot be seen, {unseen}. Type the key anew, or quote it "
                f"({place})."
            )

    def _place(self, node: Node) -> str:
        return self._source if self._one_place else f"{self._source}:{node.start_mark.line + 1}"


def override(tree: Tree, assignment: str, free: Collection[str] = ()) -> Tree:
    """Returns the tree with `a.b.c=VALUE` applied, the value read by the same rules as the file.

    Missing mappings on the way are made. A mapping given as the value takes the place of the old one. A name with
    dots in it is found where the file has it, and is a single key inside of a free mapping.

    Args:
        tree: of the file.
        assignment: a dotted name, `=` and a value.
        free: names of mappings whose keys may have dots, such as those of Spark's settings.

    Raises:
        ConfigurationError: it is no assignment, or its way leads through something that is no mapping.
    """
    path, equals, value = assignment.partition("=")
    path = path.strip()
    if not equals or not all(path.split(".")):
        raise ConfigurationError(f"--set {path!r} is no assignment. Write it as --set privacy.epsilon=1.")
    return _assign(tree, "", path, read_tree(value, f"--set {path}", one_place=True), free)


def _assign(tree: Tree | None, done: str, rest: str, value: Tree, free: Collection[str]) -> Tree:
    if not rest:
        return value
    if tree is None or (isinstance(tree, Scalar) and tree.is_null):
        tree = Entries({}, value.place)
    path = f"{done}.{rest}" if done else rest
    if not isinstance(tree, Entries):
        raise ConfigurationError(
            f"--set {path} leads through {tree.place}, which is no mapping. Set the whole of it instead.",
            field=path,
        )
    known = [key for key in tree.entries if rest == key or rest.startswith(f"{key}.")]
    key = rest if done in free else max(known, key=len, default=rest.partition(".")[0])
    below = _assign(
        tree.entries.get(key), f"{done}.{key}" if done else key, rest[len(key) + 1 :], value, free
    )
    return replace(tree, entries={**tree.entries, key: below})


def place_of(tree: Tree, field: str) -> str:
    """Returns where a dotted field stands, or where the innermost mapping that should have it does."""
    while field:
        if isinstance(tree, Items) and (item := _ITEM.match(field)) and int(item[1]) < len(tree.items):
            tree, field = tree.items[int(item[1])], field[item.end() :]
            continue
        if not isinstance(tree, Entries):
            break
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
