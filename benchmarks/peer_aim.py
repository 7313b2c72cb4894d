"""AIM or MST of OpenDP on mbi's estimator, in the environment .venv-peers: peer_aim.py REQUEST.

REQUEST is a JSON object: mechanism, table, rho, max_mb, one_way, quick, seconds, output. Columns are given as cuts between
all their values, so that the peer works with the declared domains alone (keys would add a null to each). Writes the
synthetic rows as Parquet and prints as JSON its CPU and wall seconds from the query to the fitted model, imports left
out, counting included. After `seconds` of CPU it stops, and says how much of its budget was used.

`quick` computes marginals outside of the model's cliques with numpy (`peer_projection.py`): the peer compiles a program
for each candidate in each round, which takes most of its time. That changes no result, and only favours its time.
"""

from __future__ import annotations

import json
import signal
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import opendp.prelude as dp
import polars as pl
from mbi import MarkovRandomField, estimation
from peer_projection import project

dp.enable_features("contrib")


class OutOfTime(Exception):
    """The seconds are over."""


def main(request: str) -> None:
    asked = json.loads(request)
    sizes = json.loads(Path(asked["table"].replace(".parquet", ".domain.json")).read_text())
    if asked["quick"]:
        MarkovRandomField.project = project
    used = [0.0, 0]

    def fit(domain: Any, loss_fn: Any, *, potentials: Any = None) -> Any:
        used[:] = [sum(0.5 / m.stddev**2 for m in loss_fn) / asked["rho"], len(loss_fn)]
        last = loss_fn[-1]
        print(
            f"{len(loss_fn)} measured, {used[0]:.1%} of the budget, {time.process_time() - cpu:.0f} s, "
            f"{' x '.join(last.clique)} with {last.stddev:.3g}",
            file=sys.stderr,
            flush=True,
        )
        return estimation.mirror_descent(domain, loss_fn, potentials=potentials)

    settings = {"estimator": fit, "oneway_split": asked["one_way"]}
    if asked["mechanism"] == "aim":
        algorithm = dp.mbi.AIM(**settings, queries=3, max_size=asked["max_mb"])
    else:
        algorithm = dp.mbi.MST(**settings)
    query = (
        dp.Context.compositor(
            data=pl.scan_parquet(asked["table"]).select(pl.col(name).cast(pl.Int64) for name in sizes),
            privacy_unit=dp.unit_of(contributions=1),
            privacy_loss=dp.loss_of(rho=asked["rho"]),
        )
        .query(rho=asked["rho"])
        .contingency_table(
            cuts={name: list(range(size - 1)) for name, size in sizes.items()}, algorithm=algorithm
        )
    )

    def stop(*_: Any) -> None:
        raise OutOfTime

    signal.signal(signal.SIGPROF, stop)
    signal.setitimer(signal.ITIMER_PROF, asked["seconds"])
    cpu, wall, note = time.process_time(), time.perf_counter(), ""
    try:
        released = query.release()
        np.asarray(released.model.project((next(iter(sizes)),)).values)
    except (OutOfTime, dp.OpenDPException) as stopped:
        note = f"not ended, {used[0]:.0%} of the budget used in {used[1]} measurements"
        if not isinstance(stopped, OutOfTime) and "OutOfTime" not in str(stopped):
            note += f": {str(stopped).splitlines()[0]}"
    signal.setitimer(signal.ITIMER_PROF, 0)
    spent = {"cpu": time.process_time() - cpu, "wall": time.perf_counter() - wall}
    if not note:
        made = released.model.synthetic_data().to_dict()
        pl.DataFrame({name: np.asarray(made[name]) for name in sizes}).write_parquet(asked["output"])
    print(json.dumps({**spent, "note": note, "measured": used[1]}))


if __name__ == "__main__":
    main(*sys.argv[1:])
