"""AIM and the one-shot mechanism on four public tables: workload error and time of selection, measurement and fit.

All triples, unit = row, δ = 1e-9, models of at most 80 MB. For a part of the table:
python -m benchmarks.aim --tables adult nltcs --epsilons 1 --mechanisms oneshot --seeds 10 --record runs.jsonl
A run that the file holds is not done again; `python -m benchmarks.aim_table runs.jsonl` makes a table of it.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np

from benchmarks.records import Record, Records
from benchmarks.tables import load, title
from benchmarks.workload_error import Counted, run
from spark_dp.mechanisms.catalog import MECHANISMS, mechanism_named
from spark_dp.mechanisms.protocol import Mechanism
from spark_dp.privacy.composition import Accounting

DELTA: Final = 1e-9
MAX_CELLS: Final = 10_000_000
TABLES: Final = ("adult", "msnbc", "nltcs", "titanic")


def main() -> None:
    asked = _arguments()
    records = Records(asked.record)
    title(f"All triples, δ = {DELTA}, unit = row, {asked.seeds} runs each")
    print(
        f"{'':28} {'CPU s':>8} {'wall s':>8} {'TVD 1':>8} {'TVD 2':>8} {'TVD 3':>8} {'sd':>7} {'cells':>10}"
    )
    for name in asked.tables:
        data, domain = load(name)
        table = Counted.of(domain, data)
        for epsilon in asked.epsilons:
            for mechanism in asked.mechanisms:
                found = [
                    one_run(records, mechanism_named(mechanism), mechanism, name, table, epsilon, seed)
                    for seed in range(asked.seeds)
                ]
                print(_line(f"{name} ε={epsilon:g} {mechanism}", found), flush=True)


def one_run(
    records: Records,
    mechanism: Mechanism,
    label: str,
    name: str,
    table: Counted,
    epsilon: float,
    seed: int,
    accounting: Accounting = Accounting.GAUSSIAN,
) -> Record:
    """Does a run, unless the records hold it."""
    done = records.get(("ours", label, name, epsilon, seed))
    if done is not None:
        return done
    found = run(
        mechanism,
        table,
        epsilon=epsilon,
        delta=DELTA,
        max_cells=MAX_CELLS,
        seed=seed,
        accounting=accounting,
    )
    return records.add(
        Record(
            who="ours",
            mechanism=label,
            table=name,
            epsilon=epsilon,
            seed=seed,
            cpu=found.cpu,
            wall=found.wall,
            errors=found.errors,
            cells=found.cells,
            measured=found.measured,
        )
    )


def _line(label: str, found: Sequence[Record]) -> str:
    errors = np.array([record.errors for record in found])
    return (
        f"{label:28} {np.median([r.cpu for r in found]):8.1f} {np.median([r.wall for r in found]):8.1f} "
        + " ".join(f"{error:8.4f}" for error in errors.mean(axis=0))
        + f" {errors[:, 2].std():7.4f} {np.median([r.cells for r in found]):10,.0f}"
    )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--tables", nargs="+", choices=TABLES, default=list(TABLES))
    parser.add_argument("--epsilons", nargs="+", type=float, default=[0.1, 1.0, 10.0])
    parser.add_argument(
        "--mechanisms", nargs="+", choices=list(MECHANISMS), default=["oneshot", "mst", "independent"]
    )
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--record", type=Path, help="a file of JSON lines to which runs are added")
    return parser.parse_args()


if __name__ == "__main__":
    main()
