"""The mechanisms by name."""

from __future__ import annotations

from typing import Final

from spark_dp.errors import ConfigurationError, nearest
from spark_dp.mechanisms.aim import AIM
from spark_dp.mechanisms.independent import Independent
from spark_dp.mechanisms.mst import MST
from spark_dp.mechanisms.oneshot import OneShot
from spark_dp.mechanisms.protocol import Mechanism

MECHANISMS: Final[dict[str, Mechanism]] = {
    mechanism.name: mechanism for mechanism in (Independent(), MST(), AIM(), OneShot())
}


def mechanism_named(name: str) -> Mechanism:
    """Returns a mechanism.

    Raises:
        ConfigurationError: there is none of that name; suggests the nearest.
    """
    try:
        return MECHANISMS[name]
    except KeyError:
        raise ConfigurationError(
            f"There is no mechanism {name!r}. Choose one of: auto, {', '.join(MECHANISMS)}."
            f"{nearest(name, MECHANISMS)} Nothing was spent.",
            field="mechanism.name",
        ) from None
