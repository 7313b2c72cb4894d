"""How a run's budget is divided between private steps and the marginals, checked before anything is read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction

from spark_dp.pipeline.config_sections import ColumnUnit, PrivacyConfig
from spark_dp.pipeline.config_tree import refuse
from spark_dp.privacy.stated import declared
from spark_dp.schema.private import PrivateColumn


def learned_share(privacy: PrivacyConfig, private: Sequence[PrivateColumn]) -> Fraction:
    """Returns the part of the run's rho that all private steps together cost."""
    unit = privacy.unit
    bound = unit.learned.share if isinstance(unit, ColumnUnit) and unit.learned is not None else Fraction(0)
    return sum((column.share for column in private), bound)


def threshold_delta(private: Sequence[PrivateColumn]) -> Fraction:
    """Returns the part of the run's delta that private values cost."""
    return sum((column.delta for column in private), Fraction(0))


def with_thresholds(privacy: PrivacyConfig, private: Sequence[PrivateColumn]) -> PrivacyConfig:
    """Returns the promise with the delta of private values kept apart from what pays for rho.

    Raises:
        ConfigurationError: they cost all of it.
    """
    thresholds = threshold_delta(private)
    if not thresholds:
        return privacy
    if thresholds >= Fraction(privacy.budget.delta):
        last = next(column for column in reversed(private) if column.values is not None)
        refuse(
            f"schema.{last.name}.values.delta",
            f"and those of other private values come to {declared(float(thresholds))}, which is not below privacy.delta = "
            f"{declared(privacy.budget.delta)}. Nothing was read or spent. Lower them, such as to a tenth of it in all.",
        )
    return replace(privacy, budget=replace(privacy.budget, thresholds=thresholds))


def require_shares(privacy: PrivacyConfig, private: Sequence[PrivateColumn]) -> None:
    """Refuses shares that leave nothing for the marginals, and what does not fit the unit.

    Raises:
        ConfigurationError: with the field of the last share, or of what does not fit.
    """
    share = learned_share(privacy, private)
    if share >= 1:
        last = private[-1] if private else None
        key = (
            "nullable"
            if last is None or last.nulls is not None
            else "bins"
            if last.bins is not None
            else "values"
        )
        refuse(
            "privacy.unit.share" if last is None else f"schema.{last.name}.{key}.share",
            f"and the shares of all other private steps come to {float(share):g}. Nothing was read or spent. Lower them: "
            "what they leave of 1 pays for the marginals, and should be the larger part.",
        )
    if privacy.budget.thresholds != threshold_delta(private):
        refuse(
            "privacy.delta",
            "does not keep apart what private values cost of it. Read the configuration anew.",
        )
    for column in private:
        if (
            column.values is not None
            and not isinstance(privacy.unit, ColumnUnit)
            and column.values.per_unit != 1
        ):
            refuse(
                f"schema.{column.name}.values.per_unit",
                f"is {column.values.per_unit}, and a row has one value. Nothing was read or spent. Write 1, or name the "
                "column of a person in privacy.unit.",
            )
