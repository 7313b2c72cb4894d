from __future__ import annotations

from collections.abc import Iterator

import pytest
from desk import Desk
from support.postgres import PostgresServer


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Tests of a module that says so run on both databases; all others on SQLite."""
    both = getattr(metafunc.module, "ON_BOTH_DATABASES", False)
    if both and "database" in metafunc.fixturenames:
        kinds = ["sqlite", pytest.param("postgresql", marks=pytest.mark.platform)]
        metafunc.parametrize("database", kinds, indirect=True)


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    server = PostgresServer()
    yield server
    server.remove()


@pytest.fixture
def database(request: pytest.FixtureRequest, tmp_path) -> str:
    """The URL of an empty database."""
    if getattr(request, "param", "sqlite") == "sqlite":
        return f"sqlite:///{tmp_path / 'ledger.db'}"
    server: PostgresServer = request.getfixturevalue("postgres")
    return server.new_database()


@pytest.fixture
def desk(tmp_path, database) -> Desk:
    return Desk(tmp_path, database)
