"""The audit through the real path: Spark's bounding, the curator, a ledger. Its limits stay below what is claimed.

Deliberate faults that must break each claim are in `support.mutants`.
"""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from spark_dp.audit import ground as audit_ground
from spark_dp.audit.choosing import audit_choosing
from spark_dp.audit.ground import Setting, ground
from spark_dp.audit.measuring import audit_measuring
from spark_dp.audit.rehearsal import rehearse
from spark_dp.audit.scoring import audit_scoring
from spark_dp.errors import InternalError
from spark_dp.pipeline.inputs import open_input
from spark_dp.pipeline.progress import Progress
from spark_dp.privacy.composition import Accounting

pytestmark = pytest.mark.spark

CONFIDENCE = 0.9999
CANARIES, CHOICES, SCORINGS = 6_000, 200, 300
GAUSSIAN, ZCDP = Accounting.GAUSSIAN, Accounting.ZCDP
MEASURED = [(GAUSSIAN, "weight"), (GAUSSIAN, "sample"), (ZCDP, "weight")]
CHOSEN = [("aim", GAUSSIAN), ("mst", ZCDP)]


@pytest.fixture(scope="module")
def place(spark):
    with ground(spark, Progress(None)) as made:
        yield made


def test_a_ground_whose_units_weigh_more_than_noise_is_made_for_is_refused(place, monkeypatch):
    setting = Setting(
        mechanism="independent",
        bounding="weight",
        accounting=GAUSSIAN,
        max_rows=2,
        columns=1,
        cells=2,
        rho=Fraction(1, 2),
    )
    place.write("heavy", np.zeros((8, 1), np.int64), np.arange(8) // 4)

    def bounded_to_more(session, config):
        unit = replace(config.privacy.unit, max_rows=4)
        return open_input(session, replace(config, privacy=replace(config.privacy, unit=unit)))

    run = place.run(setting, "heavy", "heavy")
    assert place.marginals(run, [("c0",)]).counted[("c0",)].sum() > 0
    monkeypatch.setattr(audit_ground, "open_input", bounded_to_more)
    with pytest.raises(InternalError, match="noise is made for"):
        place.marginals(run, [("c0",)])


@pytest.fixture(scope="module", params=MEASURED, ids=lambda how: f"{how[0].value}-{how[1]}")
def measured(request, place):
    accounting, bounding = request.param
    return audit_measuring(
        place,
        mechanism="independent",
        bounding=bounding,
        accounting=accounting,
        canaries=CANARIES,
        confidence=CONFIDENCE,
    )


@pytest.fixture(scope="module")
def scored(place):
    rehearsal = rehearse(place, mechanism="oneshot", bounding="weight", accounting=GAUSSIAN)
    assert rehearsal is not None
    return audit_scoring(place, rehearsal, draws=SCORINGS, confidence=0.999)


def test_measuring_loses_no_more_than_claimed(measured):
    assert measured.proved_mu <= measured.claimed_mu == pytest.approx(1.0)
    assert measured.proved_epsilon <= measured.claimed_epsilon


def test_an_attack_on_measuring_proves_most_of_what_is_claimed(measured):
    assert measured.proved_mu > 0.7 * measured.claimed_mu
    assert measured.proved_epsilon > 0


def test_no_unit_weighs_more_than_k_after_bounding(measured):
    assert measured.max_rows * (1 - 1e-5) < measured.heaviest <= measured.max_rows


@pytest.mark.parametrize(("mechanism", "accounting"), CHOSEN)
def test_choosing_loses_no_more_than_claimed(place, mechanism, accounting):
    rehearsal = rehearse(place, mechanism=mechanism, bounding="weight", accounting=accounting)
    assert rehearsal is not None
    found = audit_choosing(place, rehearsal, draws=CHOICES, confidence=0.999)
    assert found.max_rows == 5
    assert 0 < found.proved_epsilon <= found.claimed_epsilon
    assert found.holds


def test_scoring_loses_no_more_than_claimed(scored):
    assert scored.max_rows == 5
    assert scored.proved_mu <= scored.claimed_mu
    assert scored.holds


def test_an_attack_on_scoring_proves_most_of_what_is_claimed(scored):
    assert scored.proved_mu > 0.55 * scored.claimed_mu


def test_a_mechanism_that_only_measures_has_nothing_to_rehearse(place):
    assert rehearse(place, mechanism="independent", bounding="weight", accounting=GAUSSIAN) is None
