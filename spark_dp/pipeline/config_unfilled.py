"""Settings that a written template left open: every one is named, with what to write for it."""

from __future__ import annotations

from collections.abc import Iterator

from spark_dp.errors import ConfigurationError
from spark_dp.pipeline.config_fields import setting_of
from spark_dp.pipeline.config_tree import UNFILLED, Entries, Items, Scalar, Tree
from spark_dp.schema.settings import SETTINGS as COLUMN_SETTINGS


def require_filled(tree: Tree) -> None:
    """Refuses a configuration in which a value is still `???`.

    Raises:
        ConfigurationError: names the first such setting and what to write for it, and lists the others.
    """
    found = list(_unfilled(tree, ""))
    if not found:
        return
    (field, _), others = found[0], found[1:]
    listed = ", ".join(f"{name} ({place})" for name, place in others[:8])
    more = f" and {len(others) - 8} more" if len(others) > 8 else ""
    raise ConfigurationError(
        f"Setting '{field}' is still {UNFILLED}: fill it in. {_what(field)}Nothing was read or spent."
        + (f" Also still {UNFILLED}: {listed}{more}." if others else ""),
        field=field,
    )


def _unfilled(tree: Tree, field: str) -> Iterator[tuple[str, str]]:
    if isinstance(tree, Scalar):
        if tree.text.strip() == UNFILLED:
            yield field, tree.place
    elif isinstance(tree, Items):
        for item in tree.items:
            yield from _unfilled(item, field)
    elif isinstance(tree, Entries):
        for key, value in tree.entries.items():
            yield from _unfilled(value, f"{field}.{key}" if field else key)


def _what(field: str) -> str:
    setting = setting_of(field)
    what = setting.what if setting else None
    if what is None and field.startswith("schema."):
        what = COLUMN_SETTINGS.get(field.rpartition(".")[2])
    return f"Write {what}. " if what else ""
