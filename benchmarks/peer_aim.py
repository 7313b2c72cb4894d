"""AIM or MST of OpenDP on mbi's estimator, in the environment .venv-peers: peer_aim.py REQUEST.

REQUEST is a JSON object (`peers.py`). Columns are given as cuts between all their values, so that the peer works with the
declared domains alone (keys would add a null to each). Prints as JSON its CPU and wall seconds from the query to the
fitted model, imports left out, counting included, and the model's errors. After `seconds` of CPU it stops, and says how
much of its budget was used.

The errors are of the model's marginals and not of its rows, which favours the peer by what sampling adds: the rows that mbi
1.1.0 draws, which OpenDP wants, are not of the model, as they are in mbi 2.0.0. Each column is drawn in the order of the
rows, so that columns that share a neighbour become dependent: pairs of a tree of 7 columns were off by .08, and by .015
with method="sample", which in turn leaves out the edges that elimination fills in.

`quick` computes marginals outside of the model's cliques with numpy (`peer_projection.py`): the peer compiles a program
for each candidate in each round, which takes most of its time. That changes no result, and only favours its time.
"""

from __future__ import annotations

import itertools
import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import opendp.prelude as dp
import polars as pl
from mbi import MarkovRandomField, estimation
from opendp.extras.mbi import _mst
from peer_clock import limited
from peer_projection import project

dp.enable_features("contrib")


def main(request: str) -> None:
    asked = json.loads(request)
    sizes = json.loads(Path(asked["table"].replace(".parquet", ".domain.json")).read_text())
    rho = asked["rho"]
    if asked["quick"]:
        MarkovRandomField.project = project

    def fit(domain: Any, loss_fn: Any, *, potentials: Any = None) -> Any:
        clock.used, clock.measured = sum(0.5 / m.stddev**2 for m in loss_fn) / rho, len(loss_fn)
        print(
            f"{clock.measured} measured, {clock.used:.1%} of the budget, {time.process_time() - clock.started:.0f} s, "
            f"{' x '.join(loss_fn[-1].clique)} with {loss_fn[-1].stddev:.3g}",
            file=sys.stderr,
            flush=True,
        )
        return estimation.mirror_descent(domain, loss_fn, potentials=potentials)

    # Else MST stops: the parts of its selection, each rounded to a float, add up to 4e-19 more than their whole.
    _mst.prior = lambda part: part * (1 - 1e-12)
    settings = {"estimator": fit, "oneway_split": asked["one_way"]}
    if asked["mechanism"] == "aim":
        algorithm = dp.mbi.AIM(**settings, queries=3, max_size=asked["max_mb"])
    else:
        algorithm = dp.mbi.MST(**settings)
    query = (
        dp.Context.compositor(
            data=pl.scan_parquet(asked["table"]).select(pl.col(name).cast(pl.Int64) for name in sizes),
            privacy_unit=dp.unit_of(contributions=1),
            privacy_loss=dp.loss_of(rho=rho),
        )
        .query(rho=rho)
        .contingency_table(
            cuts={name: list(range(size - 1)) for name, size in sizes.items()}, algorithm=algorithm
        )
    )
    with limited(asked["seconds"]) as clock:
        model = query.release().model
        np.asarray(model.project((next(iter(sizes)),)).values)
    found = {} if clock.note else {"errors": _errors(model, pl.read_parquet(asked["table"]), sizes)}
    print(json.dumps({**clock.report(), **found}))


def _errors(model: MarkovRandomField, rows: pl.DataFrame, sizes: dict[str, int]) -> list[float]:
    """Returns the mean total variation of the model from the rows over all 1-, 2- and 3-way marginals."""
    codes = {name: rows[name].to_numpy().astype(np.int64) for name in sizes}
    found = []
    for degree in (1, 2, 3):
        off = []
        for clique in itertools.combinations(sizes, degree):
            shape = tuple(sizes[name] for name in clique)
            flat = np.ravel_multi_index([codes[name] for name in clique], shape)
            real = np.bincount(flat, minlength=int(np.prod(shape))) / len(rows)
            made = np.asarray(project(model, clique).values).ravel()
            off.append(0.5 * float(np.abs(real - made / made.sum()).sum()))
        found.append(float(np.mean(off)))
    return found


if __name__ == "__main__":
    main(*sys.argv[1:])
