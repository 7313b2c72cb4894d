"""`mechanism: auto`: which mechanism suits a table, from declared facts and what private steps learned."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from statistics import median
from typing import Final

from spark_dp.graphical.projected_noise import unprojected_noise
from spark_dp.graphical.zeros import StructuralZeros
from spark_dp.mechanisms.candidates import countable_candidates
from spark_dp.mechanisms.catalog import MECHANISMS
from spark_dp.mechanisms.protocol import Mechanism, noise_of
from spark_dp.mechanisms.workload import Workload
from spark_dp.privacy.sensitivity import Contribution
from spark_dp.schema.domain import Domain

AUTO: Final = "auto"

_DROWNED: Final = 2.0
"""Noise in a typical pair, in multiples of all rows, from which on no relation is worth looking for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Advice:
    """A mechanism and why it was chosen, in one sentence."""

    mechanism: Mechanism
    reason: str


def advise(
    domain: Domain,
    *,
    rho: Fraction,
    contribution: Contribution,
    workload: Workload,
    max_cells: int,
    expected_rows: int | None,
    zeros: Sequence[StructuralZeros] = (),
) -> Advice:
    """Chooses a mechanism by the columns, the sizes of their domains, the workload, the budget and the expected size.

    `oneshot` in general: it was the best or nearly so on every public table that was tried, and puts its budget on
    columns by itself where relations are not worth their noise (benchmarks/README.md). `independent` where that
    is certain beforehand, which saves the part that looking for relations would cost.

    Guarantees: a pure function of its arguments, which are declared or, where private steps of the run learned columns,
    values or k, earlier answers of the run.
    """
    candidates = countable_candidates(workload, max_cells, zeros)
    if not candidates:
        why = (
            "the table has one column"
            if len(domain) == 1
            else "the workload has no relation of columns that a model of mechanism.max_model_mb could hold"
        )
        return Advice(mechanism=MECHANISMS["independent"], reason=f"independent, because {why}")
    pairs = [domain.cells(clique) for clique in candidates if len(clique) == 2]
    sigma = noise_of(len(domain), rho, contribution)
    typical = unprojected_noise(median(pairs), sigma)
    if expected_rows is not None and typical > _DROWNED * expected_rows:
        return Advice(
            mechanism=MECHANISMS["independent"],
            reason=(
                f"independent, because with noise of {sigma:,.0f} rows a typical pair of {median(pairs):,.0f} cells "
                f"would be off by {typical:,.0f} rows, and about {expected_rows:,} are expected"
            ),
        )
    size = (
        ""
        if expected_rows is not None
        else "; with input.expected_rows it could be said whether noise drowns them"
    )
    return Advice(
        mechanism=MECHANISMS["oneshot"],
        reason=(
            f"oneshot, because there are {len(candidates):,} relations to choose from: it looks at all of them at once, and "
            f"measures as many as are worth their noise{size}"
        ),
    )
