"""Exact noise: ours beside OpenDP's vector mechanism and beside the randomness it is made of, samples a second and core."""

from __future__ import annotations

import os
from collections.abc import Callable
from fractions import Fraction

import numpy as np
import opendp.prelude as dp

from benchmarks.tables import timed, title
from spark_dp.privacy.noise import discrete_gaussian
from spark_dp.privacy.rounded_gaussian import rounded_gaussian

OURS, THEIRS = 2_000_000, 50_000
SIGMAS = (1, 30, 1000, 9 * 10**8, 2**40)
WORDS = 2  # of 64 bits, for one proposal of the rounded Gaussian


def rate(draw: Callable[[int], object], size: int) -> float:
    """Returns samples a CPU second, warm."""
    draw(1000)
    with timed() as clock:
        draw(size)
    return size / clock.cpu


def main() -> None:
    title("exact noise, samples a CPU second")
    dp.enable_features("contrib")
    print(f"{'sigma':>16} {'rounded':>12} {'discrete':>12} {'OpenDP':>12} {'rounded / OpenDP':>18}")
    for sigma in SIGMAS:
        space = dp.vector_domain(dp.atom_domain(T="i64")), dp.l2_distance(T=float)
        mechanism = dp.m.make_gaussian(*space, scale=float(sigma))
        squared = Fraction(sigma**2)
        rounded = rate(lambda size, s=squared: rounded_gaussian(s, size), OURS)  # type: ignore[misc]
        discrete = rate(lambda size, s=squared: discrete_gaussian(s, size), OURS)  # type: ignore[misc]
        theirs = rate(lambda size, m=mechanism: m([0] * size), THEIRS)  # type: ignore[misc]
        print(f"{sigma:>16,} {rounded:12,.0f} {discrete:12,.0f} {theirs:12,.0f} {rounded / theirs:17.0f}x")
    # The limit: every sample takes its words from the operating system, and is written to memory once.
    words = rate(lambda size: os.urandom(8 * size), OURS)
    written = rate(lambda size: np.zeros(size, dtype=np.int64).fill(1), 10 * OURS)
    floats = rate(lambda size: np.random.default_rng().normal(size=size), OURS)
    print(f"limit: {words / WORDS:,.0f} of {WORDS} words of os.urandom; {written:,.0f} written to memory")
    print(f"not private: {floats:,.0f} floats of numpy's generator")


if __name__ == "__main__":
    main()
