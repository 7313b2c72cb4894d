"""What is left as it was after a refusal. What each refusal says is in the table of `tests/bad_input`."""

from __future__ import annotations

import pytest
from click.testing import CliRunner
from support.visits import Site, visits

from spark_dp.cli import cli
from spark_dp.errors import InputError
from spark_dp.pipeline import stages


@pytest.fixture
def site(tmp_path):
    return Site.make(tmp_path)


@pytest.mark.spark
def test_null_ids_may_be_refused_and_what_was_reserved_is_given_back(site, spark):
    with pytest.raises(InputError) as refused:
        stages.measure(site.run(spark, "privacy.unit.nulls=error"))
    assert refused.value.field == "privacy.unit.nulls"
    assert not (site.run_folder / "released").exists()
    assert site.account().spent_rho == 0
    table = visits()
    site.write(table.filter(table["person"].is_valid()))
    stages.measure(site.run(spark, "privacy.unit.nulls=error"))
    assert site.account().spent_rho > 0


@pytest.mark.spark
def test_a_measurement_that_was_altered_is_refused(site, spark):
    stages.measure(site.run(spark))
    stages.fit(site.run(None))
    file = site.run_folder / "released" / "measurements" / "measurements.json"
    file.write_bytes(file.read_bytes().replace(b'"epsilon": 2.0', b'"epsilon": 1.0'))
    with pytest.raises(InputError, match="not what was committed"):
        stages.fit(site.run(None))


def test_an_account_is_opened_once(tmp_path):
    ledger = f"sqlite:///{tmp_path}/new.db"
    account = ["--ledger", ledger, "--epsilon", "1", "--delta", "1e-6", "--unit", "row"]
    assert CliRunner().invoke(cli, ["ledger", "open", "d", *account]).exit_code == 0
    assert CliRunner().invoke(cli, ["ledger", "open", "d", *account]).exit_code == 77
    shown = CliRunner().invoke(cli, ["ledger", "show", "d", "--ledger", ledger])
    assert "ε" in shown.output
    assert (
        CliRunner().invoke(cli, ["ledger", "show", "d", "--ledger", f"sqlite:///{tmp_path}/no.db"]).exit_code
        == 77
    )
    assert not (tmp_path / "no.db").exists()
