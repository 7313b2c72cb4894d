"""The private steps of a run as its plan shows them: what each learns, costs and how noisy it is."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from spark_dp.pipeline.config import RunConfig
from spark_dp.pipeline.config_sections import ColumnUnit
from spark_dp.pipeline.config_shares import learned_share
from spark_dp.pipeline.inputs import contribution_of
from spark_dp.privacy.noise_law import NoiseLaw
from spark_dp.privacy.sensitivity import Contribution
from spark_dp.privacy.stated import at_least
from spark_dp.privacy.value_selection import specify
from spark_dp.schema.grid import Grid, fine_column, grid_of

if TYPE_CHECKING:
    from spark_dp.pipeline.planning import RunPlan

_WIDTH = 110


@dataclass(frozen=True, slots=True, kw_only=True)
class PrivateStep:
    """One step, from the configuration alone.

    Attributes:
        name: of its query.
        learns: what, in words.
        share: of the run's rho.
        stddev: of the noise of a count; for bins and nulls at the largest bound that k may come to.
        of: what is counted: rows, or units.
        delta: that a threshold costs; 0 without one.
        threshold: what a noisy count of units has to reach; None without one.
    """

    name: str
    learns: str
    share: Fraction
    stddev: float
    of: str
    delta: Fraction = Fraction(0)
    threshold: int | None = None

    def facts(self, rho: Fraction) -> dict[str, Any]:
        """Returns it JSON-able.

        Args:
            rho: of the run.
        """
        return {
            "name": self.name,
            "learns": self.learns,
            "share": float(self.share),
            "rho": float(self.share * rho),
            "stddev": self.stddev,
            "of": self.of,
            "delta": float(self.delta),
            "threshold": self.threshold,
        }


def private_steps(config: RunConfig, rho: Fraction) -> tuple[PrivateStep, ...]:
    """Returns the steps in the order in which they are asked."""
    return tuple(_steps(config, rho))


def private_facts(config: RunConfig) -> list[dict[str, Any]]:
    """Returns what a statement says of the steps: exact fractions as texts, nothing that was learned."""
    return [
        {"query": step.name, "share": str(step.share), **({"delta": str(step.delta)} if step.delta else {})}
        for step in _steps(config, config.privacy.budget.rho)
    ]


def private_notes(config: RunConfig) -> list[str]:
    """Says in plain sentences what is not known yet of what becomes of values."""
    bounds = [private.name for private in config.private if private.bins is not None]
    nulls = [private.name for private in config.private if private.nulls is not None]
    values = [private.name for private in config.private if private.values is not None]
    said = {
        "Bounds are learned, and what lies beyond them counts in the first or the last bin": bounds,
        "Whether null has a cell is learned; where not, it is as without nullable": nulls,
        "A value that is not learned counts as one that is not declared": values,
    }
    return [f"{sentence}: {', '.join(names)}." for sentence, names in said.items() if names]


def _steps(config: RunConfig, rho: Fraction) -> Iterator[PrivateStep]:
    unit, neighbours = config.privacy.unit, config.privacy.neighbours
    label = unit.label if isinstance(unit, ColumnUnit) else "row"
    for private in config.private:
        if (values := private.values) is not None:
            asked = specify(
                f"preprocess/values/{private.name}",
                per_unit=values.per_unit,
                neighbours=neighbours,
                rho=rho * values.share,
                delta=values.delta,
                most=values.most,
                noise=NoiseLaw.ROUNDED,  # the threshold keeps to delta under either law
            )
            yield PrivateStep(
                name=asked.name,
                learns=f"at most {values.most:,} values, each of about {asked.threshold:,} {label} or more",
                share=values.share,
                stddev=math.sqrt(asked.sigma_squared),
                of="units",
                delta=values.delta,
                threshold=asked.threshold,
            )
    if isinstance(unit, ColumnUnit) and (learned := unit.learned) is not None:
        one = Contribution(max_rows=1, unit=1, neighbours=neighbours)
        levels = len(Grid(name="rows", cells=unit.max_rows).levels)
        yield PrivateStep(
            name="preprocess/rows per unit",
            learns=f"k: {float(learned.quantile):.0%} of all {label} with at most k rows, from 1 to {unit.max_rows:,}",
            share=learned.share,
            stddev=_stddev(one, levels, rho * learned.share),
            of="units",
        )
    rows = contribution_of(config)
    for private in config.private:
        if (bins := private.bins) is not None:
            grid = grid_of(fine_column(config.schema.column(private.name)))
            share = bins.share + (private.nulls or 0)
            nulls = ", and whether there are nulls" if private.nulls is not None else ""
            yield PrivateStep(
                name=f"preprocess/bins/{private.name}",
                learns=f"bounds and at most {bins.most} bins of equal {bins.cut} on {grid.cells:,} cells{nulls}",
                share=share,
                stddev=_stddev(rows, len(grid.levels), rho * share),
                of="rows",
            )
    for private in config.private:
        if private.bins is None and private.nulls is not None:
            yield PrivateStep(
                name=f"preprocess/nulls/{private.name}",
                learns="whether there are nulls",
                share=private.nulls,
                stddev=_stddev(rows, 1, rho * private.nulls),
                of="rows",
            )


def _stddev(contribution: Contribution, marginals: int, rho: Fraction) -> float:
    return math.sqrt(contribution.marginals_l2_squared(marginals) / (2 * rho)) / contribution.unit


def private_lines(plan: RunPlan) -> Iterator[str]:
    """Shows the steps as a table, and what they leave."""
    yield f"  {'query':34} {'share of ρ':>11} {'noise σ':>16} {'δ':>9}"
    for step in plan.steps:
        noise, delta = f"{step.stddev:,.4g} {step.of}", at_least(float(step.delta), 2) if step.delta else ""
        yield f"  {step.name[:34]:34} {float(step.share):11.1%} {noise:>16} {delta:>9}".rstrip()
        yield from textwrap.wrap(f"      {step.learns}", _WIDTH, subsequent_indent="      ")
    yield ""
    rest = 1 - learned_share(plan.config.privacy, plan.config.private)
    text = (
        f"  {float(rest):.1%} of ρ is left for the marginals below. k, edges, values and nulls are not known before the "
        "run: what follows is of the largest domain and the largest k that may come of them, and noise is mostly less."
    )
    yield from textwrap.wrap(text, _WIDTH, subsequent_indent="  ")
