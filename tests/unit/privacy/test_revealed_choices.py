"""What choices reveal, read from a run's answered queries."""

from __future__ import annotations

import json
from fractions import Fraction

import numpy as np
import pytest
from support.calibration import release
from support.counting import ArraySource, random_codes

from spark_dp.graphical import estimate, noisy_marginal
from spark_dp.graphical.pooling import pool
from spark_dp.graphical.references import unmeasured_errors
from spark_dp.graphical.unmeasured import PassedOverError, ScoredError
from spark_dp.mechanisms.schedules import schedule_of
from spark_dp.privacy.choices import Choices, choices_of
from spark_dp.privacy.noise_law import NoiseLaw
from spark_dp.privacy.queries import (
    AnsweredQuery,
    MeasureSpecification,
    ScoredCandidate,
    SelectSpecification,
)
from spark_dp.schema.domain import Domain

DOMAIN = Domain(("a", "b", "c", "d"), (4, 4, 4, 4))
ONE, TWO = ("a",), ("b",)


@pytest.fixture(scope="module", params=["mst", "oneshot", "aim"])
def made(request):
    source = ArraySource(DOMAIN, random_codes(DOMAIN, 3000, 1))
    return release(request.param, DOMAIN, source, 3000, epsilon=4.0, degree=3)


def test_each_marginal_is_measured_or_something_is_known_of_it(made):
    held = [set(m.clique) for m in made.measurements]
    known = {e.clique for e in made.revealed}
    assert not any(set(clique) <= h for clique in known for h in held)
    candidates = {r.clique for r in (*made.choices.scored, *made.choices.passed_over)}
    assert known == {c for c in candidates if not any(set(c) <= h for h in held)}
    kinds = {type(e) for e in made.revealed}
    assert kinds <= ({ScoredError} if made.choices.scored else {PassedOverError})
    assert all(pool(DOMAIN, made.measurements, c, schedule_of(made.measurements)) is None for c in known)


def test_choices_are_read_back_as_they_were_written(made):
    assert Choices.from_json(json.loads(json.dumps(made.choices.to_json()))) == made.choices


def test_the_shares_of_the_choices_do_not_exceed_what_there_is(made):
    by_choice = {r.reference: r.share for r in made.choices.passed_over}
    assert all(0 < share <= 1 for share in by_choice.values())
    assert sum(by_choice.values()) <= 1


def select(place, chosen, part=0.5, cliques=(ONE, TWO)):
    candidates = [
        ScoredCandidate(clique=c, estimate=np.array([10, 20], dtype=np.int64), bias=3, weight=Fraction(1, 2))
        for c in cliques
    ]
    candidates.append(ScoredCandidate(clique=None, estimate=None, bias=0, weight=Fraction(0)))
    spec = SelectSpecification(
        name=place, candidates=tuple(candidates), epsilon=Fraction(1, 10), sensitivity=Fraction(1, 2)
    )
    return AnsweredQuery(
        name=place,
        kind="select",
        place=place,
        part=part,
        specification=spec.to_bytes(),
        values=(np.array(chosen, dtype=np.int64),),
    )


def measure(clique, noisy):
    spec = MeasureSpecification(name="m", cliques=(clique,), sigma_squared=Fraction(4), l2_squared=1, unit=1)
    return AnsweredQuery(
        name="m",
        kind="measure",
        place="m",
        part=0.1,
        specification=spec.to_bytes(),
        values=(np.array(noisy, dtype=np.int64),),
    )


def read(*queries):
    return choices_of(queries, unit=1, law=NoiseLaw.DISCRETE).passed_over


def test_the_candidate_that_was_not_taken_is_compared_with_the_measurement_that_came_next():
    (found,) = read(measure(ONE, [0, 0]), select("s", 0), measure(TWO, [9, 9]), measure(ONE, [13, 19]))
    assert (found.clique, found.scale, found.candidates, found.share) == (TWO, 10.0, 3, 0.5)
    assert (found.weight, found.bias) == (0.5, 3.0)
    assert (found.worst.distance, found.worst.cells, found.worst.variance) == (4.0, 2, 4.0)


def test_a_choice_whose_measurement_never_came_says_nothing():
    assert read(select("s", 0)) == ()


def test_to_stop_says_something_of_all_and_the_last_choice_counts():
    found = read(select("s", 0), measure(ONE, [13, 19]), select("t", 2))
    assert {(r.clique, r.reference, r.share, r.worst) for r in found} == {
        (ONE, "t", 0.25, None),
        (TWO, "t", 0.25, None),
    }


def test_how_far_the_model_has_moved_from_a_reference_is_known():
    domain, query = Domain(("a", "b"), (2, 2)), select("s", 2)
    measured = [noisy_marginal(("a", "b"), [[1, 3], [10, 20]], 0.001)]
    model = estimate(domain, measured, max_cells=10).model
    choices = choices_of([query], unit=1, law=NoiseLaw.DISCRETE)
    found = unmeasured_errors(model, [], choices, {"s": query.specification}.get, unit=1)
    assert {e.clique: e.moved for e in found} == pytest.approx({ONE: 6 + 10, TWO: 1 + 3}, abs=0.1)
    assert unmeasured_errors(model, [ONE, ("a", "b")], choices, {}.get, unit=1) == ()


def test_without_its_reference_nothing_is_said_of_a_marginal(made):
    measured = [m.clique for m in made.measurements]
    assert unmeasured_errors(made.model, measured, made.choices, lambda _: None, unit=1) == ()
