"""The constraints of a configuration, read into codes of the declared columns.

    constraints:
      - forbid: {age: "<15", marital: [married, widowed]}
      - determines: {zip: state}
        mapping: {"10001": NY, "90210": CA}           # or the path of a public CSV or Parquet file

Nothing of a table is read. A comparison that cuts through a bin, an unknown value or a mapping with a gap is refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from spark_dp.errors import ConfigurationError, nearest
from spark_dp.pipeline.config_fields import DETERMINES, FORBID
from spark_dp.pipeline.config_mapping import Pair, file_pairs, inline_pairs
from spark_dp.pipeline.config_reader import Section
from spark_dp.pipeline.config_tree import Entries, Items, Scalar, Tree, plain_value, refuse
from spark_dp.schema.choices import Choices
from spark_dp.schema.constraints import FREE, Constraint, Determined, Forbidden
from spark_dp.schema.describe import labels_at
from spark_dp.schema.private import PrivateColumn
from spark_dp.schema.spelling import hint_for
from spark_dp.schema.table import TableSchema

CONSTRAINTS: Final = "constraints"
_KINDS: Final = ("forbid", "determines")
_SHOWN: Final = 5


class ConstraintReader:
    """Reads constraints on the columns of a schema.

    Args:
        schema: the declared columns.
        private: what is left open of them: no constraint may name these.
        folder: where a mapping's file is found.
        table: the place of the table that is protected (`bindings.place_of`), in which no mapping may be; None where it
            has none.
    """

    def __init__(
        self, schema: TableSchema, private: Sequence[PrivateColumn], folder: Path, table: str | None
    ) -> None:
        self._schema = schema
        self._private = {column.name for column in private}
        self._folder = folder
        self._table = table
        self._choices: dict[str, Choices] = {}

    def read(self, tree: Tree | None) -> tuple[Constraint, ...]:
        """Reads the list of all constraints.

        Raises:
            ConfigurationError: with the constraint's field, and what to change.
        """
        if tree is None:
            return ()
        if not isinstance(tree, Items):
            refuse(
                CONSTRAINTS,
                "is no list. Write one, as in [{forbid: {age: '<15', marital: married}}], or the path of a YAML file that "
                "has one.",
            )
        return tuple(
            self._constraint(item, f"{CONSTRAINTS}[{place}]") for place, item in enumerate(tree.items)
        )

    def _constraint(self, tree: Tree, field: str) -> Constraint:
        kinds = [kind for kind in _KINDS if isinstance(tree, Entries) and kind in tree.entries]
        if not isinstance(tree, Entries) or len(kinds) != 1:
            hint = (
                "".join(hint_for(key, _KINDS) for key in list(tree.entries)[:1])
                if isinstance(tree, Entries)
                else ""
            )
            refuse(
                field,
                "is neither a forbidden combination nor a mapping. Write {forbid: {COLUMN: VALUE, COLUMN: VALUE}}, or "
                f"{{determines: {{COLUMN: COLUMN}}, mapping: {{VALUE: VALUE}}}}.{hint}",
            )
        if kinds == ["forbid"]:
            return self._forbidden(Section(tree, field, FORBID), f"{field}.forbid")
        return self._determined(Section(tree, field, DETERMINES), field)

    def _forbidden(self, section: Section, field: str) -> Forbidden:
        found = section.required("forbid")
        if not isinstance(found, Entries) or len(found.entries) < 2:
            refuse(
                field,
                "names fewer than two columns. Write a mapping of two or more, as in {age: '<15', marital: married}; "
                "a value that a column never has is left out of its declared domain instead.",
            )
        return Forbidden(
            cells=tuple(
                (
                    name,
                    self._of(name, f"{field}.{name}").codes(plain_value(choice), field=f"{field}.{name}"),
                )
                for name, choice in found.entries.items()
            )
        )

    def _determined(self, section: Section, field: str) -> Determined:
        found = section.required("determines")
        pairs = found.entries.items() if isinstance(found, Entries) else ()
        names = [(source, target.text) for source, target in pairs if isinstance(target, Scalar)]
        if len(names) != 1 or len(pairs) != 1:
            refuse(
                f"{field}.determines",
                "does not name one column and the one that it determines. Write it as in {zip: state}; "
                "one column that determines several takes a constraint for each.",
            )
        source, target = names[0]
        about = f"{field}.determines"
        sources, targets = self._of(source, about), self._of(target, about)
        if source == target:
            refuse(about, f"says that {source!r} determines itself. Name two columns.")
        about = f"{field}.mapping"
        mapping = section.required("mapping")
        if isinstance(mapping, Entries):
            return self._mapped(sources, targets, inline_pairs(mapping, about), about, from_file=False)
        if not isinstance(mapping, Scalar):
            refuse(about, "is a list. Write {VALUE: VALUE}, or the path of a public CSV or Parquet file.")
        path = self._folder / mapping.text
        self._require_public(path, about)
        return self._mapped(sources, targets, file_pairs(path, source, target, about), about, from_file=True)

    def _mapped(
        self, sources: Choices, targets: Choices, pairs: Iterable[Pair], field: str, *, from_file: bool
    ) -> Determined:
        """Turns pairs of values into codes; a file may have more values than the column, a written mapping not."""
        column = sources.column
        codes, places = [FREE] * column.size, [""] * column.size
        for pair in pairs:
            if from_file and not sources.has(pair.source):
                continue
            if from_file:
                chosen = self._in_file(targets, pair, field)
            else:
                chosen = targets.codes(pair.target, field=field)
            if len(chosen) > 1:
                what = (
                    f"has a value in {pair.place}"
                    if from_file
                    else f"maps {pair.source!r} to {pair.target!r}"
                )
                refuse(
                    field,
                    f"{what}, which is {len(chosen)} cells of column {targets.column.name!r}. Write one; for several that "
                    "are possible, forbid the others.",
                )
            for code in sources.key(pair.source, field=field):
                if codes[code] not in (FREE, chosen[0]):
                    (label,), both = labels_at(column, [code]), (codes[code], chosen[0])
                    first, second = labels_at(targets.column, both)
                    refuse(
                        field,
                        f"maps one value of {column.name!r} to two of {targets.column.name!r}, in {places[code]} and in "
                        f"{pair.place}. Keep one of the two."
                        if from_file
                        else f"maps {label!r} to {first!r} ({places[code]}) and to {second!r} ({pair.place}). Keep one of "
                        "the two.",
                    )
                codes[code], places[code] = chosen[0], pair.place
        missing = [code for code in range(column.declared) if codes[code] == FREE]
        if missing:
            named = ", ".join(labels_at(column, missing[:_SHOWN])) + (
                ", ..." if len(missing) > _SHOWN else ""
            )
            refuse(
                field,
                f"has no value of {targets.column.name!r} for {len(missing):,} of the {column.declared:,} declared "
                f"values of {column.name!r}: {named}. Add them, or leave them out of the column's values.",
            )
        return Determined(source=column.name, target=targets.column.name, codes=tuple(codes))

    def _in_file(self, targets: Choices, pair: Pair, field: str) -> Sequence[int]:
        """Returns the codes of what a file maps to; its cells are in no message, for it may be the wrong file."""
        try:
            return targets.codes(pair.target, field=field)
        except ConfigurationError:
            refuse(
                field,
                f"has a value in {pair.place} that column {targets.column.name!r} does not declare. Correct it there, or "
                "declare it.",
            )

    def _of(self, name: str, field: str) -> Choices:
        """Returns the reader of a column's choices."""
        if name in self._private:
            refuse(
                field,
                f"names {name!r}, of which the schema leaves something to a private step: nobody knows its values yet. "
                f"Declare schema.{name} in full, or leave it out of the constraint.",
            )
        if name not in self._schema.names:
            known = self._schema.names
            refuse(
                field,
                f"names {name!r}, which the schema has not. Choose from: {', '.join(known)}.{nearest(name, known)}",
            )
        if name not in self._choices:
            self._choices[name] = Choices(self._schema.column(name))
        return self._choices[name]

    def _require_public(self, path: Path, field: str) -> None:
        """Refuses the protected table, or a file in it, for a mapping: that would not be declared but read off it."""
        from spark_dp.privacy.bindings import covers, place_of_path

        if self._table is not None and covers(self._table, place_of_path(str(path))):
            refuse(
                field,
                f"is '{path}', which is in the table that is protected (input). A mapping is public. Give one from a "
                "source that is the same whatever rows the table has.",
            )
