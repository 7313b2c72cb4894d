"""A planted value may be found in the input alone: on success and on every failure, in whatever a run leaves."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support.canary import CANARY, found_in, leaf_of, plans, planted_site, run
from support.visits import Site

pytestmark = pytest.mark.spark


@pytest.fixture
def site(tmp_path) -> Site:
    return planted_site(tmp_path)


def test_a_successful_run_leaves_no_private_value(site):
    code, said = run(site, "evaluate.against_input=true")
    assert code == 0, said
    assert CANARY not in said
    assert list((site.folder / "events").iterdir()), "the event log was not written"
    assert found_in(site) == []
    assert plans(site), "the engine logged no plan"


def test_the_search_finds_a_value_that_is_there(site):
    """The twin: the same search over a folder that holds the value."""
    (site.folder / "leak").mkdir()
    pq.write_table(pa.table({"x": [CANARY]}), site.folder / "leak" / "x.parquet", compression="zstd")
    (site.folder / "leak" / "y.log").write_text(f"could not parse {CANARY}")
    (site.folder / "leak" / f"ward={CANARY}").write_text("")
    (site.folder / "events" / "log").write_text(
        f'{{"Event": "x.SparkListenerSQLExecutionStart", "plan": "{CANARY}"}}'
    )
    assert len(found_in(site)) == 4
    assert CANARY in plans(site)[0]


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
    (leaf_of(site) / "bad.parquet").write_bytes(b"PAR1" + CANARY.encode() * 10 + b"PAR1")
    found, said = run(site)
    assert found == 65, said
    assert CANARY not in said
    assert "bad.parquet" in said
    assert found_in(site, events=False) == []
