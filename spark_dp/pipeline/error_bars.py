"""What error bars need beside the measurements, as files: what choosing revealed, and how far the model has moved since."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

from spark_dp.files import Folder
from spark_dp.graphical.model import GraphicalModel
from spark_dp.graphical.references import unmeasured_errors
from spark_dp.graphical.unmeasured import PassedOverError, ScoredError, Unmeasured
from spark_dp.pipeline.run_directory import Artefact
from spark_dp.privacy.choices import Choices, choices_of
from spark_dp.privacy.measurement import Measurement
from spark_dp.privacy.noise_law import NoiseLaw

if TYPE_CHECKING:
    from spark_dp.privacy.transcript import Transcript  # it knows the ledger, which a query does without

CHOICES: Final = "choices.json"
UNMEASURED: Final = "unmeasured.json"
_FORMAT: Final = 1
_CHOOSING: Final = frozenset({"measure", "select", "score"})


def choice_files(transcript: Transcript, mechanism: str, *, unit: int, law: NoiseLaw) -> dict[str, bytes]:
    """Returns what a mechanism's choices revealed, beside its measurements.

    Guarantees: post-processing of answered queries; it may be published with them.

    Args:
        transcript: of the run; what was asked under other names (private values, bins) is left out.
        mechanism: the name with which its queries begin.
        unit: fixed-point units that make one row.
        law: of the noise.
    """
    own = (query for query in transcript.answered(_CHOOSING) if query.name.startswith(f"{mechanism}/"))
    found = choices_of(own, unit=unit, law=law)
    document = {"format": _FORMAT, "unit": unit, **found.to_json()}
    return {CHOICES: json.dumps(document, indent=1, allow_nan=False).encode()}


def unmeasured_files(
    model: GraphicalModel, measurements: Sequence[Measurement], measured: Artefact, records: Folder
) -> dict[str, bytes]:
    """Returns how far a model is from what its candidates were compared with, beside the model.

    Nothing where the measurements were released without their choices. A marginal whose reference is no longer there
    is left out.

    Args:
        model: fitted.
        measurements: that it was fitted to.
        measured: their artefact.
        records: the run's specifications.
    """
    if CHOICES not in measured.files:
        return {}
    document = measured.json(CHOICES)
    found = unmeasured_errors(
        model,
        [m.clique for m in measurements],
        Choices.from_json(document),
        records.read,
        unit=int(document["unit"]),
    )
    return {
        UNMEASURED: json.dumps(
            {
                "format": _FORMAT,
                "scored": [_document(e) for e in found if isinstance(e, ScoredError)],
                "passed_over": [_document(e) for e in found if isinstance(e, PassedOverError)],
            },
            indent=1,
            allow_nan=False,
        ).encode()
    }


def read_unmeasured(modelled: Artefact) -> tuple[Unmeasured, ...] | None:
    """Reads what `unmeasured_files` wrote; None where the model was released without it."""
    if UNMEASURED not in modelled.files:
        return None
    document = modelled.json(UNMEASURED)
    moved = {
        kind: [d.pop("moved") for d in document[kind]] for kind in ("scored", "passed_over")
    }  # what is left is a record of the choice
    choices = Choices.from_json(document)
    return (
        *(ScoredError(record=r, moved=m) for r, m in zip(choices.scored, moved["scored"], strict=True)),
        *(
            PassedOverError(record=r, moved=m)
            for r, m in zip(choices.passed_over, moved["passed_over"], strict=True)
        ),
    )


def _document(error: ScoredError | PassedOverError) -> dict[str, Any]:
    return {**asdict(error.record), "moved": error.moved}
