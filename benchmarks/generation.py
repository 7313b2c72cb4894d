"""Sampling and decoding adult's 14 columns in process: rows a second and core, and memory against rows."""

from __future__ import annotations

import itertools
import tracemalloc
from fractions import Fraction

import numpy as np

from benchmarks.tables import load, schema_of, timed, title
from spark_dp.graphical.estimation import estimate
from spark_dp.graphical.sampling import SamplingPlan, sample
from spark_dp.privacy.measurement import Measurement
from spark_dp.spark.generate import CHUNK_ROWS, generate_chunk

CHUNKS = 16


def main() -> None:
    table, domain = load("adult")
    codes = {a: table[a].to_numpy().astype(np.int64) for a in domain}
    chain = [*((a,) for a in domain), *itertools.pairwise(domain.attributes)]
    measurements = []
    for clique in chain:
        flat = np.ravel_multi_index([codes[a] for a in clique], domain.shape(clique))
        counts = np.bincount(flat, minlength=domain.cells(clique)).reshape(domain.shape(clique))
        measurements.append(
            Measurement(clique=clique, noisy=counts, sigma_squared=Fraction(100), unit=1, query="exact")
        )
    plan = SamplingPlan.from_model(estimate(domain, measurements, max_cells=10**7).model)
    schema = schema_of(domain)
    title(f"generating {CHUNKS * CHUNK_ROWS:,} rows of {len(domain)} columns, one core")
    generate_chunk(plan, schema, 0, 0, CHUNK_ROWS)
    rows = CHUNKS * CHUNK_ROWS
    with timed() as sampling:
        for chunk in range(CHUNKS):
            sample(plan, CHUNK_ROWS, np.random.PCG64(np.random.SeedSequence(0, spawn_key=(chunk,))))
    with timed() as both:
        for chunk in range(CHUNKS):
            generate_chunk(plan, schema, 0, chunk, CHUNK_ROWS)
    print(f"sampling alone           {rows / sampling.cpu / 1e6:6.2f} million rows a CPU second")
    print(f"sampling and decoding    {rows / both.cpu / 1e6:6.2f} million rows a CPU second")
    peaks = []
    for chunks in (2, 32):
        tracemalloc.start()
        for chunk in range(chunks):
            generate_chunk(plan, schema, 0, chunk, CHUNK_ROWS)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    print(f"peak memory, 32 chunks against 2: {peaks[1] / peaks[0]:.2f}x ({peaks[0] / 1e6:.0f} MB)")


if __name__ == "__main__":
    main()
