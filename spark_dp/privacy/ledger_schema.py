"""The tables of a ledger, version 2.

Every table but the first has the account's name in its key, so that what belongs to an account is found, locked and
checked by that name alone.
"""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa

VERSION: Final = "2"

metadata: Final = sa.MetaData()

meta: Final = sa.Table(
    "spark_dp_ledger",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("value", sa.Text, nullable=False),
)

accounts: Final = sa.Table(
    "spark_dp_accounts",
    metadata,
    sa.Column("dataset", sa.Text, primary_key=True),
    sa.Column("unit", sa.Text, nullable=False),
    sa.Column("neighbours", sa.Text, nullable=False),
    sa.Column("epsilon", sa.Double, nullable=False),
    sa.Column("delta", sa.Double, nullable=False),
    sa.Column("rho", sa.Text, nullable=False),  # exact, "p/q"
    sa.Column("releases", sa.Integer),  # no run takes more than rho over this; null: no such limit
    sa.Column("status", sa.Text, sa.CheckConstraint("status IN ('open', 'closed')"), nullable=False),
    sa.Column("opened_at", sa.Text, nullable=False),  # UTC, ISO 8601, here and below
)

inputs: Final = sa.Table(
    "spark_dp_inputs",
    metadata,
    sa.Column("dataset", sa.Text, sa.ForeignKey(accounts.c.dataset), primary_key=True),
    sa.Column("place", sa.Text, primary_key=True),  # in the one form of `bindings.Place`
    sa.Column("shared", sa.Boolean, nullable=False),  # confirmed, though another account has it
    sa.Column("bound_at", sa.Text, nullable=False),
)

runs: Final = sa.Table(
    "spark_dp_runs",
    metadata,
    sa.Column("dataset", sa.Text, sa.ForeignKey(accounts.c.dataset), primary_key=True),
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("run_id", sa.Text, nullable=False, unique=True),  # random: the only name that is published
    sa.Column("measure_digest", sa.Text, nullable=False),
    sa.Column("epsilon", sa.Double, nullable=False),
    sa.Column("delta", sa.Double, nullable=False),
    sa.Column("rho", sa.Text, nullable=False),  # reserved as a whole when the run starts
    sa.Column(
        "status", sa.Text, sa.CheckConstraint("status IN ('running', 'complete', 'voided')"), nullable=False
    ),
    sa.Column("epoch", sa.Integer, nullable=False),  # how many drivers have held it; the last one holds it
    sa.Column("created_at", sa.Text, nullable=False),
)

_RUN: Final = ("dataset", "key"), (runs.c.dataset, runs.c.key)

queries: Final = sa.Table(
    "spark_dp_queries",
    metadata,
    sa.Column("dataset", sa.Text, primary_key=True),
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("ordinal", sa.Integer, primary_key=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("spec_digest", sa.Text, nullable=False),
    sa.Column("event", sa.Text, nullable=False),  # JSON
    sa.Column("rho", sa.Text, nullable=False),
    sa.Column("state", sa.Text, sa.CheckConstraint("state IN ('reserved', 'answered')"), nullable=False),
    sa.Column("answer_digest", sa.Text),
    sa.Column("answer_epoch", sa.Integer),  # of the driver that drew the answer
    sa.Column("reserved_at", sa.Text, nullable=False),
    sa.Column("answered_at", sa.Text),
    sa.ForeignKeyConstraint(*_RUN),
)

leases: Final = sa.Table(
    "spark_dp_leases",
    metadata,
    sa.Column("dataset", sa.Text, primary_key=True),
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("epoch", sa.Integer, nullable=False),
    sa.Column("holder", sa.Text),  # a process, as JSON; null: nobody holds the run
    sa.Column("lease_until", sa.Text),
    sa.Column("seal", sa.Text, nullable=False),  # of the other columns: renewals are too many for the chain
    sa.ForeignKeyConstraint(*_RUN),
)

entries: Final = sa.Table(
    "spark_dp_entries",
    metadata,
    sa.Column("dataset", sa.Text, sa.ForeignKey(accounts.c.dataset), primary_key=True),
    sa.Column("seq", sa.Integer, primary_key=True),  # from 1, without gaps
    sa.Column("what", sa.Text, nullable=False),
    sa.Column("facts", sa.Text, nullable=False),  # canonical JSON: when, and the rows as they became
    sa.Column("previous", sa.Text, nullable=False),
    sa.Column("digest", sa.Text, nullable=False),
)

CHAINED: Final = (accounts, inputs, runs, queries)
"""The tables whose every row is in the chain: they are what a replay of it gives."""


def key_of(table: sa.Table) -> tuple[str, ...]:
    """Returns the names of the columns that name a row."""
    return tuple(column.name for column in table.primary_key.columns)
