from __future__ import annotations

import pytest
from desk import BUDGET, DATASET, DIGEST, UNIT, Desk
from hypothesis import given, settings
from hypothesis import strategies as st

from spark_dp.errors import ConfigurationError, LedgerError
from spark_dp.privacy.bindings import covers, overlap, place_of, place_of_path
from spark_dp.privacy.sensitivity import Neighbours

ON_BOTH_DATABASES = True


@pytest.fixture
def two(desk: Desk) -> Desk:
    desk.open("other", 10.0)
    return desk


@pytest.mark.parametrize(
    "one, other",
    [
        ("file:/data/a", "/data/a"),
        ("file:///data/a", "/data/a/"),
        ("file://localhost/data/a", "/data/b/../a"),
        ("s3a://bucket/a/", "s3://bucket/a"),
        ("s3://KEY:SECRET@bucket/a?region=x", "s3n://bucket//a"),
        ("hdfs://me@name/a", "hdfs://name/./a"),
        ("abfss://box@account.host/a", "abfs://box@account.host/a"),
        ("/data/a/day=*/x", "/data/a"),
        ("s3://bucket/a/{x,y}", "s3a://bucket/a"),
        ("table:Cat.Db.T", "table:`cat`.db.t"),
        ("table:parquet.`/data/a`", "/data/a"),
        ("table:`Parquet` . `/data/a`", "/data/a"),
        ("table:main.hospital.`visits`", "table:main.hospital.visits"),
        ("table:main.`hospital` . `Visits`", "table:main.hospital.visits"),
    ],
)
def test_one_place_has_one_name(one, other):
    assert place_of(one) == place_of(other)


@pytest.mark.parametrize(
    "one, other",
    [
        ("/data/a", "/data/b"),
        ("abfs://box@account/a", "abfs://other@account/a"),
        ("s3://bucket/a", "gs://bucket/a"),
        ("s3://bucket/a", "s3://other/a"),
        ("hdfs://name/a", "hdfs://other/a"),
        ("hdfs:///a", "hdfs://name/ab"),
        ("hdfs:///a", "s3://bucket/a"),
        ("table:c.d.t", "table:c.d.u"),
    ],
)
def test_other_places_have_other_names(one, other):
    assert place_of(one) != place_of(other)
    assert not overlap(place_of(one), place_of(other))


@pytest.mark.parametrize(
    "one, other",
    [
        ("hdfs:///a", "hdfs://name:8020/a"),
        ("hdfs://name/a", "hdfs://name:8020/a/day"),
        ("hdfs://NAME/a", "hdfs://name/a"),
        ("abfss://box@account.dfs.core.windows.net/a", "wasbs://box@account.blob.core.windows.net/a"),
        ("s3://bucket", "s3a://bucket/a"),
    ],
)
def test_places_that_may_be_one_in_two_spellings_overlap(one, other):
    assert overlap(place_of(one), place_of(other))
    assert overlap(place_of(other), place_of(one))


def test_a_run_on_another_spelling_of_a_bound_place_is_refused(two: Desk):
    two.begin("k", place=place_of("hdfs:///data/visits"))
    with pytest.raises(LedgerError, match="two budgets"):
        two.begin("k", dataset="other", place=place_of("hdfs://name:8020/data/visits"))


def test_a_relative_path_is_of_the_current_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert place_of_path("in/x") == str(tmp_path.resolve() / "in" / "x")


def test_symbolic_links_are_followed(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    assert place_of_path(f"file://{tmp_path}/link/day") == place_of_path(str(tmp_path / "real" / "day"))


@pytest.mark.parametrize("text", ["", "  ", "table:", "table:visits", "table:hospital.visits"])
def test_an_empty_place_and_a_table_without_its_catalog_are_refused(text):
    with pytest.raises(ConfigurationError, match="INPUT"):
        place_of(text)


@settings(deadline=None)
@given(st.lists(st.sampled_from(["a", "b", "ab", "c"]), min_size=1, max_size=4), st.integers(0, 4))
def test_a_folder_covers_what_is_in_it_and_nothing_beside(parts, depth):
    place = place_of_path("/" + "/".join(parts))
    above = place_of_path("/" + "/".join(parts[:depth]))
    assert covers(above, place)
    assert overlap(place, above)
    assert not overlap(place, place + "x")


@pytest.mark.parametrize("place", ["/data/a", "/data/a/day=1", "/data", "/"])
def test_an_input_of_another_account_is_refused(two: Desk, place):
    two.begin("k", place="/data/a")
    with pytest.raises(LedgerError) as caught:
        two.begin("k", dataset="other", place=place)
    message = caught.value.message
    assert (caught.value.exit_code, caught.value.field) == (77, "privacy.dataset")
    assert "'flights'" in message
    assert "two budgets" in message
    assert "ledger bind other INPUT" in message
    assert two.ledger.show("other").spent_rho == 0
    assert two.ledger.show("other").inputs == ()


def test_a_run_binds_its_input_once(two: Desk):
    two.begin("k", place="/data/a").release()
    two.begin("k", place="/data/a").release()
    two.begin("l", place="/data/a/day=2").release()
    (bound,) = two.ledger.show(DATASET).inputs
    assert (bound.dataset, bound.place, bound.shared) == (DATASET, "/data/a", False)


def test_places_side_by_side_are_of_any_accounts(two: Desk):
    two.begin("k", place="/data/a")
    two.begin("k", dataset="other", place="/data/ab")
    two.begin("l", dataset="other", place=None)


def test_a_refused_run_binds_nothing(two: Desk):
    two.ledger.close_account(DATASET)
    with pytest.raises(Exception, match="closed"):
        two.begin("k", place="/data/a")
    assert two.ledger.show(DATASET).inputs == ()


def test_a_shared_input_is_confirmed_and_shown(two: Desk):
    two.begin("k", place="/data/a")
    with pytest.raises(LedgerError, match="two budgets"):
        two.ledger.bind("other", "/data/a")
    view = two.ledger.bind("other", "/data/a", confirm_shared=True)
    assert [(bound.place, bound.shared) for bound in view.inputs] == [("/data/a", True)]
    two.begin("k", dataset="other", place="/data/a")
    two.begin("l", place="/data/a")
    two.open("third", 1.0)
    with pytest.raises(LedgerError, match="two budgets"):
        two.begin("k", budget=BUDGET, dataset="third", place="/data/a")


def test_an_input_is_bound_though_its_row_was_deleted(two: Desk):
    two.begin("k", place="/data/a")
    two.alter("DELETE FROM spark_dp_inputs")
    with pytest.raises(LedgerError, match="two budgets"):
        two.begin("k", dataset="other", place="/data/a")


def test_a_closed_accounts_input_stays_bound(two: Desk):
    two.begin("k", place="/data/a")
    two.ledger.close_account(DATASET)
    with pytest.raises(LedgerError, match="two budgets"):
        two.ledger.begin("other", "k", DIGEST, BUDGET, UNIT, Neighbours.ADD_REMOVE, place="/data/a")
