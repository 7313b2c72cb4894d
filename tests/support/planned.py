"""A run of visits whose plan is looked at: its configuration, its account, and the page."""

from __future__ import annotations

from spark_dp.pipeline.config import parse_config
from spark_dp.pipeline.describe_plan import plan_lines
from spark_dp.pipeline.planning import plan_run
from spark_dp.privacy.ledger import Ledger, open_account
from spark_dp.privacy.sensitivity import Neighbours

PASSWORD = "hunter2"


def text(folder, schema=None):
    columns = schema or (
        "  ward: {type: string, values: [A, B, C], other: D}\n"
        "  age: {type: integer, min: 0, max: 99, bins: 10, nullable: true}\n"
        "  cost: {type: double, min: 0, max: 10, bins: 100}\n"
    )
    return (
        "input: {path: data/visits}\noutput: {path: out/visits}\n"
        "privacy:\n  epsilon: 1\n  delta: 1e-9\n  unit: {column: person, max_rows: 10}\n"
        f"  ledger: sqlite:///{folder}/{PASSWORD}.db\n  dataset: visits\n"
        f"schema:\n{columns}run: {{directory: runs, key: first}}\n"
    )


def planned(folder, *overrides, schema=None):
    return plan_run(parse_config(text(folder, schema), overrides, source="run.yaml"))


def page(plan):
    return "\n".join(plan_lines(plan))


def flat(plan):
    return " ".join(page(plan).split())


def warnings(plan):
    return " ".join(plan.warnings(plan.standing()))


def visits_account(folder):
    url = f"sqlite:///{folder}/{PASSWORD}.db"
    open_account(url, "visits", 2.0, 1e-9, "person", Neighbours.ADD_REMOVE)
    return Ledger.connect(url)
