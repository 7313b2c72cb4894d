"""What a failure says of the budget: before and after the first answer, and where the ledger cannot say."""

from __future__ import annotations

import pytest
from support.visits import Site

from spark_dp.errors import DomainTooLargeError, InputError
from spark_dp.pipeline.resume import begin, give_back
from spark_dp.pipeline.spent import Reservation, say_what_stays_charged
from spark_dp.privacy.events import RoundedGaussianEvent

CLAIMS = ["Nothing was read or spent.", "Nothing was spent and nothing was released."]


def said(claim: str, reserved: Reservation) -> str:
    failure = DomainTooLargeError(f"Too large. {claim} Use fewer bins.", field="schema")
    say_what_stays_charged(failure, reserved)
    assert failure.message.startswith("Too large. ")
    assert failure.message.endswith(" Use fewer bins.")
    assert failure.field == "schema"
    return failure.message


@pytest.mark.parametrize("claim", CLAIMS)
def test_a_failure_after_an_answer_says_that_it_stays_charged(claim):
    message = said(claim, Reservation.ANSWERED)
    assert "answered and stays charged. Nothing more was" in message
    assert "Nothing was" not in message


@pytest.mark.parametrize("claim", CLAIMS)
def test_a_failure_whose_reservation_could_not_be_asked_after_claims_neither(claim):
    message = said(claim, Reservation.UNKNOWN)
    assert "could not be found out whether anything was answered" in message
    assert "what was reserved may stand until the same key is run again. Nothing more was" in message
    assert "is answered" not in message
    assert "Nothing was" not in message


@pytest.mark.parametrize("claim", CLAIMS)
def test_a_failure_that_cost_nothing_says_so(claim):
    assert claim in said(claim, Reservation.GIVEN_BACK)


@pytest.mark.parametrize("reserved", Reservation)
def test_a_failure_that_claims_nothing_stays_as_it_is(reserved):
    failure = InputError("The input changed.")
    say_what_stays_charged(failure, reserved)
    assert failure.message == "The input changed."


@pytest.fixture
def site(tmp_path) -> Site:
    return Site.make(tmp_path)


def begun(site: Site):
    run = site.run(None)
    return run, begin(run, "0" * 64)


def test_what_was_reserved_is_given_back_where_nothing_was_answered(site):
    run, account = begun(site)
    with account:
        assert give_back(run, account) is Reservation.GIVEN_BACK


def test_what_was_reserved_stands_after_an_answer(site):
    run, account = begun(site)
    with account:
        account.reserve(0, "q", "measure", "0" * 64, RoundedGaussianEvent(mu_squared=account.rho))
        account.mark_answered(0, "0" * 64)
        assert give_back(run, account) is Reservation.ANSWERED


def test_of_a_run_that_was_taken_over_it_is_not_known(site):
    run, account = begun(site)
    account.release()
    with begun(site)[1]:
        assert give_back(run, account) is Reservation.UNKNOWN


def test_while_the_ledger_is_down_it_is_not_known(site):
    run, account = begun(site)
    ledger = site.folder / "ledger.db"
    ledger.rename(ledger.with_suffix(".away"))
    with account:
        assert give_back(run, account) is Reservation.UNKNOWN
        ledger.unlink(missing_ok=True)
        ledger.with_suffix(".away").rename(ledger)
