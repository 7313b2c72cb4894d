"""What a driver that was killed left, and what there has to be after the same key ran again."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from support.faults import Fault

from spark_dp.graphical.sampling import SamplingPlan
from spark_dp.pipeline.artefacts import read_measurements, read_schema
from spark_dp.pipeline.run_directory import RunDirectory
from spark_dp.privacy.account_views import AccountView, RunView
from spark_dp.privacy.answers import digest
from spark_dp.privacy.ledger import Ledger, open_account
from spark_dp.privacy.queries import Answer
from spark_dp.privacy.sensitivity import Neighbours
from spark_dp.spark.generate import generate_chunk

EPSILON, DELTA, ACCOUNT = 50.0, 1e-7, 1000.0
DATASET = "events"
LETTERS = "pqrs"


def events(rows: int = 600, persons: int = 60) -> pa.Table:
    """A chain of three columns so dependent that every run asks the same queries."""
    rng = np.random.default_rng(1)
    a = rng.integers(0, 4, rows)
    b = np.where(rng.random(rows) < 0.9, a, rng.integers(0, 4, rows))
    c = np.where(rng.random(rows) < 0.9, b, rng.integers(0, 4, rows))
    who = [f"p{p}" for p in rng.integers(0, persons, rows)]
    return pa.table(
        {"person": who, **{n: [LETTERS[v] for v in x] for n, x in (("a", a), ("b", b), ("c", c))}}
    )


@dataclass(frozen=True, kw_only=True)
class Place:
    """A folder with an account, runs and an output; the input lies elsewhere and is shared.

    Attributes:
        folder, input: where.
        key: of the run.
        mode, mechanism: of the configuration.
        ledger: its URL; None: a file in the folder.
    """

    folder: Path
    input: Path
    key: str = "first"
    mode: str = "error"
    mechanism: str = "mst"
    ledger: str | None = None
    runs: Path | None = None
    out: Path | None = None

    @classmethod
    def make(cls, folder: Path, source: Path, *, account: float = ACCOUNT, **parts: object) -> Place:
        """Makes the folder and opens the account."""
        folder.mkdir(parents=True)
        place = cls(folder=folder, input=source, **parts)  # type: ignore[arg-type]
        open_account(place.url, DATASET, account, DELTA, "person", Neighbours.ADD_REMOVE)
        return place.configured()

    def copy(self, folder: Path, **parts: object) -> Place:
        """Copies all of it, as it is now."""
        shutil.copytree(self.folder, folder, ignore=shutil.ignore_patterns("*.log", "journal*"))
        return replace(self, folder=folder, **parts).configured()  # type: ignore[arg-type]

    def configured(self) -> Place:
        by = "" if self.mode != "overwrite_partitions" else ", partition_by: [a]"
        letters = f"{{type: string, values: [{', '.join(LETTERS)}], undeclared: drop}}"
        self.config.write_text(f"""
input: {{path: {self.input}}}
output: {{path: {self.output}, mode: {self.mode}{by}}}
privacy:
  epsilon: {EPSILON}
  delta: {DELTA}
  unit: {{column: person, max_rows: 20}}
  ledger: {self.url}
  dataset: {DATASET}
