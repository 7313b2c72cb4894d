"""What a schema's constraints mean for a run: whether rows are left at all, and which values none can have."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Final, NoReturn

import numpy as np

from spark_dp.errors import ConfigurationError, DomainTooLargeError
from spark_dp.graphical.zeros import StructuralZeros, possible_values, structural_zeros
from spark_dp.schema.describe import labels_at
from spark_dp.schema.table import TableSchema

_SHOWN: Final = 5


def zeros_of(schema: TableSchema, max_cells: int) -> tuple[StructuralZeros, ...]:
    """Returns what the constraints forbid, after checking that a model can hold them and that a row is left.

    Raises:
        DomainTooLargeError: the model would have more than max_cells, for one constraint or for all. Nothing was allocated.
        ConfigurationError: no row obeys all constraints; names the first that leaves none together with those before it.
    """
    domain = schema.domain
    for place, constraint in enumerate(schema.constraints):
        cells = domain.cells(constraint.clique)
        if cells > max_cells:
            raise DomainTooLargeError(
                f"Setting 'constraints[{place}]' is about {' x '.join(constraint.clique)}, which have {cells:,} cells "
                f"together; the model has to hold them, and may have {max_cells:,}. Nothing was read or spent. Declare "
                "fewer values or bins there, leave the constraint out, or raise mechanism.max_model_mb.",
                field=f"constraints[{place}]",
            )
    zeros = _possible(schema, max_cells)
    if zeros is None:
        _refuse_first(schema, max_cells)
    return zeros


def _possible(schema: TableSchema, max_cells: int) -> tuple[StructuralZeros, ...] | None:
    """Returns what is forbidden; None where no row is left."""
    try:
        zeros = structural_zeros(schema)
    except ConfigurationError:
        return None  # the constraints on one set of columns leave none
    try:
        held = possible_values(schema.domain, zeros, max_cells=max_cells)
    except DomainTooLargeError as error:
        raise DomainTooLargeError(
            f"The constraints together need a larger model than is allowed. {error.message} Nothing was read or spent.",
            field="constraints",
        ) from None
    return zeros if all(cells.any() for cells in held.values()) else None


def _refuse_first(schema: TableSchema, max_cells: int) -> NoReturn:
    """Refuses the first constraint that leaves no row together with those before it."""
    place = 0
    while _possible(replace(schema, constraints=schema.constraints[: place + 1]), max_cells) is not None:
        place += 1
    alone = _possible(replace(schema, constraints=(schema.constraints[place],)), max_cells) is None
    raise ConfigurationError(
        f"Setting 'constraints[{place}]' leaves no possible row"
        + (
            f": every combination of {' and '.join(schema.constraints[place].clique)} is forbidden"
            if alone
            else ", together with the constraints before it: they contradict each other"
        )
        + ". Nothing was read or spent. Leave it out, or forbid less.",
        field=f"constraints[{place}]",
    )


def constraint_warnings(
    schema: TableSchema, zeros: Sequence[StructuralZeros], max_cells: int
) -> Iterator[str]:
    """Warns of declared values that no row of the output can have."""
    if not zeros:
        return
    for name, held in possible_values(schema.domain, zeros, max_cells=max_cells).items():
        if held.all():
            continue
        gone = [int(code) for code in np.flatnonzero(~held)]
        labels = ", ".join(labels_at(schema.column(name), gone[:_SHOWN]))
        yield (
            f"{name}: the constraints leave no possible row for {len(gone):,} of {len(held):,} cells ({labels}"
            f"{', ...' if len(gone) > _SHOWN else ''}); the output will not have them. Check the constraints if that is not "
            "meant."
        )
