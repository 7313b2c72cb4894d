"""The whole audit: each mechanism of the catalog, under each way to bound."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from spark_dp.audit.choosing import audit_choosing
from spark_dp.audit.findings import Finding
from spark_dp.audit.fits import audit_fit
from spark_dp.audit.ground import ground
from spark_dp.audit.measuring import audit_measuring
from spark_dp.mechanisms.catalog import MECHANISMS
from spark_dp.pipeline.config_sections import Bounding
from spark_dp.pipeline.progress import Progress

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

CANARIES: Final = 40_000
DRAWS: Final = 400
CONFIDENCE: Final = 0.99


def audit_all(
    progress: Progress,
    *,
    mechanisms: Sequence[str] = (),
    canaries: int = CANARIES,
    draws: int = DRAWS,
    confidence: float = CONFIDENCE,
    session: SparkSession | None = None,
) -> list[Finding]:
    """Attacks measuring and choosing, on generated tables and throw-away ledgers alone.

    Args:
        progress: told what is done.
        mechanisms: names in the catalog; all where empty.
        canaries: units of each table that is measured; about half of them are in.
        draws: of each choice on each of its two tables.
        confidence: of each finding by itself.
        session: the caller's; started or found where None.
    """
    found = []
    with ground(session, progress) as place:
        for mechanism in mechanisms or MECHANISMS:
            for bounding in Bounding:
                with progress.stage(mechanism, f"measuring, {bounding.value}"):
                    found.append(
                        audit_measuring(
                            place,
                            mechanism=mechanism,
                            bounding=bounding.value,
                            canaries=canaries,
                            confidence=confidence,
                        )
                    )
                with progress.stage(mechanism, f"choosing, {bounding.value}"):
                    chosen = audit_choosing(
                        place,
                        mechanism=mechanism,
                        bounding=bounding.value,
                        draws=draws,
                        confidence=confidence,
                    )
                if chosen is not None:
                    found.append(chosen)
    return found


def audit_fits(
    progress: Progress, *, fits: int, confidence: float = CONFIDENCE, session: SparkSession | None = None
) -> list[Finding]:
    """Fits whole models of a small table and of the same table with a unit more, for each mechanism."""
    found = []
    with ground(session, progress) as place:
        for mechanism in MECHANISMS:
            with progress.stage(mechanism, f"{fits} fits"):
                found.append(
                    audit_fit(
                        place,
                        mechanism=mechanism,
                        bounding=Bounding.WEIGHT.value,
                        fits=fits,
                        confidence=confidence,
                    )
                )
    return found
