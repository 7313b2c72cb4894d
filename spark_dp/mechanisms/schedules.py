"""How each mechanism decides what to measure, which its error bars have to allow for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from spark_dp.graphical.pooling import Schedule
from spark_dp.privacy.measurement import Measurement

_SCHEDULES: Final = {
    "independent": Schedule.FIXED,
    "mst": Schedule.TWO_STAGES,
    "oneshot": Schedule.TWO_STAGES,
    "aim": Schedule.SEQUENTIAL,
}


def schedule_of(measurements: Sequence[Measurement]) -> Schedule:
    """Returns the schedule of the mechanism that asked, whose name its queries begin with; else the most careful one."""
    names = {m.query.partition("/")[0] for m in measurements}
    found = {_SCHEDULES.get(name, Schedule.SEQUENTIAL) for name in names}
    return found.pop() if len(found) == 1 else Schedule.SEQUENTIAL