schema: {{a: {letters}, b: {letters}, c: {letters}}}
mechanism: {{name: {self.mechanism}, workload: {{degree: 2}}}}
run: {{directory: {self.run_root}, key: {self.key}, seed: 5}}
""")
        return self

    @property
    def config(self) -> Path:
        return self.folder / f"{self.key}.yaml"

    @property
    def url(self) -> str:
        return self.ledger or f"sqlite:///{self.folder}/ledger.db"

    @property
    def run_root(self) -> Path:
        return self.runs or self.folder / "runs"

    @property
    def output(self) -> Path:
        return self.out or self.folder / "out"

    @property
    def arguments(self) -> tuple[str, ...]:
        return ("run", str(self.config), "--quiet")

    def fault(self, at: int | str | None = None, **more: object) -> Fault:
        return Fault(journal=str(self.folder / "journal"), at=at, **more)  # type: ignore[arg-type]

    def account(self) -> AccountView:
        return Ledger.connect(self.url).show(DATASET)

    def runs_of_account(self) -> list[RunView]:
        """All runs that were not given back."""
        return [r for r in Ledger.connect(self.url).history(DATASET) if r.status != "voided"]

    def run_view(self) -> RunView | None:
        return next((r for r in Ledger.connect(self.url).history(DATASET) if r.key == self.key), None)

    @property
    def directory(self) -> RunDirectory:
        return RunDirectory.open(str(self.run_root), self.key)

    def answers(self, run: RunView) -> dict[int, bytes]:
        """The answers that the ledger marks, by ordinal: the bytes themselves."""
        root = self.run_root / self.key / "state" / "answers" / run.run_id / "answers"
        marked = [q for q in run.queries if q.state == "answered"]
        return {q.ordinal: (root / f"{q.ordinal:05d}-{q.answer_epoch}.npz").read_bytes() for q in marked}

    def outcome(self) -> dict[str, object]:
        return dict(json.loads((self.run_root / self.key / "state" / "outcome.json").read_bytes()))


def files_of(folder: Path) -> dict[str, bytes]:
    """The files below a folder, by name."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def names_below(folder: Path) -> list[str]:
    """What lies in a place, names that differ from run to run made the same; logs and journals of the tests left out."""
    found = set()
    for path in folder.rglob("*"):
        name = str(path.relative_to(folder))
        if path.is_file() and not re.search(r"\.log$|^journal", name):
            name = re.sub(r"[0-9a-f]{8}-[0-9a-f-]{20,}", "UUID", name)
            name = re.sub(r"part-\d+-", "part-", name)
            name = re.sub(r"[0-9a-f]{32,64}", "DIGEST", name)
            name = re.sub(r"(answers/\d+)-\d+\.npz", r"\1.npz", name)
            found.add(name)
        elif path.is_dir() and path.name.startswith("_"):
            found.add(name)
    return sorted(found)


Rows = list[tuple[str, ...]]


def rows_of(folder: Path) -> Rows:
    """The rows of an output or of one of its partitions, sorted."""
    table = pq.ParquetDataset(folder).read()
    names = sorted(table.column_names)
    return sorted(zip(*[table[n].cast(pa.string()).to_pylist() for n in names], strict=True))


def rows_of_model(place: Place) -> Rows:
    """What the run's model and seed give, made here and now."""
    measured = place.directory.require("released/measurements", made_by="measure")
    modelled = place.directory.require("released/model", made_by="fit")
    schema = read_schema(measured)
    rows = max(0, round(modelled.json("fit.json")["total"]))
    batch = generate_chunk(SamplingPlan.from_bytes(modelled.files["sampling.npz"]), schema, 5, 0, rows)
    return sorted(zip(*[batch[n].to_pylist() for n in sorted(batch.schema.names)], strict=True))


@dataclass(frozen=True)
class Left:
    """What was there right after a driver was killed.

    Attributes:
        run_id, answers: of the ledger's run; the bytes of what was answered.
        charged: what the account had spent.
        output: what a reader of the output found.
    """

    run_id: str | None
    answers: Mapping[int, bytes]
    charged: Fraction
    output: str

    @classmethod
    def of(cls, place: Place, before: Mapping[str, bytes]) -> Left:
        run = place.run_view()
        if run is not None and run.status == "voided":
            run = None
        return cls(
            None if run is None else run.run_id,
            {} if run is None else place.answers(run),
            place.account().spent_rho,
            output_now(place, before),
        )


