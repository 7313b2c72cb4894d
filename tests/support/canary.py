"""A value and an id planted in a table, a run of the command line over it, and a search of all that it leaves."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from support.processes import apart
from support.visits import Site, visits

CANARY = "canary-7f3a"
PATIENCE = 240


def planted() -> pa.Table:
    """The visits, and a person of that name in a ward of that name, who has more rows than the bound."""
    table = visits(rows=500)
    row = table.slice(0, 1).to_pylist()[0] | {"person": CANARY, "ward": CANARY}
    return pa.concat_tables([table, pa.Table.from_pylist([row] * 30, table.schema)])


def planted_site(folder: Path) -> Site:
    """A site of that table, whose wards are partition folders."""
    site = Site.make(folder, planted())
    (folder / "in" / "part-0.parquet").unlink()
    pq.write_to_dataset(planted(), folder / "in", partition_cols=["ward"])
    (folder / "events").mkdir()
    return site


def leaf_of(site: Site) -> Path:
    """The partition folder of the planted ward."""
    return next((site.folder / "in").glob("ward=canary*"))


def run(
    site: Site,
    *overrides: str,
    spark: str = "",
    midway: Callable[[], object] | None = None,
    **environment: str,
) -> tuple[int, str]:
    """Runs the command line with an event log; returns its exit code and all it said.

    Args:
        site: of the planted table.
        overrides: words for `--set`.
        spark: settings of the engine before the site's own, each followed by a comma.
        midway: called when the run has reserved its cost and opened the input, before it has counted.
        environment: of the process.
    """
    config = site.config_file()
    events = (
        f'spark.eventLog.enabled: "true", spark.eventLog.dir: "file://{site.folder}/events", '
        'spark.eventLog.compress: "false", '
    )
    text = config.read_text().replace("spark: {", "spark: {" + events + spark)
    if "spark.master" in spark:
        text = text.replace('spark.master: "local[2]", ', "", 1)
    config.write_text(text)
    sets = [word for override in overrides for word in ("--set", override)]
    command = [sys.executable, "-m", "spark_dp.cli", "run", str(config), *sets]
    with (site.folder / "said").open("w+") as said:
        process = subprocess.Popen(
            command, cwd=site.folder, env={**apart(), **environment}, stdout=said, stderr=said
        )
        try:
            if midway is not None:
                wait_until_reserved(site, process)
                midway()
            code = process.wait(PATIENCE)
        finally:
            process.kill()
        said.seek(0)
        return code, said.read()


def wait_until_reserved(site: Site, process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + PATIENCE
    while not (site.run_folder / "state" / "settings.json").exists():
        if process.poll() is not None or time.monotonic() > end:
            raise AssertionError(
                "The run ended before it reserved its cost:\n" + (site.folder / "said").read_text()
            )
        time.sleep(0.002)


def found_in(site: Site, *, events: bool = True) -> list[str]:
    """Names the files outside of the input that hold the planted value.

    Spark's engine, as it ends, still renames its event log: then all are looked at again.
    """
    for _ in range(20):
        with contextlib.suppress(FileNotFoundError):
            return _found_in(site, events=events)
        time.sleep(0.5)
    return _found_in(site, events=events)


def _found_in(site: Site, *, events: bool) -> list[str]:
    left = [site.folder / "in"] + ([] if events else [site.folder / "events"])
    files = [p for p in site.folder.rglob("*") if p.is_file() and not any(p.is_relative_to(f) for f in left)]
    return [
        str(p) for p in files if CANARY.encode() in content_of(p) or CANARY in str(p.relative_to(site.folder))
    ]


def content_of(path: Path) -> bytes:
    if path.suffix == ".parquet":
        return str(pq.read_table(path).to_pydict()).encode() + path.read_bytes()
    return path.read_bytes()


def plans(site: Site) -> list[str]:
    """Every plan that the engine logged, as text.

    How an execution ended is told in other events of the owner's log: with Spark's messages, and the paths of files.
    """
    found = []
    for file in (p for p in (site.folder / "events").rglob("*") if p.is_file()):
        for line in file.read_text(errors="replace").splitlines():
            event = json.loads(line) if line.startswith("{") else {}
            if event.get("Event", "").endswith(("SQLExecutionStart", "SQLAdaptiveExecutionUpdate")):
                found.append(json.dumps(event))
    return found
