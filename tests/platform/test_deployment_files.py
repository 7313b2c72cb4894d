"""The recipe of the image, the manifests and Spark's settings: that they are valid and agree with one another."""

from __future__ import annotations

import re
import subprocess
import tomllib
import zipfile
from pathlib import Path
from typing import Any

import pyspark
import pytest
from ruamel.yaml import YAML
from support.processes import ROOT

from spark_dp.pipeline.config import parse_config

pytestmark = pytest.mark.platform

TOOLS = ROOT / ".venv-package" / "bin"
DOCKERFILE = (ROOT / "deploy" / "Dockerfile").read_text()
MANIFESTS = sorted((ROOT / "deploy" / "kubernetes").glob("*.yaml"))
PROPERTIES = sorted((ROOT / "conf" / "spark").glob("*.conf"))
RESULT_CHANGING = re.compile(r"spark\.sql\.(ansi|session\.timeZone|sources|parquet|legacy|caseSensitive)")


def objects() -> dict[str, dict[str, Any]]:
    """Returns every object of the manifests by kind and name."""
    found = [o for file in MANIFESTS for o in YAML(typ="safe").load_all(file.read_text())]
    return {f"{o['kind']}/{o['metadata']['name']}": o for o in found}


def properties(file: Path) -> dict[str, str]:
    lines = [line for line in file.read_text().splitlines() if line and not line.startswith("#")]
    return dict(line.split(None, 1) for line in lines)


