"""How many passes over the table counting takes: as few as the declared memory of driver and executors allows.

A pass holds one vector of all its cells in each task, and a few of them on the driver. Where the marginals of a wide table
(4,950 pairs of 100 columns have up to 400 MB of counts) do not fit, they are counted in groups, one pass a group.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from spark_dp.schema.domain import Clique, Domain
from spark_dp.spark.counting import sums_of
from spark_dp.spark.histograms import CountingLayout, counting_layout, maximal

COUNT_BYTES = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class CountingRoom:
    """The memory that counts may take, in bytes.

    Attributes:
        driver: on the driver.
        executor: on one executor.
        tasks: that an executor runs at once.
    """

    driver: int
    executor: int
    tasks: int

    def driver_bytes(self, layout: CountingLayout) -> int:
        """Returns what a pass takes on the driver: the sums that arrive, and their sum."""
        return COUNT_BYTES * layout.vector_cells * (sums_of(layout) + 1)

    def executor_bytes(self, layout: CountingLayout) -> int:
        """Returns what a pass takes on an executor with all its tasks at work."""
        return COUNT_BYTES * layout.task_cells * self.tasks

    def holds(self, layout: CountingLayout) -> bool:
        """Whether a pass fits."""
        return self.driver_bytes(layout) <= self.driver and self.executor_bytes(layout) <= self.executor


def planned_passes(
    cliques: Sequence[Clique], whole: CountingLayout, room: CountingRoom
) -> tuple[CountingLayout, ...]:
    """Splits what may be asked into passes that fit, in the order in which it is given.

    Args:
        cliques: what may be asked.
        whole: the layout of all of it.
        room: what a pass may take.

    Returns:
        One layout a pass; `whole` alone where it fits. A marginal that does not fit by itself has a pass of its own,
        which `room` does not hold.
    """
    if not whole.kept or room.holds(whole):
        return (whole,)
    kept = set(maximal(cliques, whole.domain))
    ordered = [c for c in dict.fromkeys(map(whole.domain.canonical, cliques)) if c in kept]
    most = max(1, min(room.driver // (2 * COUNT_BYTES), room.executor // (2 * COUNT_BYTES * room.tasks)))
    while True:
        layouts = tuple(
            counting_layout(group, whole.domain) for group in _groups(ordered, whole.domain, most)
        )
        if all(room.holds(layout) or len(layout.kept) == 1 for layout in layouts):
            return layouts
        most //= 2


def _groups(cliques: Sequence[Clique], domain: Domain, most: int) -> Iterator[list[Clique]]:
    """Cuts cliques into groups of at most `most` cells, or of one clique, of about the same size."""
    total = sum(map(domain.cells, cliques))
    share = total / max(1, -(-total // most))
    group: list[Clique] = []
    held = 0
    for clique in cliques:
        cells = domain.cells(clique)
        if group and (held + cells > most or held >= share):
            yield group
            group, held = [], 0
        group.append(clique)
        held += cells
    yield group
