"""Mistakes that the table shows: the exit code, the message without a value of a row, nothing spent."""

from __future__ import annotations

import pytest
from bad_input.mistake import CANARY, Mistake, planted
from bad_input.table_rows import ROWS
from bad_input.telling import succeeds, told
from support.visits import Site

from spark_dp.privacy.ledger import Ledger

pytestmark = pytest.mark.spark


@pytest.fixture
def site(tmp_path, spark, monkeypatch) -> Site:
    monkeypatch.setattr("spark_dp.pipeline.run.open_session", lambda *_, **__: spark)
    monkeypatch.setattr("spark_dp.pipeline.run.require_same_environment", lambda _: None)
    return Site.make(tmp_path, planted())


@pytest.mark.parametrize("mistake", ROWS, ids=str)
def test_a_mistake_is_told_and_nothing_is_spent(site: Site, mistake: Mistake):
    said = told(mistake.arguments(site), mistake)
    assert CANARY not in said
    dataset = next((s.partition("=")[2] for s in mistake.sets if s.startswith("privacy.dataset")), "visits")
    assert Ledger.connect(site.ledger).show(dataset).spent_rho == 0
    assert not (site.run_folder / "released").exists()
    assert not site.output.exists()


def test_the_same_command_without_a_mistake_measures(site):
    """The twin of all rows: the table as it is can be measured."""
    succeeds(["measure", str(site.config_file())])
    assert site.account().spent_rho > 0


AFTERWARDS = [
    Mistake(what="a key of another epsilon", code=78, says=("run.key", "'first'", "epsilon"), sets=("privacy.epsilon=1",)),
    Mistake(what="a key of another schema", code=78, says=("run.key", "schema"), sets=("schema.age.bins=10",)),
    Mistake(what="a key of another filter", code=78, says=("run.key", "input"), sets=("input.filter=age > 3",)),
    Mistake(what="a key of another state of the input", code=78, says=("run.key", "changed"), prepare=lambda s: s.write(planted().slice(1))),
    Mistake(what="a fit of another schema", code=78, says=("run.key", "schema"), command=("fit", "{config}"), sets=("schema.age.bins=10",)),
    Mistake(what="a generation before the fit", code=65, says=("spark-dp fit",), command=("generate", "{config}")),
    Mistake(what="a report before the fit", code=65, says=("spark-dp fit",), command=("report", "{config}")),
    Mistake(what="a second key with an empty account", code=77, says=("'second'", "left"), sets=("run.key=second",)),
]  # fmt: skip


@pytest.mark.parametrize("mistake", AFTERWARDS, ids=str)
def test_a_mistake_after_a_measurement_spends_nothing_more(site: Site, mistake: Mistake):
    succeeds(["measure", str(site.config_file())])
    spent, released = site.account().spent_rho, site.released()
    said = told(mistake.arguments(site), mistake)
    assert CANARY not in said
    assert (site.account().spent_rho, site.released()) == (spent, released)
