"""An evaluation of a whole run, against pandas on the raw table and the output."""

from __future__ import annotations

import itertools
import json

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support.visits import Site, visits

from spark_dp.evaluation.results import STATISTICS
from spark_dp.pipeline import stages
from spark_dp.pipeline.runner import run_all
from spark_dp.schema.codec import encode

pytestmark = pytest.mark.spark

ASKED = "evaluate.against_input=true"
BOUND = 10


@pytest.fixture(scope="module")
def made(tmp_path_factory, spark):
    """A site after a run, and the evaluation of it."""
    site = Site.make(tmp_path_factory.mktemp("site"))
    return site, run_all(site.run(spark, ASKED)).evaluation


def codes_of(site: Site, table: pa.Table) -> pd.DataFrame:
    schema = site.config().schema
    return pd.DataFrame({c.name: encode(c, table.column(c.name)) for c in schema.columns})


def tables(site: Site) -> dict[str, tuple[pd.DataFrame, pd.Series]]:
    """Codes and weights of the rows of the three tables."""
    raw = visits()
    codes = codes_of(site, raw)
    person = raw.column("person").to_pandas()
    size = person.map(person.value_counts())
    weight = (BOUND / size).clip(upper=1).fillna(0)
    synthetic = codes_of(site, site.synthetic())
    return {
        "raw": (codes, pd.Series(1.0, codes.index)),
        "bounded": (codes, weight),
        "synthetic": (synthetic, pd.Series(1.0, synthetic.index)),
    }


def shares(table: tuple[pd.DataFrame, pd.Series], clique) -> pd.Series:
    codes, weight = table
    counted = weight.groupby([codes[a] for a in clique]).sum()
    return counted / counted.sum()


def distance(left: pd.Series, right: pd.Series) -> float:
    return float(left.sub(right, fill_value=0).abs().sum() / 2)


def test_distances_of_one_to_three_columns_are_those_of_the_rows(made):
    site, found = made
    by_hand = tables(site)
    names = site.config().schema.names
    for degree in (1, 2, 3):
        cliques = list(itertools.combinations(names, degree))
        assert found.marginals[degree].compared == found.marginals[degree].of == len(cliques)
        distances = {
            clique: {
                f"{a}_to_{b}": distance(shares(by_hand[a], clique), shares(by_hand[b], clique))
                for a, b in (("raw", "bounded"), ("bounded", "synthetic"), ("raw", "synthetic"))
            }
            for clique in cliques
        }
        for comparison, mean in found.mean[degree].facts().items():
            assert mean == pytest.approx(np.mean([d[comparison] for d in distances.values()]), abs=1e-5)
        for clique in found.of_degree(degree):
            assert clique.distances.facts() == pytest.approx(distances[clique.columns], abs=1e-5)


def test_rows_are_counted_as_pandas_counts_them(made):
    site, found = made
    by_hand = {name: weight.sum() for name, (_, weight) in tables(site).items()}
    assert found.rows.facts() == pytest.approx(by_hand, rel=1e-5)
    assert found.rows.bounded < found.rows.raw == 3000


def test_shares_and_rates_are_those_of_the_rows(made):
    site, found = made
    schema, by_hand = site.config().schema, tables(site)
    for column in found.columns:
        assert column.labels == schema.column(column.name).cell_labels()
        for name, table in by_hand.items():
            expected = shares(table, (column.name,)).reindex(range(len(column.labels)), fill_value=0)
            assert list(getattr(column.shares, name)) == pytest.approx(list(expected), abs=1e-5)
    rates = {c.name: c.rates for c in found.columns}
    raw = visits().to_pandas()
    assert rates["ward"]["other"].raw == pytest.approx((raw["ward"] == "D").mean())
    assert rates["age"]["null"].raw == pytest.approx(raw["age"].isna().mean())
    assert rates["score"]["null"].raw == pytest.approx(raw["score"].isna().mean())
    synthetic = site.synthetic().to_pandas()
    assert rates["ward"]["other"].synthetic == pytest.approx((synthetic["ward"] == "elsewhere").mean())
    assert rates["age"]["null"].synthetic == pytest.approx(synthetic["age"].isna().mean())
    assert {name for name, have in rates.items() if have} == {"ward", "age", "score"}


def test_numbers_are_those_of_the_values_in_range(made):
    site, found = made
    ranges = {"age": (0, 110), "cost": (0, 1000), "score": (0, 1)}
    assert {c.name for c in found.columns if c.numbers} == set(ranges)
    for column in found.columns:
        for table, rows in (("raw", visits()), ("synthetic", site.synthetic())):
            if column.numbers is None:
                continue
            assert tuple(column.numbers) == STATISTICS
            values = rows.column(column.name).to_pandas().dropna().astype(float).clip(*ranges[column.name])
            have = {name: getattr(s, table) for name, s in column.numbers.items()}
            assert have["mean"] == pytest.approx(values.mean())
            assert have["stddev"] == pytest.approx(values.std())
            for percent in (5, 25, 50, 75, 95):
                # Spark's percentiles are of a rank near the one asked for: where values repeat, the next up or down.
                least = values.quantile((percent - 0.5) / 100, interpolation="lower")
                most = values.quantile((percent + 0.5) / 100, interpolation="higher")
                slack = values.max() / 200
                assert least - slack <= have[f"p{percent}"] <= most + slack


