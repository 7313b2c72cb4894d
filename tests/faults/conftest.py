from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from support.connect_server import connect_server
from support.wreck import Place, events
from support.zygote import Zygotes, zygotes


@pytest.fixture(scope="session")
def drivers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Zygotes]:
    """Drivers that share one Spark Connect server, of which only they are killed."""
    with connect_server(tmp_path_factory.mktemp("server")) as remote, zygotes(remote) as pool:
        yield pool


@pytest.fixture(scope="session")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The input of all of them."""
    folder = tmp_path_factory.mktemp("input") / "events"
    folder.mkdir()
    pq.write_table(events(), folder / "part-0.parquet")
    return folder


@pytest.fixture
def place(tmp_path: Path, source: Path) -> Place:
    return Place.make(tmp_path / "place", source)
