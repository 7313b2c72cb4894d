"""Skewed and large tables against marginals by numpy, at a tenth of the size of `python -m benchmarks sizes`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from support.crowds import CLIQUES, same
from support.engine import session_on
from support.passes import Passes
from support.shapes import FULL, SHAPES

from spark_dp.spark import bounding

pytestmark = [pytest.mark.platform, pytest.mark.strikes]


@pytest.fixture(scope="module")
def session() -> Iterator[Any]:
    with session_on("local[2]") as session:
        yield session


@pytest.fixture(scope="module", params=SHAPES)
def table(request, tmp_path_factory):
    shape = SHAPES[request.param]
    return shape, *shape.site(tmp_path_factory.mktemp("table"), FULL // 10)


def test_weights_are_the_exact_ones(session, table, monkeypatch):
    shape, site, crowd = table
    monkeypatch.setattr(bounding, "BROADCAST_UNITS", 50_000)
    found = Passes(session, site, f"{{column: person, max_rows: {shape.max_rows}}}").count()
    assert same(found, crowd.marginals(weights=crowd.weights(shape.max_rows)))


def test_a_sample_keeps_k_rows_of_each_unit(session, table):
    shape, site, crowd = table
    unit = f"{{column: person, max_rows: {shape.max_rows}, bounding: sample}}"
    found, whole = Passes(session, site, unit).count(), crowd.marginals()
    assert found[()] == crowd.kept_by_sampling(shape.max_rows)
    assert all(np.all((found[c] >= 0) & (found[c] <= whole[c])) for c in CLIQUES)
