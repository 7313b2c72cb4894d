"""Runs of the benchmark kept as JSON lines, so that an interrupted one goes on and its table is made from the file."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One run of one mechanism.

    Attributes:
        who: the program, `ours` or a peer's name.
        mechanism: which of its mechanisms, and with what settings where they are not its own.
        seed: of the sampled rows; noise is fresh in each run.
        errors: mean total variation over all 1-, 2- and 3-way marginals; None where the run did not end.
        note: why a run did not end, and how far it came.
    """

    who: str
    mechanism: str
    table: str
    epsilon: float
    seed: int
    cpu: float
    wall: float
    errors: tuple[float, float, float] | None
    cells: int = 0
    measured: int = 0
    note: str = ""

    @property
    def setting(self) -> tuple[str, float]:
        return self.table, self.epsilon

    @property
    def key(self) -> tuple[str, str, str, float, int]:
        """What tells runs apart: two with the same key are the same run done twice."""
        return self.who, self.mechanism, self.table, self.epsilon, self.seed


class Records:
    """A file of runs, one a line; each is written as soon as it ended."""

    def __init__(self, file: Path | None) -> None:
        self._file = file
        self._found = {record.key: record for record in read([file] if file else [])}

    def get(self, key: tuple[str, str, str, float, int]) -> Record | None:
        return self._found.get(key)

    @property
    def all(self) -> tuple[Record, ...]:
        return tuple(self._found.values())

    def add(self, record: Record) -> Record:
        self._found[record.key] = record
        if self._file is not None:
            with self._file.open("a") as lines:
                lines.write(json.dumps(asdict(record)) + "\n")
        return record


def read(files: Iterable[Path]) -> list[Record]:
    """Returns the runs of all files that exist; of a run done twice the last."""
    found = {}
    for file in files:
        for line in file.read_text().splitlines() if file.exists() else ():
            fields = json.loads(line)
            errors = fields.pop("errors")
            record = Record(**fields, errors=None if errors is None else tuple(errors))
            found[record.key] = record
    return list(found.values())
