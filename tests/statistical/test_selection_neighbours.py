"""The law of a choice on neighbouring tables: no event is e^epsilon times as likely with a unit as without."""

from __future__ import annotations

import itertools
from fractions import Fraction

import numpy as np
import pytest
from seeded import P, SeededEntropy, chi_square_p
from support.counting import ArraySource, random_codes

from spark_dp.privacy.scoring import Candidate, round_candidates, score
from spark_dp.privacy.selection import exponential_mechanism
from spark_dp.privacy.sensitivity import Contribution, Neighbours
from spark_dp.schema.domain import Domain

DOMAIN = Domain(("a", "b", "c"), (2, 2, 2))
PAIRS = [("a", "b"), ("a", "c"), ("b", "c")]
EPSILON = Fraction(2)
BIASES = (44.0, 188.0)  # with which all scores are equal on the table without the unit
DRAWS = 20_000
CELLS = list(itertools.product((0, 1), repeat=3))


def contribution(k: int, unit: int = 1) -> Contribution:
    return Contribution(max_rows=k, unit=unit, neighbours=Neighbours.ADD_REMOVE)


def candidates(unit: int):
    """Estimates that some cells exceed and others fall short of, so that a unit moves scores both ways."""
    estimates = [np.array([[60.0, 0.0], [0.0, 60.0]]), np.array([[0.0, 60.0], [60.0, 0.0]])]
    found = [Candidate(clique=(), estimate=None)]
    found += [
        Candidate(clique=p, estimate=e, bias=b) for p, e, b in zip(PAIRS[:2], estimates, BIASES, strict=True)
    ]
    return round_candidates(found, DOMAIN, unit)


def scores(k: int, unit: int, cell=None) -> list[Fraction]:
    """Exact scores of a table of 100 rows, and of k rows of one more unit where a cell is given."""
    codes = random_codes(DOMAIN, 100, 1)
    if cell is not None:
        codes = np.concatenate([codes, np.tile(cell, (k, 1))])
    table = ArraySource(DOMAIN, codes, np.full(len(codes), unit, dtype=np.int64))
    found = candidates(unit)
    return [score(c, None if c.clique is None else table.marginal(c.clique)) for c in found]


def law(found: list[Fraction], sensitivity: Fraction) -> np.ndarray:
    logits = np.array([float(EPSILON * (s - max(found)) / (2 * sensitivity)) for s in found])
    return np.exp(logits) / np.exp(logits).sum()


def worst(k: int, unit: int, sensitivity: Fraction) -> float:
    """The largest logarithm of the ratio of the probabilities of any choice, over all units of k equal rows."""
    without = law(scores(k, unit), sensitivity)
    return max(np.abs(np.log(law(scores(k, unit, c), sensitivity) / without)).max() for c in CELLS)


@pytest.mark.parametrize("k, unit", [(1, 1), (5, 1), (5, 2**20)])
def test_no_unit_moves_a_choice_by_more_than_epsilon(k, unit):
    found = worst(k, unit, contribution(k, unit).score(Fraction(1)))
    assert 0.2 * EPSILON < found <= EPSILON


def test_a_sensitivity_that_ignores_k_would_be_noticed():
    assert worst(5, 1, contribution(1).score(Fraction(1))) > EPSILON


@pytest.mark.parametrize("cell", [None, (0, 0, 1)], ids=["without the unit", "with the unit"])
def test_what_is_drawn_has_the_exact_law_on_both_tables(cell):
    found, sensitivity = scores(5, 1, cell), contribution(5).score(Fraction(1))
    entropy = SeededEntropy(11)
    picks = [exponential_mechanism(found, EPSILON, sensitivity, entropy) for _ in range(DRAWS)]
    counts = np.bincount(picks, minlength=len(found))
    assert chi_square_p(counts, DRAWS * law(found, sensitivity)) > P
    other = scores(5, 1, (0, 0, 1) if cell is None else None)
    assert chi_square_p(counts, DRAWS * law(other, sensitivity)) < P
