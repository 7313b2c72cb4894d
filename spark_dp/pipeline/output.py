"""The output of a run: how many rows, from which model, and whose table is there already."""

from __future__ import annotations

import json
from typing import Any

from spark_dp.pipeline.artefacts import MEASUREMENTS, MODEL
from spark_dp.pipeline.run import Run
from spark_dp.pipeline.run_directory import Artefact
from spark_dp.spark.generate import CLOSURE_BYTES, ShippedPlan
from spark_dp.spark.write import OutputMode, require_writable

PUBLISHED = "manifest.json"
"""In the run's private state: the manifest as it was published."""


def require_output(run: Run) -> None:
    """Refuses, before anything is spent, an output that could not be written in the end.

    Raises:
        OutputExistsError, ConfigurationError: see `require_writable`.
    """
    if run.directory.find(MEASUREMENTS) is None and not is_ours(run):
        require_writable(run.output)


def rows_to_generate(run: Run, modelled: Artefact) -> int:
    """Returns how many rows are to be made: declared, or the noisy bounded total. Never an exact count."""
    declared = run.config.output.rows
    return declared if declared is not None else max(0, round(modelled.json("fit.json")["total"]))


def shipped(run: Run, modelled: Artefact) -> ShippedPlan:
    """Returns the model on its way to executors: in the task itself, or above 16 MiB as the file it is in."""
    content = modelled.files["sampling.npz"]
    if len(content) <= CLOSURE_BYTES:
        return ShippedPlan(content)
    return ShippedPlan(None, run.directory.folder.child(MODEL).uri_of("sampling.npz"))


def remember_manifest(run: Run, manifest: bytes) -> None:
    """Keeps what this run writes into its output, for what is there later may be another's."""
    run.directory.state.write(PUBLISHED, manifest)


def by_another_driver(run: Run, digest: str) -> dict[str, Any] | None:
    """Returns the manifest of what is there, where it is the table that this driver was about to publish.

    Two drivers of one run make the same rows of one model and seed: which of them published does not matter.
    """
    content = run.output.manifest()
    there = manifest_there(run)
    if content is None or there.get("generate_digest") != digest:
        return None
    remember_manifest(run, content)
    return there


def own_manifest(run: Run) -> dict[str, Any]:
    """The output's manifest where it is, byte for byte, what this run wrote; else nothing.

    What another wrote there, or changed there, is not ours to release.
    """
    written = run.directory.state.read(PUBLISHED)
    return dict(json.loads(written)) if written is not None and written == run.output.manifest() else {}


def earlier_runs(run: Run, statement: dict[str, Any]) -> list[dict[str, Any]]:
    """The statements of other runs whose partitions stay where only some are overwritten."""
    if run.config.output.mode is not OutputMode.OVERWRITE_PARTITIONS:
        return []
    found = manifest_there(run)
    stated = [*found.get("earlier_runs", []), *([found["privacy"]] if "privacy" in found else [])]
    return [other for other in stated if other["run_id"] != statement["run_id"]]


def manifest_there(run: Run) -> dict[str, Any]:
    """The manifest of whatever is at the output, empty where there is none that can be read."""
    try:
        return dict(json.loads(run.output.manifest() or b"{}"))
    except (ValueError, TypeError):
        return {}


def is_ours(run: Run) -> bool:
    """Whether an earlier attempt of this run began to write this output and did not finish."""
    began = run.directory.state.read("output")
    return (
        began is not None
        and began.decode() == run.config.output.path
        and run.output.is_object_store
        and run.output.manifest() is None
    )
