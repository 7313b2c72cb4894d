"""The passes of `measure` over a table, with something that happens during the first, between, or during the second."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np
from numpy.typing import NDArray
from support.crowds import CLIQUES, SCHEMA, TABLE
from support.visits import Site

from spark_dp.pipeline.inputs import open_input
from spark_dp.schema.domain import Clique
from spark_dp.spark.counting import MarginalPass, SparkMarginals

RUN_ID = "a run"


class Passes:
    """The exact counts that a curator would be given of a site's table.

    Attributes:
        bounding: entered while the table is bounded.
        between: called when it is.
        counting: entered while the bounded rows are counted.
    """

    def __init__(self, session: Any, site: Site, unit: str) -> None:
        self._opened = open_input(session, site.config(schema=SCHEMA, unit=unit))
        self.bounding: AbstractContextManager[Any] = nullcontext()
        self.counting: AbstractContextManager[Any] = nullcontext()
        self.between: Callable[[], Any] = lambda: None

    def count(self) -> dict[Clique, NDArray[np.int64]]:
        try:
            return dict(SparkMarginals(TABLE.domain, CLIQUES, self._prepare).count(CLIQUES))
        finally:
            self._opened.release()

    def _prepare(self) -> MarginalPass:
        with self.bounding:
            prepared = self._opened.bounded_pass(RUN_ID)
        self.between()

        def run(layout: Any) -> Any:
            with self.counting:
                return prepared.run(layout)

        return MarginalPass(run, prepared.totals, prepared.unchanged)
