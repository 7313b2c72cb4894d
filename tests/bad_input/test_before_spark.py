"""Mistakes that are told before Spark starts: the exit code, the message, nothing spent, nothing written."""

from __future__ import annotations

import pytest
from bad_input import configuration_rows, constraint_rows, ledger_rows, schema_rows
from bad_input.mistake import CANARY, Mistake, planted
from bad_input.telling import told
from support.visits import Site

from spark_dp.errors import LedgerError

ROWS = configuration_rows.ROWS + schema_rows.ROWS + constraint_rows.ROWS + ledger_rows.ROWS


@pytest.fixture
def site(tmp_path) -> Site:
    return Site.make(tmp_path, planted())


@pytest.mark.parametrize("mistake", ROWS, ids=str)
def test_a_mistake_is_told(site: Site, mistake: Mistake, monkeypatch):
    monkeypatch.setattr("spark_dp.pipeline.run.open_session", _no_spark)
    arguments = mistake.arguments(site)
    before = files_of(site)
    said = told(arguments, mistake)
    assert CANARY not in said
    if not mistake.spends:
        assert paid(site) == 0
        assert new_files(site, before) == []


def test_the_same_command_without_a_mistake_gets_as_far_as_spark(site, monkeypatch):
    """The twin of all rows: what refuses there is the mistake."""
    monkeypatch.setattr("spark_dp.pipeline.run.open_session", _no_spark)
    with pytest.raises(AssertionError):
        told(["run", str(site.config_file())], Mistake(what="none", code=78, says=()))


def test_the_table_has_no_row_twice():
    assert len({m.what for m in ROWS}) == len(ROWS) > 80


def paid(site: Site) -> float:
    try:
        return float(site.account().spent_rho)
    except LedgerError:
        return 0.0  # the mistake is in the ledger itself


def files_of(site: Site) -> set[str]:
    return {str(p.relative_to(site.folder)) for p in site.folder.rglob("*") if p.is_file()}


def new_files(site: Site, before: set[str]) -> list[str]:
    """Names what a refused command left, but for its own record of that."""
    return sorted(p for p in files_of(site) - before if not p.endswith(("/outcome.json", "/state/began")))


def _no_spark(*_: object, **__: object) -> None:
    raise AssertionError("Spark was started")
