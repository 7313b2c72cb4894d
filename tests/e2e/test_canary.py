"""A planted value may be found in the input alone: on success and on every failure, in whatever a run leaves."""

from __future__ import annotations

import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support.processes import finish
from support.visits import Site, visits

pytestmark = pytest.mark.spark

CANARY = "canary-7f3a"


def planted() -> pa.Table:
    """The visits, and a person of that name in a ward of that name, who has more rows than the bound."""
    table = visits(rows=500)
    row = table.slice(0, 1).to_pylist()[0] | {"person": CANARY, "ward": CANARY}
    return pa.concat_tables([table, pa.Table.from_pylist([row] * 30, table.schema)])


@pytest.fixture
def site(tmp_path) -> Site:
    site = Site.make(tmp_path, planted())
    (tmp_path / "in" / "part-0.parquet").unlink()
    pq.write_to_dataset(planted(), tmp_path / "in", partition_cols=["ward"])
    (tmp_path / "events").mkdir()
    return site


def run(site: Site, *overrides: str) -> tuple[int, str]:
    """Runs the command line with an event log; returns its exit code and all it said."""
    config = site.config_file()
    events = (
        f'spark.eventLog.enabled: "true", spark.eventLog.dir: "file://{site.folder}/events", '
        'spark.eventLog.compress: "false", '
    )
    config.write_text(config.read_text().replace("spark: {", "spark: {" + events))
    sets = [word for override in overrides for word in ("--set", override)]
    done = finish([sys.executable, "-m", "spark_dp.cli", "run", str(config), *sets], site.folder)
    return done.returncode, done.stdout + done.stderr


def found_in(site: Site, *, events: bool = True) -> list[str]:
    """Names the files outside of the input that hold the planted value."""
    left = [site.folder / "in"] + ([] if events else [site.folder / "events"])
    files = [p for p in site.folder.rglob("*") if p.is_file() and not any(p.is_relative_to(f) for f in left)]
    return [
        str(p) for p in files if CANARY.encode() in content_of(p) or CANARY in str(p.relative_to(site.folder))
    ]


def content_of(path: Path) -> bytes:
    if path.suffix == ".parquet":
        return str(pq.read_table(path).to_pydict()).encode() + path.read_bytes()
    return path.read_bytes()


def test_a_successful_run_leaves_no_private_value(site):
    code, said = run(site, "evaluate.against_input=true")
    assert code == 0, said
    assert CANARY not in said
    assert list((site.folder / "events").iterdir()), "the event log was not written"
    assert found_in(site) == []


def test_the_search_finds_a_value_that_is_there(site):
    """The twin: the same search over a folder that holds the value."""
    (site.folder / "leak").mkdir()
    pq.write_table(pa.table({"x": [CANARY]}), site.folder / "leak" / "x.parquet", compression="zstd")
    (site.folder / "leak" / "y.log").write_text(f"could not parse {CANARY}")
    assert len(found_in(site)) == 2


FAILURES = {
    "a filter that casts": ("input.filter=cast(person as int) > 3", 65),
    "null ids": ("privacy.unit.nulls=error", 65),
    "an id of another unit": ("privacy.unit.column=score", 77),
    "another type": ("schema.age.type=byte", 65),
    "no budget": ("privacy.epsilon=50", 77),
}


@pytest.mark.parametrize(("override", "code"), FAILURES.values(), ids=FAILURES)
def test_a_failed_run_leaves_no_private_value(site, override, code):
    found, said = run(site, override)
    assert found == code, said
    assert CANARY not in said
    # Spark's own event log is the owner's: it holds Spark's messages, and with them cells that broke a cast.
    assert found_in(site, events=False) == []
    assert site.account().spent_rho == 0


def test_a_corrupt_file_is_named_without_its_content_or_its_partition(site):
    leaf = next((site.folder / "in").glob("ward=canary*"))
    (leaf / "bad.parquet").write_bytes(b"PAR1" + CANARY.encode() * 10 + b"PAR1")
    found, said = run(site)
    assert found == 65, said
    assert CANARY not in said
    assert "bad.parquet" in said
    assert found_in(site, events=False) == []
