"""A table too wide for one pass: Spark's counts in several are those of one, and a run reaches its end."""

from __future__ import annotations

import json
from itertools import combinations

import numpy as np
import pyarrow as pa
import pytest
from support.visits import Site

from spark_dp.errors import DomainTooLargeError
from spark_dp.pipeline import inputs
from spark_dp.pipeline.planning import plan_run
from spark_dp.pipeline.runner import run_all
from spark_dp.spark.counting import SparkMarginals
from spark_dp.spark.histograms import counting_layout

pytestmark = pytest.mark.spark

COLUMNS, VALUES, ROWS = 30, 40, 4_000
NAMES = tuple(f"c{i:02}" for i in range(COLUMNS))
SCHEMA = "\n" + "".join(f"  {name}: {{type: integer, min: 0, max: {VALUES - 1}}}\n" for name in NAMES)
LITTLE = (
    "spark.spark.driver.memory=30m",
    "spark.spark.executor.memory=30m",
    "mechanism.name=auto",
    "mechanism.max_model_mb=2",
)


def wide_table() -> pa.Table:
    """Each column follows an earlier one in four rows of five; a person has eight rows on average."""
    random = np.random.default_rng(6)
    columns = {"person": pa.array([f"p{p}" for p in random.integers(0, ROWS // 8, ROWS)])}
    codes = [random.integers(0, VALUES, ROWS)]
    for i in range(1, COLUMNS):
        parent = codes[int(random.integers(0, i))]
        codes.append(np.where(random.random(ROWS) < 0.8, parent, random.integers(0, VALUES, ROWS)))
    return pa.table(columns | {n: pa.array(c, pa.int32()) for n, c in zip(NAMES, codes, strict=True)})


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Site:
    return Site.make(tmp_path_factory.mktemp("wide"), wide_table())


def test_marginals_of_a_bounded_table_in_several_passes_are_those_of_one(spark, site):
    config = site.config(*LITTLE, schema=SCHEMA)
    planned = plan_run(config)
    assert len(planned.passes) > 2
    opened = inputs.open_input(spark, config)
    domain, cliques = config.schema.domain, planned.queries.countable

    def counted(**how):
        return SparkMarginals(domain, cliques, lambda: opened.bounded_pass("5eed"), **how).count(cliques)

    try:
        several = counted(passes=planned.passes, held_cells=planned.held_cells)
        one = counted(passes=[counting_layout(cliques, domain)])
    finally:
        opened.release()
    assert {c for c in several if len(c) == 2} == set(combinations(NAMES, 2))
    assert all(np.array_equal(several[c], one[c]) for c in cliques)


def test_a_run_over_several_passes_reaches_its_end(spark, site):
    run_all(site.run(spark, *LITTLE, schema=SCHEMA))
    assert site.synthetic().num_rows > ROWS // 2
    stated = json.loads((site.output / "_manifest.json").read_text())["privacy"]
    assert (stated["mechanism"], stated["mechanism_asked_for"]) == ("oneshot", "auto")
    assert "435 relations" in stated["mechanism_reason"]


@pytest.mark.parametrize("name", ["mst", "aim"])
def test_rounds_that_would_read_every_pass_again_are_refused_before_anything_is_spent(site, name):
    with pytest.raises(DomainTooLargeError, match=r"oneshot or auto.*") as refused:
        plan_run(site.config(*LITTLE[:2], f"mechanism.name={name}", schema=SCHEMA))
    assert "Nothing was read or spent" in str(refused.value)
