"""An evaluation as tables to read in a terminal."""

from __future__ import annotations

from spark_dp.evaluation.results import WARNING, Evaluation


def evaluation_text(evaluation: Evaluation) -> str:
    """Returns the evaluation as lines of at most 110 columns."""
    return WARNING
