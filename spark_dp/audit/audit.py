"""The whole audit: each mechanism of the catalog, in each accounting, under each way to bound."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from spark_dp.audit.choosing import audit_choosing
from spark_dp.audit.findings import Finding
from spark_dp.audit.fits import audit_fit
from spark_dp.audit.ground import ground
from spark_dp.audit.measuring import audit_measuring
from spark_dp.audit.rehearsal import rehearse
from spark_dp.audit.scoring import audit_scoring
from spark_dp.mechanisms.catalog import MECHANISMS
from spark_dp.pipeline.config_sections import Bounding
from spark_dp.pipeline.progress import Progress
from spark_dp.privacy.composition import Accounting

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

CANARIES: Final = 40_000
DRAWS: Final = 400
CONFIDENCE: Final = 0.99
ACCOUNTINGS: Final = (Accounting.GAUSSIAN, Accounting.ZCDP)
"""That of new accounts first."""


def audit_all(
    progress: Progress,
    *,
    mechanisms: Sequence[str] = (),
    canaries: int = CANARIES,
    draws: int = DRAWS,
    scorings: int = DRAWS,
    confidence: float = CONFIDENCE,
    session: SparkSession | None = None,
) -> list[Finding]:
    """Attacks measuring, choosing and scoring, on generated tables and throw-away ledgers alone.

    Args:
        progress: told what is done.
        mechanisms: names in the catalog; all where empty.
        canaries: units of each table that is measured; about half of them are in.
        draws: of each choice, on each of its two tables.
        scorings: draws of each scoring, on each of its two tables.
        confidence: of each finding by itself.
        session: the caller's; started or found where None.
    """
    found: list[Finding] = []
    with ground(session, progress) as place:
        for accounting, mechanism, bounding in itertools.product(
            ACCOUNTINGS, mechanisms or MECHANISMS, Bounding
        ):
            how = f"{accounting.value}, {bounding.value}"
            with progress.stage(mechanism, f"measuring, {how}"):
                found.append(
                    audit_measuring(
                        place,
                        mechanism=mechanism,
                        bounding=bounding.value,
                        accounting=accounting,
                        canaries=canaries,
                        confidence=confidence,
                    )
                )
            with progress.stage(mechanism, f"rehearsing, {how}"):
                rehearsal = rehearse(
                    place, mechanism=mechanism, bounding=bounding.value, accounting=accounting
                )
            if rehearsal is None:
                continue
            for what, attack, times in (
                ("choosing", audit_choosing, draws),
                ("scoring", audit_scoring, scorings),
            ):
                with progress.stage(mechanism, f"{what}, {how}"):
                    finding = attack(place, rehearsal, draws=times, confidence=confidence)
                if finding is not None:
                    found.append(finding)
    return found


def audit_fits(
    progress: Progress, *, fits: int, confidence: float = CONFIDENCE, session: SparkSession | None = None
) -> list[Finding]:
    """Fits whole models of a small table and of the same table with a unit more, for each mechanism."""
    found = []
    with ground(session, progress) as place:
        for accounting, mechanism in itertools.product(ACCOUNTINGS, MECHANISMS):
            with progress.stage(mechanism, f"{fits} fits, {accounting.value}"):
                found.append(
                    audit_fit(
                        place,
                        mechanism=mechanism,
                        bounding=Bounding.WEIGHT.value,
                        accounting=accounting,
                        fits=fits,
                        confidence=confidence,
                    )
                )
    return found
