"""What a configuration must not be run with: the marks that `spark-dp init` leaves for a person to replace."""

from __future__ import annotations

from collections.abc import Iterator

from spark_dp.errors import ConfigurationError
from spark_dp.pipeline.config_tree import Entries, Items, Scalar, Tree

PLACEHOLDER = "???"
SHOWN = 8


def require_filled(tree: Tree) -> None:
    """Refuses a configuration that still has a placeholder; a text of that name is written in quotes.

    Raises:
        ConfigurationError: it has; names the first ones.
    """
    left = list(_unfilled(tree, ""))
    if left:
        named = ", ".join(left[:SHOWN]) + (f" and {len(left) - SHOWN} more" if len(left) > SHOWN else "")
        raise ConfigurationError(
            f"{len(left)} {'settings are' if len(left) > 1 else 'setting is'} still {PLACEHOLDER}: {named}. Nothing was "
            "read or spent. Replace each by what you declare; a column that is not to be synthesised may be deleted.",
            field=left[0],
        )


def _unfilled(tree: Tree, field: str) -> Iterator[str]:
    if isinstance(tree, Scalar):
        if tree.plain and tree.text == PLACEHOLDER:
            yield field
    elif isinstance(tree, Items):
        for item in tree.items:
            yield from _unfilled(item, field)
    elif isinstance(tree, Entries):
        for key, value in tree.entries.items():
            yield from _unfilled(value, f"{field}.{key}" if field else key)
