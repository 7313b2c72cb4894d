"""The run directory in an object store: a real S3 protocol, spoken by moto's server."""

from __future__ import annotations

import secrets

import boto3
import pytest
from moto.server import ThreadedMotoServer
from support.visits import Site

from spark_dp.pipeline import output, stages
from spark_dp.pipeline.runner import run_all
from spark_dp.spark import generate

pytestmark = [pytest.mark.platform, pytest.mark.spark]


@pytest.fixture
def bucket(monkeypatch):
    name = f"lake-{secrets.token_hex(4)}"  # moto's servers of one process share their buckets
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    client = boto3.client("s3", endpoint_url=f"http://{host}:{port}", region_name="us-east-1")
    client.create_bucket(Bucket=name)
    yield client, name, f"s3://{name}/runs?endpoint_override={host}:{port}&scheme=http&region=us-east-1"
    server.stop()


def test_a_run_keeps_its_directory_on_s3_and_resumes_from_it(tmp_path, spark, bucket):
    client, name, uri = bucket
    site = Site.make(tmp_path)
    there = f"run.directory={uri}"
    run_all(site.run(spark, there))
    names = {entry["Key"] for entry in client.list_objects_v2(Bucket=name)["Contents"]}
    assert "runs/first/released/measurements/_committed.json" in names
    assert "runs/first/released/model/model.npz" in names
    assert "runs/first/state/outcome.json" in names
    assert not site.run_folder.exists()
    spent = site.account().spent_rho
    assert not run_all(site.run(spark, there)).measured_now
    assert site.account().spent_rho == spent


def test_a_large_model_is_read_by_executors_as_the_file_it_is_in(tmp_path, spark, bucket, monkeypatch):
    _, _, uri = bucket
    site = Site.make(tmp_path)
    there = f"run.directory={uri}"
    stages.measure(site.run(spark, there))
    stages.fit(site.run(None, there))
    stages.generate(site.run(spark, there))
    in_the_task = site.synthetic()
    monkeypatch.setattr(output, "CLOSURE_BYTES", 0)
    asked = []
    monkeypatch.setattr(output, "ShippedPlan", lambda *a: asked.append(a) or generate.ShippedPlan(*a))
    stages.generate(site.run(spark, there, f"output.path={tmp_path}/out2"))
    assert asked[0][0] is None
    assert "endpoint_override" in asked[0][1]
    assert spark.read.parquet(f"{tmp_path}/out2").count() == in_the_task.num_rows
