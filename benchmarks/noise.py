"""Exact discrete Gaussian noise: ours against OpenDP's vector mechanism, samples a second and core."""

from __future__ import annotations

from fractions import Fraction

import opendp.prelude as dp

from benchmarks.tables import timed, title
from spark_dp.privacy.noise import discrete_gaussian

OURS, THEIRS = 1_000_000, 50_000


def main() -> None:
    title("discrete Gaussian noise, samples a CPU second")
    dp.enable_features("contrib")
    print(f"{'sigma':>10} {'ours':>12} {'OpenDP':>12} {'ratio':>8}")
    for sigma in (1, 30, 1000, 9 * 10**8):
        space = dp.vector_domain(dp.atom_domain(T="i64"), size=THEIRS), dp.l2_distance(T=float)
        mechanism = dp.m.make_gaussian(*space, scale=float(sigma))
        mechanism([0] * THEIRS)
        with timed() as theirs:
            mechanism([0] * THEIRS)
        discrete_gaussian(Fraction(sigma**2), 1000)
        with timed() as ours:
            discrete_gaussian(Fraction(sigma**2), OURS)
        a, b = OURS / ours.cpu, THEIRS / theirs.cpu
        print(f"{sigma:>10} {a:12,.0f} {b:12,.0f} {a / b:7.1f}x")


if __name__ == "__main__":
    main()
