"""Mistakes about the ledger, its accounts and the commands: found before Spark starts."""

from __future__ import annotations

import sqlite3

from bad_input.mistake import Mistake, a_file
from support.visits import Site

from spark_dp.privacy.ledger import Ledger

ALTERED = "UPDATE spark_dp_accounts SET rho = '100/1'"
OTHER_VERSION = "UPDATE spark_dp_ledger SET value = '99' WHERE name = 'version'"


def close_account(site: Site) -> None:
    Ledger.connect(site.ledger).close_account("visits")


def statement(sql: str):
    def change(site: Site) -> None:
        with sqlite3.connect(site.folder / "ledger.db") as connection:
            connection.execute(sql)

    return change


def an_empty_database(site: Site) -> None:
    with sqlite3.connect(site.folder / "empty.db") as connection:
        connection.execute("CREATE TABLE other (x)")


def opening(what: str, code: int, *says: str, options: tuple[str, ...]) -> Mistake:
    command = ("ledger", "open", "new", "--ledger", "sqlite:///{folder}/ledger.db", *options)
    return Mistake(what=what, code=code, says=says, command=command)


ROWS = [
    Mistake(what="no ledger there", code=77, says=("ledger", "spark-dp ledger open"), sets=("privacy.ledger=sqlite:///{folder}/none.db",)),
    Mistake(what="a ledger in memory", code=77, says=("privacy.ledger", "sqlite:///PATH"), sets=("privacy.ledger='sqlite:///:memory:'",)),
    Mistake(what="a ledger of another database", code=77, says=("privacy.ledger", "sqlite:///ledger.db"), sets=("privacy.ledger=mysql://user:s3cret@host/db",)),
    Mistake(what="a database that is no ledger", code=77, says=("holds no ledger",), sets=("privacy.ledger=sqlite:///{folder}/empty.db",), prepare=an_empty_database),
    Mistake(what="a file that is no database", code=77, says=("ledger",), sets=("privacy.ledger=sqlite:///{folder}/text.db",), prepare=a_file("text.db", "no database at all, but a text that is long enough" * 30)),
    Mistake(what="a ledger of another version", code=77, says=("'99'", "version"), prepare=statement(OTHER_VERSION)),
    Mistake(what="an account that was altered", code=77, says=("altered",), prepare=statement(ALTERED)),
    Mistake(what="an unknown account", code=77, says=("'visit'", "visits", "Did you mean"), sets=("privacy.dataset=visit",)),
    Mistake(what="a closed account", code=77, says=("'visits'", "closed"), prepare=close_account),
    Mistake(what="more than the account has left", code=77, says=("epsilon = 3", "left"), sets=("privacy.epsilon=3",)),
    Mistake(what="a unit that is not the account's", code=77, says=("privacy.unit", "'person'", "'ward'"), sets=("privacy.unit.column=ward",)),
    Mistake(what="a row for a unit that is not the account's", code=77, says=("'person'", "'row'"), sets=("privacy.unit=row",)),
    Mistake(what="an adjacency that is not the account's", code=77, says=("add_remove", "replace"), sets=("privacy.neighbours=replace",)),
    opening("an account of no budget", 78, "epsilon", "0", options=("--epsilon", "0", "--delta", "1e-6", "--unit", "row")),
    opening("an account of a large delta", 78, "delta", "0.1", options=("--epsilon", "1", "--delta", "0.1", "--unit", "row")),
    opening("a part of delta for thresholds that is all of it", 78, "1e-06", "private values", options=("--epsilon", "1", "--delta", "1e-6", "--unit", "row", "--thresholds-delta", "1e-6")),
    opening("a part of delta in words", 78, "--thresholds-delta", "'much'", options=("--epsilon", "1", "--delta", "1e-6", "--unit", "row", "--thresholds-delta", "much")),
    Mistake(what="private values on an account without a part of delta for them", code=77, says=("--thresholds-delta", "1e-09", "'visits'"), sets=("schema.ward.values={private: 5, per_unit: 1, share: 0.05, delta: 1e-9}", "schema.ward.other=elsewhere")),
    opening("an account without a unit", 78, "privacy.unit", options=("--epsilon", "1", "--delta", "1e-6", "--unit", "")),
    opening("an account without an option", 78, "--unit", options=("--epsilon", "1", "--delta", "1e-6")),
    opening("an epsilon in words", 78, "--epsilon", "much", options=("--epsilon", "much", "--delta", "1e-6", "--unit", "row")),
    Mistake(what="an account that is there", code=77, says=("'visits'", "already"), command=("ledger", "open", "visits", "--ledger", "sqlite:///{folder}/ledger.db", "--epsilon", "1", "--delta", "1e-6", "--unit", "person")),
    Mistake(what="a ledger in a folder that is not there", code=77, says=("folder",), command=("ledger", "open", "visits", "--ledger", "sqlite:///{folder}/none/ledger.db", "--epsilon", "1", "--delta", "1e-6", "--unit", "person")),
    Mistake(what="an unknown account to show", code=77, says=("'visit'", "Did you mean"), command=("ledger", "show", "visit", "--ledger", "sqlite:///{folder}/ledger.db")),
    Mistake(what="a fit before a measurement", code=65, says=("spark-dp measure",), command=("fit", "{config}")),
    Mistake(what="a generation before a measurement", code=65, says=("spark-dp measure",), command=("generate", "{config}")),
    Mistake(what="a report before a measurement", code=65, says=("spark-dp measure",), command=("report", "{config}")),
    Mistake(what="an evaluation before an output", code=65, says=("spark-dp generate", "output"), command=("evaluate", "{config}")),
    Mistake(what="an unknown command", code=78, says=("rnu", "run"), command=("rnu", "{config}")),
    Mistake(what="an unknown option", code=78, says=("--sets", "--set"), command=("run", "{config}", "--sets", "a=1")),
    Mistake(what="no configuration", code=78, says=("CONFIG",), command=("run",)),
    Mistake(what="a run directory below a file", code=78, says=("run", "file"), sets=("run.directory={folder}/file/runs",), prepare=a_file("file")),
    Mistake(what="an output below a file", code=78, says=("output.path", "file"), sets=("output.path={folder}/file/out",), prepare=a_file("file")),
    Mistake(what="an output that is there", code=78, says=("output.path", "overwrite"), prepare=a_file("out/part-0.parquet", "x")),
    Mistake(what="an output that is a file", code=78, says=("output.path",), prepare=a_file("out", "x")),
    Mistake(what="partitions among rows of another's", code=78, says=("output.path", "_manifest.json"), sets=("output.mode=overwrite_partitions", "output.partition_by=[ward]"), prepare=a_file("out/ward=A/x.parquet", "x")),
    Mistake(what="an input that is not there", code=65, says=("input.path", "does not exist"), sets=("input.path={folder}/nowhere",)),
    Mistake(what="an input without a file", code=65, says=("input.path", "no file"), sets=("input.path={folder}/empty",), prepare=lambda s: (s.folder / "empty").mkdir()),
]  # fmt: skip
