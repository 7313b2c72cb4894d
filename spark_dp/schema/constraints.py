"""Constraints between columns, in codes: combinations that no row may have, and columns that determine others.

They are declared, never learned, so that they cost no privacy. A code stands for one declared value or for a whole bin, and
what is decoded from a bin lies in it: a row whose codes obey a constraint obeys it in its values too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from spark_dp.errors import ConfigurationError
from spark_dp.schema.describe import runs
from spark_dp.schema.domain import Attribute, Clique, Domain

FREE: Final = -1
"""In a mapping: a cell that determines nothing, such as null where the mapping does not name it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Forbidden:
    """No row is in one of these cells in every one of these columns.

    Args:
        cells: for each of two or more distinct columns the codes, increasing, at least one.
    """

    cells: tuple[tuple[Attribute, tuple[int, ...]], ...]

    def __post_init__(self) -> None:
        if len(self.cells) < 2 or len(set(self.clique)) < len(self.cells):
            raise ConfigurationError(
                f"A forbidden combination is of two or more distinct columns, and not of {list(self.clique)}."
            )
        for name, codes in self.cells:
            if not codes or list(codes) != sorted(set(codes)):
                raise ConfigurationError(f"The forbidden codes of {name!r} are not increasing, or none.")

    @property
    def clique(self) -> Clique:
        """The columns that it is about."""
        return tuple(name for name, _ in self.cells)

    def forbidden(self, domain: Domain) -> NDArray[np.bool_]:
        """Returns the cells that no row may be in: bool, one axis for each column of `clique`."""
        table = np.zeros(domain.shape(self.clique), dtype=np.bool_)
        table[np.ix_(*(codes for _, codes in self.cells))] = True
        return table

    def require_within(self, domain: Domain) -> None:
        """Refuses columns and codes that the domain has not."""
        for name, codes in self.cells:
            _require_codes(domain, name, codes, least=0)

    def to_json(self) -> dict[str, Any]:
        """Returns a JSON-able form, codes as runs of the first and the last."""
        return {"forbid": {name: [list(run) for run in runs(codes)] for name, codes in self.cells}}


@dataclass(frozen=True, slots=True, kw_only=True)
class Determined:
    """The cell of one column determines that of another.

    Args:
        source: the column that determines.
        target: the column that is determined.
        codes: for each code of `source` that of `target`, or FREE where any will do.
    """

    source: Attribute
    target: Attribute
    codes: tuple[int, ...]

    def __post_init__(self) -> None:
        if self.source == self.target:
            raise ConfigurationError(f"Column {self.source!r} cannot determine itself. Name another column.")

    @property
    def clique(self) -> Clique:
        """The columns that it is about."""
        return (self.source, self.target)

    def forbidden(self, domain: Domain) -> NDArray[np.bool_]:
        """Returns the cells that no row may be in: bool, of shape (cells of source, cells of target)."""
        codes = np.array(self.codes, np.int64)
        table: NDArray[np.bool_] = codes[:, None] != np.arange(domain.size(self.target))
        table[codes == FREE] = False
        return table

    def require_within(self, domain: Domain) -> None:
        """Refuses columns and codes that the domain has not."""
        _require_codes(domain, self.target, self.codes, least=FREE)
        if len(self.codes) != domain.size(self.source):
            raise ConfigurationError(
                f"{self.source!r} has {domain.size(self.source)} cells, and the mapping to {self.target!r} "
                f"{len(self.codes)}."
            )

    def to_json(self) -> dict[str, Any]:
        """Returns a JSON-able form."""
        return {"determines": [self.source, self.target], "codes": list(self.codes)}


Constraint = Forbidden | Determined


def constraint_from_json(document: Mapping[str, Any]) -> Constraint:
    """Reads what `to_json` wrote."""
    if "forbid" in document:
        return Forbidden(
            cells=tuple(
                (name, tuple(code for first, last in found for code in range(first, last + 1)))
                for name, found in document["forbid"].items()
            )
        )
    source, target = document["determines"]
    return Determined(source=source, target=target, codes=tuple(document["codes"]))


def note(constraint: Constraint, words: Callable[[Attribute, Sequence[int]], str]) -> str:
    """Says it as one of the notes of a plan."""
    said = rule(constraint, words)
    return f"Constraint: {'n' + said[1:] if isinstance(constraint, Forbidden) else said}"


def rule(constraint: Constraint, words: Callable[[Attribute, Sequence[int]], str]) -> str:
    """Says in a sentence what a constraint means for the output.

    Args:
        constraint: of a schema.
        words: for a column and some of its codes, what a reader calls them.
    """
    if isinstance(constraint, Determined):
        free = [code for code, target in enumerate(constraint.codes) if target == FREE]
        return (
            f"{constraint.source} determines {constraint.target} in every row of the output"
            + (f", but where {constraint.source} is {words(constraint.source, free)}" if free else "")
            + "."
        )
    parts = " and ".join(f"{name} {words(name, codes)}" for name, codes in constraint.cells)
    return f"No row of the output has {parts} together."


def _require_codes(domain: Domain, name: Attribute, codes: Sequence[int], *, least: int) -> None:
    size = domain.size(name)
    if any(not least <= code < size for code in codes):
        raise ConfigurationError(f"A constraint has a code that {name!r} has not; it has {size} cells.")
