"""What the pages are made of: small and wide tables, with names and values that try to break them."""

from __future__ import annotations

import itertools
import json
from fractions import Fraction
from typing import Any

import numpy as np

from spark_dp.evaluation.results import (
    CellComparison,
    CliqueComparison,
    ColumnComparison,
    Coverage,
    Distances,
    Evaluation,
    OfTables,
    Shares,
    Statistic,
)
from spark_dp.graphical.estimation import estimate
from spark_dp.pages.released import released_page
from spark_dp.pipeline.artefacts import model_files
from spark_dp.privacy.measurement import Measurement
from spark_dp.schema.table import TableSchema

HOSTILE = (
    "<script>document.documentElement.dataset.ran = 1</script>",
    '"><img src=x onerror="document.documentElement.dataset.ran = 2">',
    "' onmouseover='document.documentElement.dataset.ran = 3",
    "</style></title></svg><script>alert(1)</script>",
    "<!-- javascript:alert(1) ]]> &lt;b&gt; &amp;",
    "{{ 7 * 7 }} {% raise %} {# gone #}",
    r"$\frac{1}{0}$ \u0041 %s {0}",
    "right to left \u202eexe.gnp \u2066isolated",
    "שלום עולם 123",
    "👩\u200d👩\u200d👧 family 🇩🇪 日本語",
    "two\nlines\tand a tab\r",
    "nul \x00 bell \x07 escape \x1b[31m delete \x7f",
    "very long " + "Donaudampfschifffahrtsgesellschaft" * 9,
    "W" * 300,
    " spaces at the ends  ",
    "\u2028 \ufeff \ufffe \ue000 \u00ad",
)
"""Names that a configuration may hold, and values that a table may."""

MILD = ("ward", "age", "cost", "when")


def release(
    names: tuple[str, ...] = MILD, labels: tuple[str, ...] = ("A", "B", "C"), *, pairs: int = 20
) -> dict[str, Any]:
    """Makes what a report is made of: columns of several kinds in turn, all measured, and some with the next."""
    kinds: list[dict[str, object]] = [
        {"type": "string", "values": list(labels), "other": "elsewhere"},
        {"type": "integer", "min": -60, "max": 600, "bins": 24, "nullable": True},
        {"type": "double", "min": 0, "max": 1, "bins": 7, "nan": "cell"},
        {
            "type": "timestamp",
            "timezone": "Europe/Berlin",
            "min": "2024-01-01",
            "max": "2025-01-01",
            "bins": 24,
        },
        {"type": "integer", "min": 0, "max": 104},
        {"type": "boolean"},
    ]
    schema = TableSchema.from_settings(dict(zip(names, itertools.cycle(kinds), strict=False)))
    domain, rng = schema.domain, np.random.default_rng(3)
    cliques = [(name,) for name in names] + list(itertools.pairwise(names))[:pairs]
    measurements = []
    for clique in cliques:
        shape = domain.shape(clique)
        exact = rng.multinomial(100_000, rng.dirichlet(np.ones(domain.cells(clique))))
        noisy = (exact + np.rint(rng.normal(0, 90, exact.shape))).astype(np.int64).reshape(shape)
        query = "mst/one-way" if len(clique) == 1 else "mst/pairs"
        measurements.append(
            Measurement(clique=clique, noisy=noisy, sigma_squared=Fraction(90**2), unit=1, query=query)
        )
    found = estimate(domain, measurements, max_cells=10**7)
    return {
        "statement": {
            "run_id": "5eed",
            "epsilon": 4.0,
            "delta": 1e-6,
            "unit": "person",
            "max_rows_per_unit": 10,
            "neighbours": "add_remove",
            "mechanism": "mst",
            "promise": "(4.0, 1e-06)-differential privacy for tables that differ in all rows of one person.",
        },
        "measurements": tuple(measurements),
        "schema": schema,
        "fitted": json.loads(model_files(found.model, found.convergence, "m")["fit.json"]),
        "model": found.model,
        "manifest": {"rows": 100_000, "seed": 7, "earlier_runs": []},
    }


def hostile_release() -> str:
    """The page of a release in which every name and label is hostile."""
    made = release(HOSTILE, HOSTILE)
    earlier = {**made["statement"], "run_id": HOSTILE[1], "promise": HOSTILE[0]}
    made["statement"] |= {
        "unit": HOSTILE[0],
        "promise": HOSTILE[1],
        "run_id": HOSTILE[3],
        "mechanism": HOSTILE[7],
    }
    made["manifest"] |= {"earlier_runs": [earlier]}
    return released_page(**made)


def evaluation(
    names: tuple[str, ...] = MILD, labels: tuple[str, ...] = ("A", "B", "C"), unit: str = "person"
) -> Evaluation:
    """Makes an evaluation: columns of text and of bins in turn, all pairs, some triples."""
    rng = np.random.default_rng(5)

    def distances() -> Distances:
        a, b = rng.random(2) / 5
        return Distances(raw_to_bounded=a, bounded_to_synthetic=b, raw_to_synthetic=(a + b) / 2)

    def of_tables() -> OfTables:
        a, b, c = rng.random(3)
        return OfTables(raw=a, bounded=b, synthetic=c)

    bins = tuple(f"[{a}, {a + 25})" for a in range(-60, 540, 25))
    degrees = {
        degree: list(itertools.islice(itertools.combinations(names, degree), 5000)) for degree in (1, 2, 3)
    }
    listed = [*degrees[1], *degrees[2], *degrees[3][:50]]
    cliques = [CliqueComparison(columns=clique, distances=distances()) for clique in listed]
    cliques.sort(key=lambda c: (len(c.columns), -c.distances.bounded_to_synthetic))
    columns = []
    for i, name in enumerate(names):
        cells = (*labels, "elsewhere") if i % 2 == 0 else (*bins, "null")
        shares = (tuple(rng.dirichlet(np.ones(len(cells))).tolist()) for _ in range(3))
        columns.append(
            ColumnComparison(
                name=name,
                type="string" if i % 2 == 0 else "integer",
                labels=cells,
                shares=Shares(**dict(zip(("raw", "bounded", "synthetic"), shares, strict=True))),
                rates={"other" if i % 2 == 0 else "null": of_tables()},
                numbers=None if i % 2 == 0 else {"mean": Statistic(raw=12.6, synthetic=None)},
            )
        )
    return Evaluation(
        compared="d1gest",
        unit=unit,
        max_rows=50,
        rows=OfTables(raw=336_776, bounded=146_380.25, synthetic=146_190),
        marginals={degree: Coverage(compared=len(found), of=len(found)) for degree, found in degrees.items()},
        mean={degree: distances() for degree, found in degrees.items() if found},
        cliques=tuple(cliques),
        columns=tuple(columns),
        worst_cells=tuple(
            CellComparison(
                columns=clique, cell=tuple(labels[i % len(labels)] for _ in clique), shares=of_tables()
            )
            for i, clique in enumerate(listed[-20:])
        ),
    )


def hostile_evaluation() -> Evaluation:
    return evaluation(HOSTILE, HOSTILE, unit=HOSTILE[0])
