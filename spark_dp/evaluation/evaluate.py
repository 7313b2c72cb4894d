"""How close the synthetic table came: what bounding changed, and what noise and model changed, apart."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spark_dp.evaluation.marginals import Closeness, compare
from spark_dp.schema.domain import Clique

WARNING = "NOT PRIVATE: computed from the real rows, for their owner alone."
Counts = Mapping[Clique, NDArray[np.int64]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """Total variation between three tables. NOT PRIVATE.

    Attributes:
        raw_to_bounded: what bounding each unit's rows changed: the price of protecting persons with many rows.
        bounded_to_synthetic: what noise and model changed.
        raw_to_synthetic: both together: what a reader of the output sees.
    """

    raw_to_bounded: Closeness
    bounded_to_synthetic: Closeness
    raw_to_synthetic: Closeness

    def facts(self) -> dict[str, Any]:
        """Returns the evaluation, JSON-able."""
        return {"warning": WARNING, **{name: _facts(found) for name, found in self._parts()}}

    @classmethod
    def from_facts(cls, facts: Mapping[str, Any]) -> Evaluation:
        """Reads what `facts` returned."""
        parts = ("raw_to_bounded", "bounded_to_synthetic", "raw_to_synthetic")
        return cls(**{name: _closeness(facts[name]) for name in parts})

    def text(self) -> str:
        """Returns the evaluation as a table to read."""
        lines = [
            WARNING,
            "",
            f"{'mean total variation (0 best, 1 worst)':42} {'1-way':>8} {'2-way':>8}   worst pair",
        ]
        titles = (
            "raw → bounded (bounding)",
            "bounded → synthetic (noise and model)",
            "raw → synthetic (both)",
        )
        for title, (_, found) in zip(titles, self._parts(), strict=True):
            worst = found.worst(2)
            named = f"{' × '.join(worst[0])} {worst[1]:.4f}" if worst else "–"
            lines.append(f"{title:42} {found.mean(1):8.4f} {found.mean(2):8.4f}   {named}")
        lines += ["", f"{'by column':42} {'bounding':>8} {'model':>8} {'both':>8}"]
        for clique in (c for c in self.raw_to_bounded.by_clique if len(c) == 1):
            values = [found.by_clique[clique] for _, found in self._parts()]
            lines.append(f"{clique[0]:42} " + " ".join(f"{value:8.4f}" for value in values))
        return "\n".join(lines)

    def _parts(self) -> list[tuple[str, Closeness]]:
        return [
            ("raw_to_bounded", self.raw_to_bounded),
            ("bounded_to_synthetic", self.bounded_to_synthetic),
            ("raw_to_synthetic", self.raw_to_synthetic),
        ]


def evaluate_counts(raw: Counts, bounded: Counts, synthetic: Counts) -> Evaluation:
    """Compares the exact marginals of the three tables, the same cliques of each."""
    return Evaluation(
        raw_to_bounded=compare(raw, bounded),
        bounded_to_synthetic=compare(bounded, synthetic),
        raw_to_synthetic=compare(raw, synthetic),
    )


def _closeness(facts: Mapping[str, Any]) -> Closeness:
    return Closeness(by_clique={tuple(f["clique"]): f["total_variation"] for f in facts["by_clique"]})


def _facts(found: Closeness) -> dict[str, Any]:
    return {
        "mean_by_degree": {str(n): found.mean(n) for n in sorted({len(c) for c in found.by_clique})},
        "by_clique": [{"clique": list(c), "total_variation": v} for c, v in found.by_clique.items()],
    }