def output_now(place: Place, before: Mapping[str, bytes]) -> str:
    """Says what a reader of the output finds, and fails where it is neither the old table nor the new one.

    Args:
        before: the files of the old one; empty where there was none.
    """
    if not place.output.exists():
        aside = place.output.with_name("_out.previous")
        if before:
            assert files_of(aside) == before, "the old output is neither in its place nor beside it"
            return "old table set aside, comes back"
        return "no output yet"
    now = files_of(place.output)
    if now == before:
        return "old table whole"
    if place.mode != "overwrite_partitions" or not before:
        assert json.loads(now["_manifest.json"]) != json.loads(before.get("_manifest.json", b"{}"))
        assert rows_of(place.output) == rows_of_model(place)
        return "new table whole"
    return _partitions_now(place, before, now)


def _partitions_now(place: Place, before: Mapping[str, bytes], now: Mapping[str, bytes]) -> str:
    fresh, old, missing, made = 0, 0, 0, rows_of_model(place)
    for leaf in sorted({name.split("/")[0] for name in before if "=" in name}):
        was = {n: c for n, c in before.items() if n.startswith(f"{leaf}/")}
        found = {n: c for n, c in now.items() if n.startswith(f"{leaf}/")}
        value = leaf.partition("=")[2]
        if not found:
            assert files_of(place.output.with_name("_out.previous") / leaf)
            missing += 1
        elif found == was:
            old += value in LETTERS
        else:
            expected = sorted(row[1:] for row in made if row[0] == value)
            assert rows_of(place.output / leaf) == expected, "a partition is neither old nor new"
            fresh += 1
    assert missing <= 1
    manifest = json.loads(now["_manifest.json"])
    named = {run["run_id"] for run in [*manifest["earlier_runs"], manifest["privacy"]]}
    there = {json.loads(before["_manifest.json"])["privacy"]["run_id"]}
    run = place.run_view()
    assert run is not None
    assert named >= (there | {run.run_id} if fresh or missing else there), (
        "a run whose rows are there is not named"
    )
    said = f"{fresh} partitions new, {old} as before, each whole"
    return f"{said}; 1 set aside, comes back" if missing else said


def require_mended(
    place: Place, left: Left, expected: list[str] | None, kept: Mapping[str, bytes] | None = None
) -> None:
    """Fails unless the same key, run again, left what an undisturbed run leaves, for one charge.

    Args:
        left: what there was after the kill.
        expected: the names of an undisturbed run's files; None: they are not compared.
        kept: files of the output that have to be there still.
    """
    run, account = place.run_view(), place.account()
    assert run is not None
    assert run.status == "complete", run
    assert account.spent_rho == sum(r.rho for r in place.runs_of_account()), "charged once"
    assert left.run_id in (None, run.run_id)
    answers = place.answers(run)
    assert all(digest(answers[q.ordinal]) == q.answer_digest for q in run.queries)
    for ordinal, content in left.answers.items():
        assert answers[ordinal] == content, f"answer {ordinal} differs"
    measured = read_measurements(place.directory.require("released/measurements", made_by="measure"))
    released = [m.noisy for m in measured]
    drawn = [
        v for q in run.queries if q.kind == "measure" for v in Answer.from_bytes(answers[q.ordinal]).values
    ]
    assert len(released) == len(drawn)
    assert all(np.array_equal(one, other) for one, other in zip(released, drawn, strict=True))
    if expected is not None:
        assert names_below(place.folder) == expected
    made = rows_of_model(place)
    manifest = json.loads((place.output / "_manifest.json").read_bytes())
    assert manifest["rows"] == len(made)
    assert manifest["privacy"]["run_id"] == run.run_id
    if kept is None:
        assert rows_of(place.output) == made
    else:
        now = files_of(place.output)
        assert all(now[name] == content for name, content in kept.items())
        by_letter = [p for p in place.output.iterdir() if p.name in {f"a={x}" for x in LETTERS}]
        found = [(p.name[2:], *row) for p in by_letter for row in rows_of(p)]
        assert sorted(found) == made
    assert place.outcome()["status"] == "succeeded"
