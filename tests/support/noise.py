"""Measurements made up for tests of what comes after the curator: ordinary seeded noise, not private."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from spark_dp.privacy.measurement import Measurement
from spark_dp.schema.domain import Clique, Domain


def measurement(
    clique: Clique, values: NDArray[np.float64] | Sequence[float], sigma: float = 1.0
) -> Measurement:
    """Returns a measurement with exactly these values, to the nearest 2^-20 rows."""
    unit = 1 << 20
    noisy = np.asarray(np.rint(np.asarray(values, dtype=np.float64) * unit), dtype=np.int64)
    return Measurement(
        clique=clique, noisy=noisy, sigma_squared=(Fraction(sigma) * unit) ** 2, unit=unit, query="made up"
    )


def noisy_marginals(
    domain: Domain,
    cliques: Sequence[Clique],
    rows: float,
    sigma: float,
    seed: int,
    allowed: NDArray[np.bool_] | None = None,
) -> list[Measurement]:
    """Returns noisy marginals of one random joint table of `rows` rows; a clique may be repeated.

    Args:
        allowed: the cells of the joint table that may hold rows; None: all.
    """
    random = np.random.default_rng(seed)
    joint = random.dirichlet(np.full(domain.cells(domain.attributes), 0.3)).reshape(domain.sizes) * rows
    if allowed is not None:
        joint *= allowed
        joint *= rows / joint.sum()
    found = []
    for clique in cliques:
        lost = tuple(i for i, a in enumerate(domain) if a not in clique)
        order = np.argsort(np.argsort([domain.attributes.index(a) for a in clique]))
        exact = joint.sum(axis=lost).transpose(order) if clique else joint.sum()
        found.append(measurement(clique, exact + random.normal(0, sigma, domain.shape(clique)), sigma))
    return found
