"""How far a model has moved from what candidates were compared with when they were chosen from."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from spark_dp.graphical.model import GraphicalModel
from spark_dp.graphical.unmeasured import PassedOverError, ScoredError, Unmeasured
from spark_dp.privacy.choices import Choices, PassedOver, Scored
from spark_dp.privacy.queries import ScoreSpecification, SelectSpecification
from spark_dp.schema.domain import Clique

_AT_ONCE = 2_000_000
"""Cells of marginals that are held together."""


def unmeasured_errors(
    model: GraphicalModel,
    measured: Sequence[Clique],
    choices: Choices,
    record: Callable[[str], bytes | None],
    *,
    unit: int,
) -> tuple[Unmeasured, ...]:
    """Compares a model with the references of all marginals that choices revealed something of and nothing measured.

    Args:
        model: the final one.
        measured: what was measured; what these hold is left out.
        choices: of the run.
        record: gives a specification by its place; None where it is not at hand, and then nothing is said of its marginals.
        unit: fixed-point units that make one row.
    """
    held = [frozenset(clique) for clique in measured]
    of: dict[str, list[Scored | PassedOver]] = {}
    records: tuple[Scored | PassedOver, ...] = (*choices.scored, *choices.passed_over)
    for found in records:
        if not any(set(found.clique) <= clique for clique in held):
            of.setdefault(found.reference, []).append(found)
    errors: list[Unmeasured] = []
    for place, group in of.items():
        content = record(place)
        if content is not None:
            errors += _moved(model, group, content, unit)
    return tuple(errors)


def _moved(
    model: GraphicalModel, group: Sequence[Scored | PassedOver], content: bytes, unit: int
) -> Iterator[Unmeasured]:
    references = _references(content, scores=isinstance(group[0], Scored))
    for batch in _batches(model, group):
        marginals = model.marginals([found.clique for found in batch])
        for found in batch:
            reference = references[found.clique] / np.float64(unit)
            moved = float(np.abs(marginals[found.clique] - reference).sum())
            if isinstance(found, Scored):
                yield ScoredError(record=found, moved=moved)
            else:
                yield PassedOverError(record=found, moved=moved)


def _references(content: bytes, *, scores: bool) -> dict[Clique, NDArray[np.int64]]:
    kind = ScoreSpecification if scores else SelectSpecification
    candidates = kind.from_bytes(content).candidates
    return {c.clique: c.estimate for c in candidates if c.clique is not None and c.estimate is not None}


def _batches(
    model: GraphicalModel, group: Sequence[Scored | PassedOver]
) -> Iterator[list[Scored | PassedOver]]:
    batch: list[Scored | PassedOver] = []
    cells = 0
    for found in group:
        size = model.domain.cells(found.clique)
        if batch and cells + size > _AT_ONCE:
            yield batch
            batch, cells = [], 0
        batch.append(found)
        cells += size
    if batch:
        yield batch
