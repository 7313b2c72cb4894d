"""What the runs of an account have reserved of its rho, and of the part of its delta that pays for thresholds."""

from __future__ import annotations

from fractions import Fraction

from spark_dp.errors import LedgerError
from spark_dp.privacy.account_rules import Row, Spent, rho_of_run, thresholds_of
from spark_dp.privacy.ledger_database import NOTHING
from spark_dp.privacy.ledger_replay import Verified
from spark_dp.privacy.ledger_schema import queries, runs
from spark_dp.privacy.query_record import read_query
from spark_dp.privacy.thresholds import delta_of


def spent_of(account: Row, verified: Verified) -> Spent:
    """Returns what the runs of an account have reserved.

    Raises:
        LedgerError: they asked more thresholds than the account has a part of its delta for, as builds before 0.1.0 let
            them: what is left of its rho then pays for less than it says.
    """
    live = [run for run in verified.of(runs) if run["status"] != "voided"]
    asked: dict[str, Fraction] = {}
    for query in verified.of(queries):
        asked[query["key"]] = asked.get(query["key"], Fraction(0)) + delta_of([read_query(query).event])
    thresholds = sum(
        (max(thresholds_of(run), asked.get(run["key"], Fraction(0))) for run in live), Fraction(0)
    )
    if thresholds > thresholds_of(account):
        raise LedgerError(
            f"Account {account['dataset']!r} has paid for thresholds of delta = {float(thresholds):.3g}, and keeps "
            f"{float(thresholds_of(account)):.3g} of its delta for them: it was opened by a build that did not keep them "
            f"apart. {NOTHING} Count the account as spent, and open another with --thresholds-delta."
        )
    return Spent(rho=sum((rho_of_run(run) for run in live), Fraction(0)), thresholds=thresholds)
