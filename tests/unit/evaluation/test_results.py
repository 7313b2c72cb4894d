"""An evaluation as JSON."""

from __future__ import annotations

import json

import pytest
from support.evaluations import example

from spark_dp.errors import InputError
from spark_dp.evaluation.results import WARNING, Evaluation


def test_an_evaluation_reads_back_from_json_as_it_was():
    found = example()
    again = Evaluation.from_facts(json.loads(json.dumps(found.facts(), allow_nan=False)))
    assert again == found


def test_an_evaluation_says_that_it_is_not_private():
    found = example()
    assert found.facts()["warning"] == WARNING
    assert found.text().startswith(WARNING)


def test_the_facts_have_the_promised_shape():
    facts = example().facts()
    assert list(facts["mean"]) == ["raw_to_bounded", "bounded_to_synthetic", "raw_to_synthetic"]
    assert list(facts["mean"]["raw_to_bounded"]) == ["1", "2", "3"]
    assert facts["marginals"]["2"] == {"compared": 6, "of": 6}
    assert set(facts["cliques"][0]) == {"columns", *facts["mean"]}
    assert set(facts["columns"][0]) == {"name", "type", "labels", "shares", "rates", "numbers"}
    assert set(facts["worst_cells"][0]) == {"columns", "cell", "raw", "bounded", "synthetic"}


@pytest.mark.parametrize("version", [None, 1, 3])
def test_another_format_is_refused(version):
    with pytest.raises(InputError, match="format"):
        Evaluation.from_facts(example().facts() | {"format": version})
