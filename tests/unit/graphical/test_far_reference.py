"""Estimates far from independent columns: sessions that end and stay ended, whose triples are empty in most cells."""

import itertools

import numpy as np
from support.noise import measurement

from spark_dp.graphical.estimation import estimate
from spark_dp.schema.domain import Domain

ROWS, STEPS, PAGES, SIGMA = 200_000, 6, 8, 3.0
DOMAIN = Domain(tuple(f"step_{i}" for i in range(STEPS)), (PAGES,) * STEPS)
LOOPS = [(0, 1, 2), (1, 2, 3), (2, 3, 4), (3, 4, 5), (0, 3, 5), (1, 3, 4), (0, 1, 5), (0, 2, 4)]


def sessions(rng):
    """Returns pages by row and step: 0 where a session is over, else the page before in half of the rows."""
    pages = rng.integers(1, PAGES, (ROWS, STEPS))
    for step in range(1, STEPS):
        before = pages[:, step - 1]
        pages[:, step] = np.where(rng.random(ROWS) < 0.5, before, pages[:, step])
        pages[(before == 0) | (rng.random(ROWS) < 0.4), step] = 0
    return pages


def test_newton_steps_reach_a_table_that_is_empty_in_most_cells_in_a_handful():
    rng = np.random.default_rng(0)
    pages = sessions(rng)
    measured = []
    for steps in [*itertools.combinations(range(STEPS), 1), *LOOPS]:
        counts = np.zeros((PAGES,) * len(steps))
        np.add.at(counts, tuple(pages[:, step] for step in steps), 1)
        noisy = counts + rng.normal(0, SIGMA, counts.shape)
        measured.append(measurement(tuple(DOMAIN.attributes[s] for s in steps), noisy, SIGMA))
    found = estimate(DOMAIN, measured, max_cells=10**6).convergence
    assert found.converged
    assert found.loss < found.noise_floor
    # Loss and penalty rise along long steps at first: where these said how far a step goes, there were 15.
    assert found.iterations <= 7