def test_the_evaluation_is_in_internal_and_nothing_of_it_elsewhere(tmp_path, spark):
    site = Site.make(tmp_path)
    run_all(site.run(spark))
    before = files(site)
    found = stages.evaluate(site.run(spark))
    changed = {name for name, content in files(site).items() if before.get(name) != content}
    assert changed == {f"runs/first/internal/evaluation.{kind}" for kind in ("json", "html")}
    assert "NOT PRIVATE" in (site.run_folder / "internal" / "evaluation.html").read_text()
    written = json.loads((site.run_folder / "internal" / "evaluation.json").read_text())
    assert (written["format"], written["warning"][:11]) == (2, "NOT PRIVATE")
    assert written["rows"]["raw"] == found.rows.raw == 3000


def files(site: Site) -> dict[str, bytes]:
    found = (p for p in site.folder.rglob("*") if p.is_file())
    return {str(p.relative_to(site.folder)): p.read_bytes() for p in found}


@pytest.mark.parametrize("old", [b'{"warning": "x", "compared": "%s"}', b"not JSON", b"[]"])
def test_an_evaluation_of_an_earlier_format_is_made_again(made, spark, old):
    site, first = made
    path = site.run_folder / "internal" / "evaluation.json"
    written = path.read_bytes()
    path.write_bytes(old.replace(b"%s", first.compared.encode()))
    assert stages.evaluate(site.run(spark)) == first
    assert path.read_bytes() == written


def test_where_the_unit_is_the_row_bounding_changes_nothing(tmp_path, spark):
    from spark_dp.privacy.ledger import open_account
    from spark_dp.privacy.sensitivity import Neighbours

    site = Site.make(tmp_path)
    open_account(site.ledger, "rows", 2.0, 1e-7, "row", Neighbours.ADD_REMOVE)
    found = run_all(site.run(spark, ASKED, "privacy.dataset=rows", unit="row")).evaluation
    assert found.rows.raw == found.rows.bounded == 3000
    assert {c.distances.raw_to_bounded for c in found.cliques} == {0.0}
    assert "each row counts once" in found.text()


def test_a_sampled_bound_is_compared_with_what_was_measured(tmp_path, spark):
    site = Site.make(tmp_path)
    unit = f"{{column: person, max_rows: {BOUND}, bounding: sample}}"
    found = run_all(site.run(spark, ASKED, unit=unit)).evaluation
    sizes = visits().to_pandas().dropna(subset=["person"]).groupby("person").size()
    assert found.rows.bounded == sizes.clip(upper=BOUND).sum()


def test_a_wide_table_is_compared_in_part_and_within_its_memory(tmp_path, spark):
    rng = np.random.default_rng(1)
    names = [f"c{i}" for i in range(100)]
    table = pa.table(
        {"person": pa.array([f"p{i}" for i in range(60)])}
        | {name: pa.array(rng.integers(0, 9, 60), pa.int32()) for name in names}
    )
    site = Site.make(tmp_path, table)
    schema = "\n" + "".join(f"  {name}: {{type: integer, min: 0, max: 8}}\n" for name in names)
    asked = (ASKED, "mechanism.name=independent", "mechanism.workload={degree: 1}")
    found = run_all(site.run(spark, *asked, "output.rows=50", schema=schema)).evaluation
    assert (found.marginals[3].compared, found.marginals[3].of) == (1000, 161_700)
    assert found.marginals[2].compared == found.marginals[2].of == 4950
    assert len(found.of_degree(2)) == 4950
    assert len(found.of_degree(3)) == 50
    raw = pq.read_table(site.folder / "in").to_pandas()
    synthetic = site.synthetic().to_pandas()
    worst = found.of_degree(3)[0]
    left, right = (t.groupby(list(worst.columns)).size() / len(t) for t in (raw, synthetic))
    assert worst.distances.raw_to_synthetic == pytest.approx(distance(left, right))


def test_less_memory_compares_fewer_marginals_and_never_fails(tmp_path):
    from spark_dp.pipeline.evaluating import marginals_to_compare
    from spark_dp.pipeline.plan_resources import USABLE

    site = Site.make(tmp_path)
    schema = "\n" + "".join(f"  c{i}: {{type: integer, min: 0, max: 19}}\n" for i in range(60))
    compared = []
    for megabytes in (4096, 512, 64, 8, 1):
        spark_settings = "".join(f'spark.{role}.memory: "{megabytes}m", ' for role in ("driver", "executor"))
        config = site.config(f"spark={{{spark_settings} spark.master: 'local[2]'}}", schema=schema)
        choice, layout = marginals_to_compare(config)
        allowed = megabytes * (1 << 20) * USABLE
        assert 2 * 8 * layout.task_cells <= allowed
        assert 4 * 8 * layout.vector_cells <= allowed
        compared.append(len(choice.cliques))
    assert compared == sorted(compared, reverse=True)
    assert compared[0] == 60 + 1770 + 1000
    assert 60 <= compared[-1] < 1000
