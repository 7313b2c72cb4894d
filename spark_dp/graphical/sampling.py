"""Rows from a model: each chunk a pure function of (plan, seed, chunk number, rows)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spark_dp.errors import InternalError
from spark_dp.graphical.archive import pack, unpack
from spark_dp.graphical.model import GraphicalModel
from spark_dp.graphical.zeros import completable
from spark_dp.schema.domain import Attribute, Clique, Domain

FORMAT = "spark-dp sampling plan"
VERSION = 1
MAX_CHUNK_ROWS = 1 << 17

# Rows of a group whose random bits are equal keep their order; below this many bits that would be noticed.
_LEAST_RANDOM_BITS = 24

# n - U must not round down to n - 1, or a row would be left over: floats below 2**17 are 2**-36 apart.
_GREATEST_UNIFORM = 1.0 - 2.0**-36

Codes = NDArray[np.unsignedinteger]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SamplingStep:
    """Draws some attributes given others that were drawn before.

    Attributes:
        given: the attributes that are known.
        drawn: the attributes that are drawn together.
        cumulative: float64 of shape (cells of `given`, cells of `drawn`), C order: in each row the
            cumulative conditional probabilities, which never fall and end at exactly 1.
    """

    given: Clique
    drawn: Clique
    cumulative: NDArray[np.float64]

    def __post_init__(self) -> None:
        rising = np.diff(self.cumulative, axis=1, prepend=0.0) >= 0
        if not rising.all() or not (self.cumulative[:, -1] == 1.0).all():
            raise ValueError(f"The cumulative probabilities of {self.drawn} must rise to 1.")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SamplingPlan:
    """The conditional tables of a model, in the order in which attributes are drawn.

    The tables are stored as they were computed when the model was fitted, so that a sample does not depend
    on how another machine adds up floats.
    """

    domain: Domain
    steps: tuple[SamplingStep, ...]

    @classmethod
    def from_model(cls, model: GraphicalModel) -> SamplingPlan:
        """Takes each clique of the junction tree, parents first: the new attributes given the separator.

        A cell whose separator configuration has probability zero in a clique below is taken away first: products of
        small probabilities may vanish in one clique and not in the other. So a separator configuration of
        probability zero is never reached; it gets the uniform distribution.

        Guarantees: a cell of probability zero has the cumulative probability of the cell before it, to the last bit.

        Raises:
            InternalError: no cell of a clique is left.
        """
        steps = []
        supports = completable(model.tree, [table > 0 for table in model.probabilities])
        for clique, separator, table, support in zip(
            model.tree.cliques, model.tree.separators, model.probabilities, supports, strict=True
        ):
            if not support.any():
                raise InternalError(f"The model has no possible row in {clique}. Nothing was generated.")
            table = np.where(support, table, 0.0)
            drawn = tuple(attribute for attribute in clique if attribute not in separator)
            axes = [clique.index(attribute) for attribute in (*separator, *drawn)]
            joint = table.transpose(axes).reshape(model.domain.cells(separator), model.domain.cells(drawn))
            joint = np.where(joint.sum(axis=1, keepdims=True) > 0, joint, 1.0)
            cumulative = np.cumsum(joint, axis=1)
            cumulative /= cumulative[:, -1:].copy()
            steps.append(SamplingStep(given=separator, drawn=drawn, cumulative=cumulative))
        return cls(domain=model.domain, steps=tuple(steps))

    def to_bytes(self) -> bytes:
        """Returns an npz archive of the tables with a JSON header that states format and version."""
        header = {
            "format": FORMAT,
            "version": VERSION,
            "domain": self.domain.to_json(),
            "given": [step.given for step in self.steps],
            "drawn": [step.drawn for step in self.steps],
        }
        return pack(header, {f"step_{i}": step.cumulative for i, step in enumerate(self.steps)})

    @classmethod
    def from_bytes(cls, content: bytes) -> SamplingPlan:
        """Reads what `to_bytes` wrote.

        Raises:
            InputError: the bytes are truncated, of another format or of an unknown version.
        """
        header, arrays = unpack(content, FORMAT, VERSION)
        return cls(
            domain=Domain.from_json(header["domain"]),
            steps=tuple(
                SamplingStep(given=tuple(given), drawn=tuple(drawn), cumulative=arrays[f"step_{i}"])
                for i, (given, drawn) in enumerate(zip(header["given"], header["drawn"], strict=True))
            ),
        )


def sample(plan: SamplingPlan, rows: int, bits: np.random.BitGenerator) -> dict[Attribute, Codes]:
    """Draws a chunk of rows with as little variance as whole rows allow.

    In each step the rows are grouped by what is given, in random order within a group. A group of n rows
    gets the values of a systematic sample: one uniform U places all boundaries at ceil(n * cumulative - U).
    So every cell gets the floor or the ceiling of its expected number, and its expectation on average.
    The random order makes the values independent of everything else in the group, as the model says.

    A cell of probability zero gets no row, and not only on average: its cumulative probability equals that of the cell
    before it, to the last bit, so that both boundaries are the same function of the same float. Sums of floats cannot
    bring a forbidden cell back.

    Guarantees: a pure function of its arguments and the state of `bits`. Only `random_raw` is used, and
    PCG64's and SeedSequence's streams are stable across releases (NEP 19); keys are distinct, so no sort
    algorithm matters. The rows are in random order. Post-processing: it costs no privacy.

    Args:
        plan: what is drawn from.
        rows: from 0 to MAX_CHUNK_ROWS.
        bits: seeded by the caller, one stream a chunk.

    Returns:
        For each attribute, in the domain's order, codes of the smallest unsigned type that holds its size.
    """
    if not 0 <= rows <= MAX_CHUNK_ROWS:
        raise ValueError(f"A chunk has {rows} rows; it may have 0 to {MAX_CHUNK_ROWS}.")
    codes: dict[Attribute, Codes] = {}
    for step in plan.steps:
        values = _draw(step, _flat(plan.domain, codes, step.given, rows), rows, bits)
        for attribute in reversed(step.drawn):
            size = plan.domain.size(attribute)
            if attribute == step.drawn[0]:
                codes[attribute] = values.astype(_code_type(size), copy=False)
            else:
                codes[attribute] = (values % size).astype(_code_type(size))
                values = values // size
    return {attribute: codes[attribute] for attribute in plan.domain}


def _draw(
    step: SamplingStep, groups: NDArray[np.uint64], rows: int, bits: np.random.BitGenerator
) -> NDArray[np.unsignedinteger]:
    """Returns one cell of the drawn attributes for each row, as a flat index."""
    cells = step.cumulative.shape[1]
    kind = _code_type(cells)
    values = np.zeros(rows, dtype=kind)
    if cells == 1 or rows == 0:
        return values
    occupied, groups, sizes = _group(groups, step.cumulative.shape[0], rows)
    order = _shuffled_by_group(groups, sizes.size, rows, bits)
    uniform = (bits.random_raw(sizes.size) >> np.uint64(11)).astype(np.float64) * 2.0**-53
    np.minimum(uniform, _GREATEST_UNIFORM, out=uniform)
    bounds = step.cumulative[occupied]
    bounds *= sizes[:, None]
    bounds -= uniform[:, None]
    np.ceil(bounds, out=bounds)
    ends = bounds.astype(np.int64)
    ends[:, 1:] -= ends[:, :-1].copy()
    labels = np.broadcast_to(np.arange(cells, dtype=kind), ends.shape).ravel()
    values[order] = np.repeat(labels, ends.ravel())
    return values


def _group(
    groups: NDArray[np.uint64], configurations: int, rows: int
) -> tuple[NDArray[np.int64], NDArray[np.uint64], NDArray[np.int64]]:
    """Returns the occupied configurations, each row's place among them, and their numbers of rows."""
    if configurations > 4 * rows:
        found, places, sizes = np.unique(groups, return_inverse=True, return_counts=True)
        return found.astype(np.int64), places.astype(np.uint64), sizes.astype(np.int64)
    rows_of = np.bincount(groups.view(np.int64), minlength=configurations).astype(np.int64)
    occupied = np.flatnonzero(rows_of).astype(np.int64)
    if occupied.size < configurations:
        renamed = np.zeros(configurations, dtype=np.uint64)
        renamed[occupied] = np.arange(occupied.size, dtype=np.uint64)
        return occupied, renamed[groups.view(np.int64)], rows_of[occupied]
    return occupied, groups, rows_of


