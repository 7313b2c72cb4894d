"""The peers' AIM and MST on the tables of `aim.py` beside ours in one run.

python -m benchmarks.peers --tables titanic --epsilons 1 --peers opendp-aim --seconds 900 --record runs.jsonl
Each runs in its own environment (`peer_aim.py`, `peer_dpmm.py`; one that is not there is left out) with the same declared
domains, (ε, δ), unit, workload and model's limit, on one thread, and is stopped after so many CPU seconds. A run that
the file holds is not done again.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import pyarrow.parquet as pq

from benchmarks.aim import DELTA, TABLES, one_run
from benchmarks.aim_table import show
from benchmarks.records import Record, Records
from benchmarks.tables import DATA, load, title
from benchmarks.workload_error import Counted, errors_of
from spark_dp.mechanisms.catalog import MECHANISMS, mechanism_named
from spark_dp.privacy.budget import PrivacyBudget

MODEL_MB: Final = 80
ONE_THREAD: Final = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """A program with its own environment, and what it is asked for."""

    python: Path
    script: str
    asked: Mapping[str, object] = field(default_factory=dict)


OPENDP: Final = Path(os.environ.get("OPENDP_PYTHON", ".venv-opendp/bin/python"))
DPMM: Final = Path(os.environ.get("DPMM_PYTHON", ".venv-dpmm/bin/python"))
PEERS: Final = {
    "opendp-aim": Peer(
        python=OPENDP, script="peer_aim.py", asked={"mechanism": "aim", "one_way": None, "quick": True}
    ),
    "opendp-aim-tenth": Peer(
        python=OPENDP, script="peer_aim.py", asked={"mechanism": "aim", "one_way": 0.1, "quick": True}
    ),
    "opendp-aim-stock": Peer(
        python=OPENDP, script="peer_aim.py", asked={"mechanism": "aim", "one_way": None, "quick": False}
    ),
    "opendp-mst": Peer(
        python=OPENDP, script="peer_aim.py", asked={"mechanism": "mst", "one_way": None, "quick": True}
    ),
    "dpmm-aim": Peer(python=DPMM, script="peer_dpmm.py", asked={"mechanism": "aim"}),
    "dpmm-mst": Peer(python=DPMM, script="peer_dpmm.py", asked={"mechanism": "mst"}),
}


def main() -> None:
    asked = _arguments()
    missing = [name for name in asked.peers if not PEERS[name].python.exists()]
    if missing:
        print(f"Not installed here, and left out: {', '.join(missing)}. Run: make .venv-opendp/.ready")
    asked.peers = [name for name in asked.peers if name not in missing]
    records = Records(asked.record)
    title(
        f"Peers: all triples, δ = {DELTA}, unit = row, models of {MODEL_MB} MB, at most {asked.seconds} CPU s"
    )
    for name in asked.tables:
        data, domain = load(name)
        table = Counted.of(domain, data)
        for epsilon in asked.epsilons:
            for peer in asked.peers:
                for seed in range(asked.seeds):
                    print(_line(_run(records, peer, name, table, epsilon, seed, asked.seconds)), flush=True)
            for mechanism in asked.ours:
                for seed in range(asked.our_seeds):
                    ours = one_run(records, mechanism_named(mechanism), mechanism, name, table, epsilon, seed)
                    print(_line(ours), flush=True)
    show(records.all)


def _run(
    records: Records, name: str, table_name: str, table: Counted, epsilon: float, seed: int, seconds: float
) -> Record:
    who, _, mechanism = name.partition("-")
    done = records.get((who, mechanism, table_name, epsilon, seed))
    if done is not None:
        return done
    peer = PEERS[name]
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder, "made.parquet")
        request = {
            **peer.asked,
            "table": str(DATA / f"{table_name}.parquet"),
            "epsilon": epsilon,
            "delta": DELTA,
            "rho": float(PrivacyBudget(epsilon=epsilon, delta=DELTA).rho),
            "max_mb": MODEL_MB,
            "seconds": seconds,
            "output": str(output),
        }
        ended = subprocess.run(
            [str(peer.python), f"benchmarks/{peer.script}", json.dumps(request)],
            stdout=subprocess.PIPE,
            text=True,
            check=True,
            env={**os.environ, **ONE_THREAD},
        )
        spent = json.loads(ended.stdout.splitlines()[-1])
        errors = spent.get("errors")
        if errors is None and not spent["note"]:
            made = pq.read_table(output)
            errors = errors_of(table, Counted.of(table.domain, made.select(list(table.domain.attributes))))
    return records.add(
        Record(
            who=who,
            mechanism=mechanism,
            table=table_name,
            epsilon=epsilon,
            seed=seed,
            cpu=spent["cpu"],
            wall=spent["wall"],
            errors=errors and tuple(errors),
            measured=spent.get("measured", 0),
            note=spent["note"],
        )
    )


def _line(record: Record) -> str:
    found = " ".join(f"{e:8.4f}" for e in record.errors) if record.errors else record.note
    label = f"{record.table} ε={record.epsilon:g} {record.who} {record.mechanism}"
    return f"{label:40} {record.cpu:8.1f} {record.wall:8.1f} {found}"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--tables", nargs="+", choices=TABLES, default=["titanic"])
    parser.add_argument("--epsilons", nargs="+", type=float, default=[0.1, 1.0, 10.0])
    parser.add_argument("--peers", nargs="+", choices=list(PEERS), default=["opendp-aim", "opendp-mst"])
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--ours", nargs="*", choices=list(MECHANISMS), default=["oneshot", "mst"])
    parser.add_argument("--our-seeds", type=int, default=10)
    parser.add_argument("--seconds", type=float, default=900.0, help="of CPU, a run")
    parser.add_argument("--record", type=Path, help="a file of JSON lines to which runs are added")
    return parser.parse_args()


if __name__ == "__main__":
    main()
