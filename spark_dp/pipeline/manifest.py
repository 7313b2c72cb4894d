"""The manifest: what a reader of the output must know, and may know."""

from __future__ import annotations

import json
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from spark_dp.pipeline.config import RunConfig
from spark_dp.pipeline.config_sections import ColumnUnit
from spark_dp.pipeline.plan_accounting import promise_facts
from spark_dp.pipeline.plan_private import private_facts
from spark_dp.privacy.composition import Accounting

FORMAT = 1


def promise_of(
    config: RunConfig,
    run_id: str,
    accounting: Accounting,
    rho: Fraction,
    *,
    mechanism: str,
    reason: str | None,
) -> dict[str, Any]:
    """States the promise of a run: JSON-able, and nothing exact about the table in it.

    Guarantees: made of the configuration, the account's accounting, a random run id and answered queries alone: a learned k,
    and the mechanism and its reason, which may go by what private steps learned.

    Args:
        config: of the run, with what it learned in it.
        run_id: random.
        accounting, rho: what the run had reserved, and in what.
        mechanism: the one that asked.
        reason: why it was chosen in the end, where the configuration says auto; else None.
    """
    privacy, unit = config.privacy, config.privacy.unit
    spent = f"({float(privacy.budget.epsilon)!r}, {float(privacy.budget.delta)!r})-differential privacy"
    whom = f"all rows of one {unit.label}" if isinstance(unit, ColumnUnit) else "one row"
    change = "added or removed" if privacy.neighbours.value == "add_remove" else "replaced by another"
    steps = private_facts(config)
    return {
        "run_id": run_id,
        "epsilon": float(privacy.budget.epsilon),
        "delta": float(privacy.budget.delta),
        "unit": unit.label,
        "max_rows_per_unit": unit.max_rows,
        "neighbours": privacy.neighbours.value,
        "mechanism": mechanism,
        "mechanism_asked_for": config.mechanism.name,
        **({} if reason is None else {"mechanism_reason": reason}),
        "accounting": promise_facts(config, accounting, rho),
        "promise": f"{spent} for tables that differ in {whom}, {change}.",
        **({"learned": steps} if steps else {}),
    }


def manifest_of(
    statement: dict[str, Any],
    *,
    rows: int,
    generated: dict[str, Any],
    digest: str,
    earlier: Sequence[dict[str, Any]] = (),
) -> bytes:
    """Returns the manifest of an output table.

    Args:
        statement: `promise_of`, as the measurements were released with.
        rows: of the output: post-processing of noisy counts, or declared.
        generated: the settings of the generation.
        digest: of model and settings: the same digest, the same rows.
        earlier: statements of the runs whose partitions are still there; on the same persons all of them add up.
    """
    facts = {
        "format": FORMAT,
        "what": "Synthetic rows, sampled from a model of noisy measurements. No row was copied from the table.",
        "privacy": statement,
        "rows": rows,
        "earlier_runs": list(earlier),
        "generate_digest": digest,
        "seed": generated["seed"],
        "partition_by": generated["partition_by"],
        "schema": generated["schema"],
    }
    return json.dumps(facts, indent=1, sort_keys=True).encode()
