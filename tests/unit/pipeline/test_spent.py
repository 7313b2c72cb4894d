"""What a failure says of the budget, before and after the first answer."""

from __future__ import annotations

import pytest

from spark_dp.errors import DomainTooLargeError, InputError
from spark_dp.pipeline.spent import say_what_stays_charged


@pytest.mark.parametrize(
    "claim", ["Nothing was read or spent.", "Nothing was spent and nothing was released."]
)
def test_a_failure_after_an_answer_says_that_it_stays_charged(claim):
    failure = DomainTooLargeError(f"Too large. {claim} Use fewer bins.", field="schema")
    say_what_stays_charged(failure)
    assert "answered and stays charged. Nothing more was" in failure.message
    assert "Nothing was" not in failure.message
    assert failure.message.startswith("Too large. ")
    assert failure.message.endswith(" Use fewer bins.")
    assert failure.field == "schema"


def test_a_failure_that_claims_nothing_stays_as_it_is():
    failure = InputError("The input changed.")
    say_what_stays_charged(failure)
    assert failure.message == "The input changed."
