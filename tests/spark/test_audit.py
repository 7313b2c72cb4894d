"""The audit through the real path: Spark's bounding, the curator, a ledger. Its limits stay below what is claimed.

Deliberate faults that must break each claim are in `support.mutants`.
"""

from __future__ import annotations

import pytest

from spark_dp.audit.choosing import audit_choosing
from spark_dp.audit.ground import ground
from spark_dp.audit.measuring import audit_measuring
from spark_dp.mechanisms.catalog import MECHANISMS
from spark_dp.pipeline.progress import Progress

pytestmark = pytest.mark.spark

CONFIDENCE = 0.9999
CANARIES, DRAWS = 6_000, 400
CHOOSES = [name for name in MECHANISMS if name != "independent"]


@pytest.fixture(scope="module")
def place(spark):
    with ground(spark, Progress(None)) as made:
        yield made


@pytest.fixture(scope="module", params=["weight", "sample"])
def measured(request, place):
    return audit_measuring(
        place, mechanism="independent", bounding=request.param, canaries=CANARIES, confidence=CONFIDENCE
    )


def test_measuring_loses_no_more_than_claimed(measured):
    assert measured.proved_mu <= measured.claimed_mu == pytest.approx(1.0)
    assert measured.proved_epsilon <= measured.claimed_epsilon


def test_an_attack_on_measuring_proves_most_of_what_is_claimed(measured):
    assert measured.proved_mu > 0.7 * measured.claimed_mu
    assert measured.proved_epsilon > 0


def test_no_unit_weighs_more_than_k_after_bounding(measured):
    assert measured.max_rows * (1 - 1e-5) < measured.heaviest <= measured.max_rows


@pytest.mark.parametrize("mechanism", CHOOSES)
def test_choosing_loses_no_more_than_claimed(place, mechanism):
    found = audit_choosing(place, mechanism=mechanism, bounding="weight", draws=DRAWS, confidence=0.999)
    if found is not None:
        assert found.proved_epsilon <= found.claimed_epsilon
        assert found.holds
