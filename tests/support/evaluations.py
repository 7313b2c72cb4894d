"""A small schema, three tables of codes counted by brute force, and an evaluation of them."""

from __future__ import annotations

import itertools

import numpy as np

from spark_dp.evaluation.evaluate import compare_marginals
from spark_dp.evaluation.marginals import Marginal
from spark_dp.evaluation.results import STATISTICS, Coverage, Evaluation, OfTables, Statistic
from spark_dp.schema.table import TableSchema

SCHEMA = TableSchema.from_settings(
    {
        "ward": {"type": "string", "values": ["A", "B"], "other": "elsewhere", "nullable": True},
        "age": {"type": "integer", "min": 0, "max": 100, "bins": 4, "nullable": True},
        "score": {"type": "double", "min": 0, "max": 1, "bins": 2, "nan": "cell"},
        "urgent": {"type": "boolean", "nullable": True},
    }
)
CLIQUES = [clique for n in (1, 2, 3) for clique in itertools.combinations(SCHEMA.domain.attributes, n)]


def codes(seed, rows=200):
    rng = np.random.default_rng(seed)
    domain = SCHEMA.domain
    return {
        a: rng.binomial(n - 1, rng.uniform(0.2, 0.8), rows) for a, n in zip(domain, domain.sizes, strict=True)
    }


def count(table, clique, weights=None):
    counts = np.zeros(SCHEMA.domain.shape(clique), np.int64)
    for row in range(len(table[clique[0]])):
        counts[tuple(table[a][row] for a in clique)] += 1 if weights is None else weights[row]
    return counts


def marginals(raw, weights, synthetic):
    return [
        Marginal.of_counts(c, count(raw, c), count(raw, c, weights), count(synthetic, c)) for c in CLIQUES
    ]


def example() -> Evaluation:
    numbers = {"age": {name: Statistic(raw=1.5, synthetic=None) for name in STATISTICS}}
    weights = np.random.default_rng(3).integers(1, 1 << 20, 200)
    found = compare_marginals(SCHEMA, marginals(codes(1), weights, codes(2)), numbers)
    return Evaluation(
        compared="0123",
        unit="person",
        max_rows=10,
        rows=OfTables(raw=200, bounded=99.5, synthetic=200),
        marginals={n: Coverage(compared=of, of=of) for n, of in ((1, 4), (2, 6), (3, 4))},
        mean=found.mean,
        cliques=found.cliques,
        columns=found.columns,
        worst_cells=found.worst_cells,
    )
