"""The names of all settings of a run, for completion."""

from __future__ import annotations

from collections.abc import Iterator

SETTINGS = (
    *(f"input.{key}" for key in ("path", "table", "format", "options", "filter", "expected_rows")),
    *(f"output.{key}" for key in ("path", "rows", "partition_by", "mode")),
    *(f"privacy.{key}" for key in ("epsilon", "delta", "unit", "neighbours", "ledger", "dataset")),
    "privacy.confirm_large_delta",
    *(f"privacy.unit.{key}" for key in ("column", "columns", "max_rows", "nulls", "bounding")),
    *(f"mechanism.{key}" for key in ("name", "workload", "targets", "max_model_mb")),
    *(f"mechanism.workload.{key}" for key in ("degree", "cliques")),
    *(f"run.{key}" for key in ("directory", "key", "seed")),
    "evaluate.against_input",
)
"""What `--set` takes, but for the columns under `schema` and Spark's own names under `spark`."""

CHOICES = {
    "output.mode": ("error", "overwrite", "overwrite_partitions"),
    "output.rows": ("auto",),
    "privacy.unit": ("row",),
    "privacy.neighbours": ("add_remove", "replace"),
    "privacy.unit.nulls": ("drop", "error", "one_unit"),
    "privacy.unit.bounding": ("weight", "sample"),
    "privacy.confirm_large_delta": ("true", "false"),
    "mechanism.name": ("independent", "mst"),
    "evaluate.against_input": ("true", "false"),
}


def complete_setting(incomplete: str) -> Iterator[str]:
    """Yields the settings that begin so, or after FIELD= the field's choices."""
    field, equals, value = incomplete.partition("=")
    if equals:
        yield from (f"{field}={choice}" for choice in CHOICES.get(field, ()) if choice.startswith(value))
        return
    for setting in SETTINGS:
        if setting.startswith(field):
            yield from (f"{setting}={choice}" for choice in CHOICES.get(setting, ("",)))
