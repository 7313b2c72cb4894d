"""Mistakes of the machine: Java, PySpark, executors, permissions. Each in a process of its own, as a user runs it."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import sysconfig
from collections.abc import Callable
from pathlib import Path

import pytest
from bad_input.mistake import CANARY, Mistake, planted
from bad_input.telling import require_useful
from support.processes import ROOT, apart
from support.visits import Site

BY_THE_RULES = ("setpriv", "--bounding-set=-dac_override,-dac_read_search")
"""Makes root obey a folder's permissions."""


@pytest.fixture
def site(tmp_path) -> Site:
    return Site.make(tmp_path, planted())


def run(
    site: Site, *command: str, environment: dict[str, str] | None = None, before: tuple[str, ...] = ()
) -> tuple[int, str]:
    """Runs spark-dp in a process that knows nothing of the suite's Spark; returns its exit code and all it said."""
    done = subprocess.run(
        [*before, sys.executable, "-m", "spark_dp.cli", *command],
        cwd=site.folder,
        env=environment if environment is not None else apart(),
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    return done.returncode, done.stdout + done.stderr


def a_java(site: Site, version: str) -> Path:
    """Makes a Java that says it is of another version: older ones are not installed everywhere."""
    java = site.folder / "jdk" / "bin" / "java"
    java.parent.mkdir(parents=True)
    java.write_text(f"#!/bin/sh\necho 'openjdk version \"{version}\"' >&2\n")
    java.chmod(java.stat().st_mode | stat.S_IXUSR)
    return java.parents[1]


def without_java(site: Site) -> dict[str, str]:
    (site.folder / "bin").mkdir()
    kept = {k: v for k, v in apart().items() if k != "JAVA_HOME"}
    return {**kept, "PATH": str(site.folder / "bin")}


def without_pyspark(site: Site) -> dict[str, str]:
    """All that is installed here, but for PySpark: its folder is left out of a copy made of links."""
    packages = site.folder / "packages"
    packages.mkdir()
    for entry in Path(sysconfig.get_path("purelib")).iterdir():
        if not entry.name.startswith("pyspark") and entry.suffix != ".pth":
            (packages / entry.name).symlink_to(entry)
    return {**apart(), "PYTHONPATH": f"{ROOT}{os.pathsep}{packages}"}


MACHINES: list[tuple[Mistake, Callable[[Site], dict[str, str]]]] = [
    (Mistake(what="no Java", code=78, says=("Java 17", "PATH", "apt-get install")), without_java),
    (
        Mistake(what="a JAVA_HOME without a Java", code=78, says=("Java 17", "JAVA_HOME", "/nowhere")),
        lambda s: {**apart(), "JAVA_HOME": "/nowhere"},
    ),
    (
        Mistake(what="Java 11", code=78, says=("Java 17 or 21", "version 11")),
        lambda s: {**apart(), "JAVA_HOME": str(a_java(s, "11.0.22"))},
    ),
    (
        Mistake(what="Java 8", code=78, says=("Java 17 or 21", "version 8")),
        lambda s: {**apart(), "JAVA_HOME": str(a_java(s, "1.8.0_392"))},
    ),
]


@pytest.mark.parametrize(("mistake", "machine"), MACHINES, ids=[str(m) for m, _ in MACHINES])
def test_a_machine_that_cannot_run_spark_is_told_what_it_lacks(site, mistake, machine):
    code, said = run(site, *mistake.arguments(site), environment=machine(site))
    assert code == mistake.code, said
    require_useful(said, mistake)
    assert site.account().spent_rho == 0


def test_a_driver_without_pyspark_is_told_how_to_get_it(site):
    mistake = Mistake(what="no PySpark", code=78, says=("PySpark", "pip install"))
    command = [sys.executable, "-S", "-m", "spark_dp.cli", *mistake.arguments(site)]
    done = subprocess.run(
        command, cwd=site.folder, env=without_pyspark(site), capture_output=True, text=True, check=False
    )
    assert done.returncode == mistake.code, done.stderr
    require_useful(done.stdout + done.stderr, mistake)
    assert site.account().spent_rho == 0


@pytest.mark.spark
@pytest.mark.platform
def test_executors_with_other_libraries_are_refused_before_anything_is_spent(site):
    other = ROOT / ".venv-spark-oldest" / "bin" / "python"
    mistake = Mistake(
        what="executors with other versions",
        code=78,
        says=("numpy: driver", "executor 1.26", "PYSPARK_PYTHON"),
    )
    environment = {**apart(), "PYSPARK_PYTHON": str(other)}
    code, said = run(site, *mistake.arguments(site), environment=environment)
    assert code == mistake.code, said
    require_useful(said, mistake)
    assert site.account().spent_rho == 0


@pytest.mark.spark
def test_executors_without_libraries_are_refused_before_anything_is_spent(site):
    bare = site.folder / "bare"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(bare)], check=True)
    mistake = Mistake(what="executors without libraries", code=78, says=("executor", "import", "--py-files"))
    environment = {**apart(), "PYSPARK_PYTHON": str(bare / "bin" / "python")}
    code, said = run(site, *mistake.arguments(site), environment=environment)
    assert code == mistake.code, said
    require_useful(said, mistake)
    assert site.account().spent_rho == 0


@pytest.mark.spark
def test_a_setting_that_spark_refuses_is_told(site):
    mistake = Mistake(
        what="a wrong setting", code=78, says=("Spark did not start", "spark:", "SPARK_DP_ENGINE_LOG")
    )
    config = site.config_file()
    config.write_text(
        config.read_text().replace(
            "spark: {",
            'spark: {spark.eventLog.enabled: "true", spark.eventLog.dir: "file:///nowhere/at/all", ',
        )
    )
    code, said = run(site, "run", str(config))
    assert code == mistake.code, said
    require_useful(said, mistake)
    assert site.account().spent_rho == 0


PERMISSIONS = [
    (
        Mistake(what="an unwritable output", code=78, says=("output.path", "cannot be written")),
        "closed/out",
        "output.path",
    ),
    (
        Mistake(what="an unwritable run directory", code=78, says=("closed", "Permission")),
        "closed/runs",
        "run.directory",
    ),
    (Mistake(what="an unreadable input", code=65, says=("input.path",)), "closed/in", "input.path"),
]


@pytest.mark.parametrize(("mistake", "place", "setting"), PERMISSIONS, ids=[str(p[0]) for p in PERMISSIONS])
def test_a_place_that_is_closed_to_the_user_is_told(site, mistake, place, setting):
    """As root nothing is closed, so that root gives up its right to pass."""
    before = BY_THE_RULES if os.geteuid() == 0 else ()
    (site.folder / "closed").mkdir()
    if setting == "input.path":
        (site.folder / place).mkdir()
    (site.folder / "closed").chmod(0o500 if setting != "input.path" else 0o000)
    code, said = run(
        site, *mistake.arguments(site), "--set", f"{setting}={site.folder}/{place}", before=before
    )
    (site.folder / "closed").chmod(0o700)
    assert code == mistake.code, said
    require_useful(said, mistake)
    assert CANARY not in said
    assert site.account().spent_rho == 0
