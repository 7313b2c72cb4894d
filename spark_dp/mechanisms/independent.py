"""Every column by itself: the right choice for few rows, and the baseline for everything else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from spark_dp.graphical.zeros import StructuralZeros
from spark_dp.mechanisms.protocol import MechanismPlan, Progress, ask, one_way_cliques, planned_measurements
from spark_dp.mechanisms.workload import Workload
from spark_dp.privacy.curator import Curator
from spark_dp.privacy.measurement import Measurement
from spark_dp.privacy.sensitivity import Contribution
from spark_dp.schema.domain import Domain


@dataclass(frozen=True, slots=True)
class Independent:
    """Measures all one-way marginals with the whole budget; the model has independent columns."""

    name: str = "independent"

    def plan(
        self,
        domain: Domain,
        *,
        rho: Fraction,
        contribution: Contribution,
        workload: Workload,
        max_cells: int,
        zeros: Sequence[StructuralZeros] = (),
    ) -> MechanismPlan:
        """Plans one measurement for each group of columns of similar size."""
        columns = one_way_cliques(domain, rho=rho, max_cells=max_cells, zeros=zeros)
        return MechanismPlan(
            domain=domain,
            contribution=contribution,
            workload=workload,
            queries=planned_measurements(f"{self.name}/one-way", domain, columns, rho, contribution),
            countable=columns,
            max_cells=max_cells,
            rho=rho,
            zeros=tuple(zeros),
        )

    def measure(self, curator: Curator, plan: MechanismPlan, progress: Progress) -> tuple[Measurement, ...]:
        """Asks what was planned."""
        return ask(curator, plan.queries, progress)
