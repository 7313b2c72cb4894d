"""What an answer says of its error bars is never sharper than they are."""

from __future__ import annotations

import numpy as np
import pytest

from spark_dp.graphical.uncertainty import Basis, ErrorBars
from spark_dp.pipeline.query_bars import AnswerBars


def bars_of(*, low: float, high: float, bound: float, confidence: float) -> AnswerBars:
    centre, ends = np.array([(low + high) / 2]), (np.array([low]), np.array([high]))
    whole = ErrorBars(
        clique=("a",),
        confidence=confidence,
        basis=Basis.MEASURED,
        rows=(1000.0, 1000.0),
        centre=centre,
        stddev=2.0,
        low=ends[0],
        high=ends[1],
        measured_l1=4.0,
        expected=2.0,
        bound=bound,
        bound_rows=(1000.0, 1000.0),
        total=1000.0,
    )
    return AnswerBars(whole=whole, measured=centre, low=ends[0], high=ends[1], choices=False)


@pytest.mark.parametrize(
    "low, high, said", [(10.6, 18.4, ["10", "–", "19"]), (11.0, 18.0, ["11", "–", "18"])]
)
def test_the_interval_that_is_shown_holds_all_of_the_one_that_was_computed(low, high, said):
    assert bars_of(low=low, high=high, bound=10.0, confidence=0.95).interval(0).split() == said


def test_what_is_at_most_wrong_is_rounded_up_and_the_confidence_down():
    said = " ".join(bars_of(low=10.6, high=18.4, bound=24.68, confidence=0.99999999).lines())
    assert "has at most 1.24 % with" in said.replace("1.24%", "1.24 %")  # 1.234 %
    assert "with probability 99.9999 %" in said
