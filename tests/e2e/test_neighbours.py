"""Two tables that differ in one unit are told apart by noise alone: all else that is released is the same, byte for byte.

What is noisy, and what is computed from it, is replaced by a mark of its kind before the comparison:

    marginals.parquet     the column `noisy`: its type and length stay; encodings of the file follow from values
    *.npz                 the values of every array: names, types and shapes stay
    *.json                the run's random id, digests, and the fields listed in NOISY
    report.txt, .html     every number, the random id, the order of cells, how many ticks an axis has
    output                the values of every column; types, names, rows (declared), files, and Spark's random file names

Nothing else is: no name of a file, no schema, no other word of JSON. The mechanism asks for the same marginals of both
tables, as `independent` does; which ones `mst` selects is itself noisy.
"""

from __future__ import annotations

import io
import json
import re
import shutil
from typing import Any

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from support.visits import Site, visits

from spark_dp.pipeline.runner import run_all

pytestmark = pytest.mark.spark

NOISY = {"run_id", "noisy_total_rows", "total", "loss", "gap", "iterations", "noise_floor", "generate_digest"}
DIGEST = re.compile(r"^[0-9a-f]{64}$")
NUMBER = re.compile(r"[-−]?\d[\d,]*(?:\.\d+)?(?:e[+-]?\d+)?", re.IGNORECASE)
SPARKS_NAME = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
PERSON = "p11"


def without_noise(name: str, content: bytes) -> object:
    """What may not depend on the table of a released file."""
    if name.endswith(".parquet"):
        return parquet_shape(content)
    if name.endswith(".npz"):
        arrays = np.load(io.BytesIO(content))
        return {key: (arrays[key].dtype.str, arrays[key].shape) for key in arrays.files}
    if name.endswith(".json"):
        return json.dumps(marked(json.loads(content)), indent=1).encode()
    if name.endswith((".txt", ".html")):
        return words_of(content.decode())
    return content


def parquet_shape(content: bytes) -> object:
    table = pq.read_table(io.BytesIO(content))
    places = [c for c in table.column_names if c in ("measurement", "cell")]
    schema = table.schema.serialize().to_pybytes()
    return schema, table.num_rows, table.select(places).to_pydict()


def marked(found: Any, field: str = "") -> Any:
    if field in NOISY:
        return f"<{type(found).__name__}>"
    if isinstance(found, dict):
        return {key: marked(value, key) for key, value in found.items()}
    if isinstance(found, list):
        return [marked(value) for value in found]
    return "<digest>" if isinstance(found, str) and DIGEST.match(found) else found


def words_of(text: str) -> list[str]:
    """The lines and elements without their numbers, each once: cells are ordered, and axes ticked, by noisy counts."""
    text = re.sub(r"\b[0-9a-f]{32}\b", "<id>", text)
    text = re.sub(r"[ \t█▏▎▍▌▋▊▉]+", " ", NUMBER.sub("#", text))
    return sorted(set(re.split(r"\n|(?<=>)", re.sub("(M# #H#)+", "M# #H#", text))))


def released_by(site: Site) -> dict[str, object]:
    """All that a run gives away, by name, without noise."""
    files = site.released() | {
        "out/" + SPARKS_NAME.sub("<uuid>", str(p.relative_to(site.output))): p.read_bytes()
        for p in sorted(site.output.rglob("*"))
        if p.is_file() and p.suffix != ".crc"
    }
    return {name: without_noise(name, content) for name, content in files.items()}


def differences(one: dict[str, object], other: dict[str, object]) -> list[str]:
    return sorted(name for name in one.keys() | other.keys() if one.get(name) != other.get(name))


@pytest.fixture(scope="module")
def runs(tmp_path_factory, spark) -> tuple[Site, Site]:
    """The same run on a table and on the table without one person; both lie in folders of equal length."""
    whole = visits()
    rest = whole.filter(pc.fill_null(pc.not_equal(whole.column("person"), PERSON), True))
    assert 10 < whole.num_rows - rest.num_rows < 200
    asked = ("mechanism.name=independent", "output.rows=700")
    made = []
    for name, table in (("one", whole), ("two", rest)):
        site = Site.make(tmp_path_factory.mktemp(name), table)
        run_all(site.run(spark, *asked))
        made.append(site)
    return made[0], made[1]


def test_all_that_is_not_noise_is_the_same_for_neighbours(runs):
    one, two = map(released_by, runs)
    assert differences(one, two) == []
    assert len([n for n in one if n.startswith("out/")]) >= 3
    assert any(n.endswith("marginals.parquet") for n in one)


def test_what_is_noisy_differs(runs):
    """The comparison would be empty if both runs had released the same."""
    one, two = (site.released() for site in runs)
    assert one["measurements/marginals.parquet"] != two["measurements/marginals.parquet"]


def leak_in_manifest(site: Site, rows: int) -> None:
    file = site.output / "_manifest.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"input_rows": rows}))


def leak_in_measurements(site: Site, rows: int) -> None:
    file = site.run_folder / "released" / "measurements" / "measurements.json"
    index = json.loads(file.read_text())
    index["statement"]["max_rows_per_unit"] = rows
    file.write_text(json.dumps(index, indent=1))


def leak_in_cells(site: Site, rows: int) -> None:
    file = site.run_folder / "released" / "measurements" / "marginals.parquet"
    table = pq.read_table(file)
    pq.write_table(table.slice(rows % 2), file)


def leak_in_schema(site: Site, rows: int) -> None:
    file = site.run_folder / "released" / "measurements" / "marginals.parquet"
    table = pq.read_table(file)
    pq.write_table(table.replace_schema_metadata({"rows": str(rows)}), file)


def leak_in_report(site: Site, rows: int) -> None:
    file = site.run_folder / "released" / "report" / "report.txt"
    file.write_text(file.read_text() + "\n" + "x" * (rows % 7))


def leak_in_a_name(site: Site, rows: int) -> None:
    (site.run_folder / "released" / f"of-{rows}-rows").write_text("")


LEAKS = [
    leak_in_manifest,
    leak_in_measurements,
    leak_in_cells,
    leak_in_schema,
    leak_in_report,
    leak_in_a_name,
]


@pytest.mark.parametrize("leak", LEAKS)
def test_an_exact_number_anywhere_else_is_found(runs, tmp_path, leak):
    """The twins: the number of rows, in one of the files."""
    copies = []
    for number, site in enumerate(runs):
        copy = Site(tmp_path / str(number))
        shutil.copytree(site.folder, copy.folder)
        leak(copy, 2999 + number)
        copies.append(released_by(copy))
    assert len(differences(*copies)) >= 1
