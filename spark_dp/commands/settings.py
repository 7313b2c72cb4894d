"""The names of all settings of a run, for completion: as the configuration's own table has them."""

from __future__ import annotations

from collections.abc import Iterator

from spark_dp.pipeline.config_fields import SECTIONS, Form, Setting

_FLAGS = ("true", "false")
_OWN = {"output.rows": ("auto",), "privacy.unit": ("row",)}
"""What is offered for settings that have readers of their own."""


def _known() -> Iterator[tuple[str, Setting]]:
    for section, settings in SECTIONS.items():
        for key, setting in settings.items():
            if section and (setting.form is not Form.SECTION or f"{section}.{key}" in _OWN):
                yield f"{section}.{key}", setting


SETTINGS = tuple(name for name, _ in _known())
"""What `--set` takes, but for the columns under `schema` and Spark's own names under `spark`."""

CHOICES = {
    name: choices
    for name, setting in _known()
    if (choices := setting.choices or (_FLAGS if setting.form is Form.FLAG else _OWN.get(name, ())))
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