def _shuffled_by_group(
    groups: NDArray[np.uint64], count: int, rows: int, bits: np.random.BitGenerator
) -> NDArray[np.int64]:
    """Returns the rows' indices, group by group, in random order within each.

    One key a row: group | random bits | index. There are at most as many groups as rows, so that
    64 - 2 * 17 bits at least are random.
    """
    index_bits = max((rows - 1).bit_length(), 1)
    group_bits = (count - 1).bit_length()
    random_bits = 64 - group_bits - index_bits
    if random_bits < _LEAST_RANDOM_BITS:
        raise ValueError(f"A chunk of {rows} rows in {count} groups leaves {random_bits} random bits a row.")
    keys = bits.random_raw(rows)
    keys >>= np.uint64(group_bits)
    if group_bits:
        keys |= groups << np.uint64(64 - group_bits)
    mask = np.uint64((1 << index_bits) - 1)
    keys &= ~mask
    keys |= np.arange(rows, dtype=np.uint64)
    keys.sort()
    keys &= mask
    return keys.view(np.int64)


def _flat(domain: Domain, codes: dict[Attribute, Codes], given: Clique, rows: int) -> NDArray[np.uint64]:
    """Returns each row's configuration of the given attributes as a flat index, C order."""
    flat = np.zeros(rows, dtype=np.uint64)
    for attribute in given:
        flat *= np.uint64(domain.size(attribute))
        flat += codes[attribute]
    return flat


def _code_type(size: int) -> np.dtype[np.unsignedinteger]:
    return np.dtype(np.min_scalar_type(size - 1))
