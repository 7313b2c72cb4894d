"""Many short runs with random kills against one account: python scripts/soak.py --runs 200.

Its figures are for docs/reliability.md.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT)]


def main() -> None:
    """Runs the soak in a folder that goes away afterwards, and prints its figures."""
    import pyarrow.parquet as pq
    from support.connect_server import connect_server
    from support.soak import Soak
    from support.wreck import events
    from support.zygote import zygotes

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--keys", type=int, default=40)
    parser.add_argument("--at-once", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        (folder / "events").mkdir()
        pq.write_table(events(), folder / "events" / "part-0.parquet")
        with connect_server(folder) as remote, zygotes(remote) as drivers:
            soak = Soak(
                folder=folder,
                source=folder / "events",
                drivers=drivers,
                runs=given.runs,
                keys=given.keys,
                at_once=given.at_once,
                seed=given.seed,
            )
            print(json.dumps(soak.run(), indent=1))


if __name__ == "__main__":
    main()