@pytest.mark.skipif(not (TOOLS / "hadolint").exists(), reason="made by make test-platforms")
def test_the_dockerfile_passes_its_linter():
    done = subprocess.run(
        [TOOLS / "hadolint", ROOT / "deploy" / "Dockerfile"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout


@pytest.mark.skipif(not (TOOLS / "kubernetes-validate").exists(), reason="made by make test-platforms")
@pytest.mark.parametrize("file", [f for f in MANIFESTS if f.stem != "application"], ids=lambda f: f.stem)
def test_core_objects_follow_kubernetes_own_schemas(file):
    done = subprocess.run([TOOLS / "kubernetes-validate", "--strict", file], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_source_that_the_image_copies_exists_and_reaches_the_build():
    sent = (ROOT / ".dockerignore").read_text()
    for line in re.findall(r"^COPY (?!--from)(.*)$", DOCKERFILE, re.M):
        *sources, _ = [part for part in line.split() if not part.startswith("--")]
        for source in sources:
            name = source.removeprefix("./")
            assert (ROOT / name).exists(), name
            assert any(f"!{parent}" in sent for parent in (name, name.split("/")[0])), f"{name} is left out"


def test_the_log_settings_that_pods_are_given_are_in_the_image():
    quiet = "/opt/spark-dp/log4j2.properties"
    assert f"COPY spark_dp/spark/log4j2.properties {quiet}" in DOCKERFILE
    spec = objects()["SparkApplication/spark-dp-visits-first"]["spec"]
    said = [spec["driver"]["javaOptions"], spec["executor"]["javaOptions"]]
    said += [
        properties(ROOT / "conf/spark/k8s.conf")[f"spark.{pod}.extraJavaOptions"]
        for pod in ("driver", "executor")
    ]
    assert set(said) == {f"-Dlog4j2.configurationFile=file://{quiet}"}


def test_the_image_is_pinned_and_runs_as_nobody_special():
    bases = re.findall(r"^FROM (\S+)", DOCKERFILE, re.M)
    assert len(set(bases)) == 1
    assert re.search(r":bookworm-\d{8}-slim$", bases[0])
    assert re.findall(r"^USER (\S+)", DOCKERFILE, re.M) == ["185"]
    assert "-c image.txt" in DOCKERFILE


def test_every_dependency_of_driver_and_executors_is_pinned():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    asked = [*project["dependencies"], *project["optional-dependencies"]["postgres"], "pyspark"]
    pins = (ROOT / "constraints" / "image.txt").read_text().lower()
    names = [re.split(r"[\[<>=]", requirement)[0].lower() for requirement in asked]
    assert [name for name in names if f"\n{name}==" not in pins] == []


def test_an_installed_package_holds_every_file_of_the_source_tree():
    """Without log4j2.properties an installed spark-dp would let Spark's messages through, values and all."""
    data = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"][
        "spark_dp"
    ]
    root = ROOT / "spark_dp"
    kept = {path for pattern in data for path in root.glob(pattern)}
    others = {path for path in root.rglob("*") if path.is_file() and path.suffix not in {".py", ".pyc"}}
    assert root / "spark" / "log4j2.properties" in kept
    assert others - kept == set()


def test_the_application_names_what_the_image_and_the_other_manifests_hold():
    known = objects()
    application = known["SparkApplication/spark-dp-visits-first"]
    spec = application["spec"]
    main = spec["mainApplicationFile"].removeprefix("local:///opt/spark-dp/")
    assert (ROOT / main).exists()
    assert "COPY jobs /opt/spark-dp/jobs" in DOCKERFILE
    assert f"ServiceAccount/{spec['driver']['serviceAccount']}" in known
    assert f"ServiceAccount/{spec['executor']['serviceAccount']}" in known
    assert f"pyspark=={spec['sparkVersion']}\n" in (ROOT / "constraints" / "image.txt").read_text()
    lake, config = spec["volumes"]
    assert f"PersistentVolumeClaim/{lake['persistentVolumeClaim']['claimName']}" in known
    assert f"ConfigMap/{config['configMap']['name']}" in known
    secret = spec["driver"]["env"][0]["valueFrom"]["secretKeyRef"]
    assert secret["key"] in known[f"Secret/{secret['name']}"]["stringData"]
    assert {o["metadata"].get("namespace", "spark-dp") for o in known.values()} == {"spark-dp"}


@pytest.mark.parametrize("pod", ["driver", "executor"])
def test_no_pod_may_be_root_or_gain_privileges(pod):
    spec = objects()["SparkApplication/spark-dp-visits-first"]["spec"][pod]
    assert spec["podSecurityContext"]["runAsNonRoot"]
    assert spec["podSecurityContext"]["runAsUser"] == 185
    assert spec["securityContext"] == {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}


def test_the_run_of_the_manifests_is_a_valid_configuration_on_shared_storage(monkeypatch):
    known = objects()
    arguments = known["SparkApplication/spark-dp-visits-first"]["spec"]["arguments"]
    text = known["ConfigMap/spark-dp-config"]["data"][Path(arguments[0]).name]
    monkeypatch.setenv("SPARK_DP_SECRET_LEDGER", "sqlite:////lake/ledger.db")
    config = parse_config(text, arguments[2::2])
    assert config.run.key == "first"
    assert config.run.directory.startswith("/lake/")


@pytest.mark.parametrize("file", PROPERTIES, ids=lambda f: f.stem)
def test_spark_knows_every_setting_and_none_changes_a_result(file):
    names = properties(file)
    assert names
    assert [name for name in names if RESULT_CHANGING.match(name)] == []
    unknown = [name for name in names if name not in known_to_spark() and not OPEN_ENDED.match(name)]
    assert unknown == []


def test_a_misspelt_setting_would_be_found():
    """The twin of the test above."""
    assert "spark.executor.memoryOverhead" in known_to_spark()
    assert "spark.executor.memoryOverHead" not in known_to_spark()


@pytest.mark.parametrize("file", PROPERTIES, ids=lambda f: f.stem)
def test_every_setting_is_explained(file):
    """A comment stands before each block of settings."""
    blocks = re.split(r"\n(?=#)", file.read_text())
    assert all(block.startswith("#") for block in blocks if "spark." in block)
    assert all(len(re.findall(r"^spark\.", block, re.M)) <= 4 for block in blocks)


OPEN_ENDED = re.compile(
    r"spark\.((yarn\.appMasterEnv|executorEnv|kubernetes\.driver\.secretKeyRef)\.[A-Z_]+"
    r"|kubernetes\.authenticate\.(driver|executor)\.serviceAccountName)$"
)
"""Settings whose names Spark puts together."""


def known_to_spark() -> frozenset[str]:
    """Returns the names of settings that the compiled classes of Spark, YARN's and Kubernetes' too, hold."""
    if not _KNOWN:
        jars = Path(pyspark.__file__).parent / "jars"
        for kind in ("core", "sql", "catalyst", "yarn", "kubernetes", "common-utils", "sql-api"):
            for jar in jars.glob(f"spark-{kind}_2*.jar"):
                with zipfile.ZipFile(jar) as archive:
                    for name in archive.namelist():
                        if re.search(
                            r"(internal/config/|SQLConf|StaticSQLConf|k8s/Config|yarn/config/package)", name
                        ):
                            _KNOWN.update(re.findall(rb"spark\.[A-Za-z0-9.]+", archive.read(name)))
    return frozenset(name.decode() for name in _KNOWN)


_KNOWN: set[bytes] = set()
