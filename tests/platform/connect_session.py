"""What the program does with a session of Spark Connect, as JSON; run in a process of its own, in a folder of inputs."""

from __future__ import annotations

import json
from pathlib import Path

from spark_dp.errors import ConfigurationError, InputError
from spark_dp.spark.filters import filter_rows
from spark_dp.spark.session import is_connect, open_session
from spark_dp.spark.tables import read_table

CONDITIONS = ("id > 0", "user != string(id)", "_pos < id", "ra${x}nd() < id")
FOLDERS = ("types", "apart", "alike")
SPELLINGS = ("mergeschema", "mergeSchema")


def filtered(session, condition):
    """How many of three rows are kept, or why none are looked at."""
    try:
        return filter_rows(session.range(3), condition).count()
    except ConfigurationError as error:
        return error.message


def read(session, folder, spelling):
    """The ids of a folder of files, or why they are not read."""
    files = f"parquet.`{Path(folder).absolute()}`"
    try:
        rows = read_table(session, path=None, table=files, options={spelling: "false"})
        return sorted(row[0] for row in rows.collect())
    except InputError as error:
        return error.message


if __name__ == "__main__":
    session = open_session({"spark.ui.enabled": "false"})
    found = {"connect": is_connect(session)}
    if found["connect"]:
        found["filters"] = {condition: filtered(session, condition) for condition in CONDITIONS}
        found["files"] = {folder: [read(session, folder, s) for s in SPELLINGS] for folder in FOLDERS}
    print(json.dumps(found))
