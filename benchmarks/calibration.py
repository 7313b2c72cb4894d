"""Error bars against the truth: how often intervals and bounds hold, and how wide they are, on four public tables.

For a part of the table: python -m benchmarks.calibration --tables titanic --mechanisms oneshot --runs 20 --degree 2
"""

from __future__ import annotations

import argparse
import itertools
import sys
from pathlib import Path
from typing import Final

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from support.calibration import Tally, no_tallies, release

from benchmarks.tables import load, title
from benchmarks.workload_error import Counted
from spark_dp.mechanisms.catalog import MECHANISMS

TABLES: Final = ("adult", "msnbc", "nltcs", "titanic")


def main() -> None:
    asked = _arguments()
    title(f"Error bars of {asked.confidence:.0%}: how often they hold, over {asked.runs} runs")
    print(
        f"{'':38} {'marginals':>9} {'cells':>8} {'by model':>8} {'raw L1':>8} {'bound':>8} {'L1/N':>8} {'bound/L1':>8} "
        f"{'exp./L1':>8} {'plan/L1':>8}"
    )
    for name in asked.tables:
        data, domain = load(name)
        table = Counted.of(domain, data)
        for epsilon, mechanism in itertools.product(asked.epsilons, asked.mechanisms):
            sums = {degree: no_tallies() for degree in asked.degrees}
            for _ in range(asked.runs):
                made = release(
                    mechanism,
                    domain,
                    table,
                    table.rows,
                    epsilon=epsilon,
                    degree=asked.degree,
                    max_cells=asked.max_cells,
                )
                for degree in asked.degrees:
                    for clique in itertools.combinations(domain.attributes, degree):
                        bars = made.bars(clique, asked.confidence)
                        if bars.basis in sums[degree]:
                            sums[degree][bars.basis].add(
                                bars,
                                table.marginal(clique),
                                made.model.marginal(clique),
                                made.planned.get(clique),
                            )
            for degree, tallies in sums.items():
                for basis, total in tallies.items():
                    if total.marginals:
                        label = f"{name} ε={epsilon:g} {mechanism} {degree}-way {basis}"
                        print(_line(label, total, table.rows), flush=True)


def _line(label: str, t: Tally, rows: int) -> str:
    def part(a: float, b: float) -> str:
        return f"{a / b:8.3f}" if b else f"{'–':>8}"

    return (
        f"{label:38} {t.marginals:9,} {part(t.covered, t.cells)} {part(t.by_model, t.occupied)} "
        f"{part(t.measured_holds, t.measured)} {part(t.holds, t.marginals)} {t.truth / t.marginals / rows:8.4f} "
        f"{part(t.bound, t.truth)} {part(t.expected, t.truth)} {part(t.planned, t.kept)}"
    )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--tables", nargs="+", choices=TABLES, default=list(TABLES))
    parser.add_argument("--epsilons", nargs="+", type=float, default=[0.1, 1.0, 10.0])
    parser.add_argument("--mechanisms", nargs="+", choices=list(MECHANISMS), default=list(MECHANISMS))
    parser.add_argument(
        "--degrees", nargs="+", type=int, default=[1, 2], help="of the marginals that are asked for"
    )
    parser.add_argument("--degree", type=int, default=2, help="of the workload")
    parser.add_argument("--runs", type=int, default=10)
    parser.add_argument("--confidence", type=float, default=0.95)
    parser.add_argument("--max-cells", type=int, default=1_000_000)
    return parser.parse_args()


if __name__ == "__main__":
    main()
