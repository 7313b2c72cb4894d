"""What each part of the one-shot mechanism is worth: the workload error with it and without it, on the same tables.

python -m benchmarks.ablations --tables titanic --epsilons 1 --seeds 10
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from fractions import Fraction
from unittest.mock import patch

import numpy as np

from benchmarks.aim import DELTA, MAX_CELLS, TABLES
from benchmarks.tables import load, title
from benchmarks.workload_error import Counted, run
from spark_dp.graphical.projected_noise import Profile, unprojected_noise
from spark_dp.mechanisms import choice, oneshot
from spark_dp.mechanisms.oneshot import OneShot, OneShotShares
from spark_dp.privacy.composition import Accounting
from spark_dp.privacy.scoring import NoisyDistance


@contextmanager
def nothing() -> Iterator[None]:
    yield


@contextmanager
def unshrunk() -> Iterator[None]:
    """Distances are believed as they are."""
    with patch.object(choice, "shrunk", lambda domain, distances: tuple(distances)):
        yield


@contextmanager
def unprojected() -> Iterator[None]:
    """Noise is charged in every cell, empty or not, and allotted by declared sizes."""

    def noise(profile: Profile, sigma: float) -> float:
        return unprojected_noise(float(profile.cells.sum()), sigma)

    with patch.object(Profile, "noise", noise):
        yield


@contextmanager
def columns_once() -> Iterator[None]:
    """Columns are no candidates: what they are off by is taken to be nothing."""

    def distance(*, clique: tuple[str, ...], rows: float, stddev: float) -> NoisyDistance:
        return NoisyDistance(clique=clique, rows=0.0 if len(clique) == 1 else rows, stddev=stddev)

    with patch.object(oneshot, "NoisyDistance", distance):
        yield


WITHOUT: dict[str, Callable[[], AbstractContextManager[None]]] = {
    "as it is": nothing,
    "without shrinking": unshrunk,
    "without projected noise": unprojected,
    "columns measured once": columns_once,
}
SHARES = {
    "one shot": OneShotShares(shots=1),
    "two shots": OneShotShares(shots=2),
    "three shots": OneShotShares(shots=3),
    "a tenth scores": OneShotShares(score=Fraction(1, 10)),
    "a fifth for columns": OneShotShares(one_way=Fraction(1, 5)),
}


def main() -> None:
    asked = _arguments()
    title(f"One-shot, parts left out: all triples, δ = {DELTA}, unit = row, {asked.seeds} runs each")
    for name in asked.tables:
        data, domain = load(name)
        table = Counted.of(domain, data)
        for epsilon in asked.epsilons:
            for label, without in WITHOUT.items():
                with without():
                    _report(f"{name} ε={epsilon:g} {label}", OneShot(), table, epsilon, asked.seeds)
            for label, shares in SHARES.items():
                _report(f"{name} ε={epsilon:g} {label}", OneShot(shares=shares), table, epsilon, asked.seeds)
            for accounting in Accounting:
                label = f"{name} ε={epsilon:g} accounting {accounting.value}"
                _report(label, OneShot(), table, epsilon, asked.seeds, accounting)


def _report(
    label: str,
    mechanism: OneShot,
    table: Counted,
    epsilon: float,
    seeds: int,
    accounting: Accounting = Accounting.GAUSSIAN,
) -> None:
    found = [
        run(
            mechanism,
            table,
            epsilon=epsilon,
            delta=DELTA,
            max_cells=MAX_CELLS,
            seed=seed,
            accounting=accounting,
        )
        for seed in range(seeds)
    ]
    errors = np.array([result.errors for result in found])
    print(
        f"{label:40} {np.median([r.cpu for r in found]):8.1f} s  "
        + " ".join(f"{error:8.4f}" for error in errors.mean(axis=0))
        + f"  sd {errors[:, 2].std():.4f}",
        flush=True,
    )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--tables", nargs="+", choices=TABLES, default=["titanic", "adult"])
    parser.add_argument("--epsilons", nargs="+", type=float, default=[1.0])
    parser.add_argument("--seeds", type=int, default=3)
    return parser.parse_args()


if __name__ == "__main__":
    main()
