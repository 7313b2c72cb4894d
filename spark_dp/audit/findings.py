"""What an audit found, as a table and as facts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import ceil, floor
from typing import Any

from spark_dp.privacy.stated import percent


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One claim of the product, and the most that attacks on it could prove.

    Attributes:
        what: was attacked: 'measuring', 'choosing', 'scoring' or 'fitting'.
        mechanism: by its name in the catalog.
        accounting: of the account: 'gaussian' or 'zcdp'.
        bounding: of units: 'weight' or 'sample'.
        max_rows: k.
        claimed_mu: the promise as Gaussian-DP; None for a choice in zCDP, of which none is made.
        proved_mu: no mu below it is true, with the stated confidence.
        claimed_epsilon: the promise, at `delta`.
        proved_epsilon: no epsilon below it is true.
        delta: of the promise; 0 for a choice.
        trials: canaries, or draws, of both cases together.
        heaviest: the most that one unit weighed after bounding, in rows; exact.
    """

    what: str
    mechanism: str
    accounting: str
    bounding: str
    max_rows: int
    claimed_mu: float | None
    proved_mu: float | None
    claimed_epsilon: float
    proved_epsilon: float
    delta: float
    trials: int
    heaviest: float

    @property
    def holds(self) -> bool:
        """Whether nothing was proved that contradicts the claim."""
        within = self.proved_epsilon <= self.claimed_epsilon and self.heaviest <= self.max_rows
        if self.claimed_mu is None or self.proved_mu is None:
            return within
        return within and self.proved_mu <= self.claimed_mu

    def facts(self) -> dict[str, Any]:
        """Returns the finding, JSON-able."""
        named = {name: getattr(self, name) for name in self.__slots__}
        return {**named, "holds": self.holds}


_COLUMNS = (
    "attacked",
    "mechanism",
    "accounting",
    "bounding",
    "k",
    "heaviest unit",
    "claimed μ",
    "proved μ ≥",
    "claimed ε",
    "proved ε ≥",
    "δ",
    "trials",
    "",
)


def cells(finding: Finding) -> tuple[str, ...]:
    """Returns one line of the table."""
    mu = "–" if finding.claimed_mu is None else _claimed(finding.claimed_mu)
    proved = "–" if finding.proved_mu is None else _below(finding.proved_mu)
    return (
        finding.what,
        finding.mechanism,
        finding.accounting,
        finding.bounding,
        str(finding.max_rows),
        f"{finding.heaviest:.6g} rows",
        mu,
        proved,
        _claimed(finding.claimed_epsilon),
        _below(finding.proved_epsilon),
        f"{finding.delta:g}",
        f"{finding.trials:,}",
        "holds" if finding.holds else "BROKEN",
    )


def _claimed(value: float) -> str:
    """Writes a claim, rounded up: less is not claimed. What floats add to a round number is not shown."""
    return f"{ceil(round(1000 * value, 6)) / 1000:.3f}"


def _below(proved: float) -> str:
    """Writes a lower limit, rounded down: a larger one is not proved."""
    return f"{floor(proved * 1000) / 1000:.3f}"


def lines(findings: Sequence[Finding], *, confidence: float) -> Iterator[str]:
    """Shows findings as a table to read."""
    table = [_COLUMNS, *map(cells, findings)]
    widths = [max(len(row[i]) for row in table) for i in range(len(_COLUMNS))]
    for row in table:
        yield "  ".join(f"{cell:{width}}" for cell, width in zip(row, widths, strict=True)).rstrip()
    yield ""
    yield f"Each line's limits hold with a confidence of {percent(confidence, 6)}. Only generated tables were read."


def markdown(findings: Sequence[Finding]) -> str:
    """Returns findings as a table of the documentation."""
    rows = [_COLUMNS, ("---",) * len(_COLUMNS), *map(cells, findings)]
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)
