from __future__ import annotations

import pytest
from support.visits import Site

from spark_dp.errors import ConfigurationError
from spark_dp.pipeline.durability import require_durable

CLUSTER = 'spark={spark.submit.deployMode: "cluster"}'
SHARED = "privacy.ledger=postgresql://me:canary@host/ledger"


@pytest.fixture
def site(tmp_path, monkeypatch) -> Site:
    monkeypatch.chdir(tmp_path)
    return Site(tmp_path)


def test_a_file_on_the_drivers_node_is_refused_as_a_ledger_in_cluster_mode(site):
    with pytest.raises(ConfigurationError, match=r"SQLite.*Nothing was spent.*PostgreSQL") as caught:
        require_durable(site.config(CLUSTER))
    assert caught.value.field == "privacy.ledger"


def test_a_relative_run_directory_is_refused_in_cluster_mode(site):
    with pytest.raises(ConfigurationError, match=r"'runs'.*relative.*Nothing was spent") as caught:
        require_durable(site.config(CLUSTER, SHARED, "run.directory=runs"))
    assert caught.value.field == "run.directory"
    assert "canary" not in caught.value.message


@pytest.mark.parametrize("directory", ["s3://bucket/runs", "/shared/runs", "file:///shared/runs"])
def test_what_outlives_the_driver_is_taken_in_cluster_mode(site, directory):
    require_durable(site.config(CLUSTER, SHARED, f"run.directory={directory}"))


def test_client_mode_takes_both(site):
    require_durable(site.config("run.directory=runs"))
    require_durable(site.config('spark={spark.submit.deployMode: "client"}', "run.directory=runs"))


def test_what_the_running_session_says_counts_too(site):
    with pytest.raises(ConfigurationError) as caught:
        require_durable(site.config(), {"spark.submit.deployMode": "cluster"})
    assert caught.value.field == "privacy.ledger"
