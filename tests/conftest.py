"""One Spark session for the whole suite: starting a JVM takes longer than most tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import spark_dp.spark

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

LOG4J = Path(spark_dp.spark.__file__).with_name("log4j2.properties")

SETTINGS = {
    "spark.master": "local[2]",
    "spark.ui.enabled": "false",
    "spark.sql.adaptive.enabled": "false",
    "spark.sql.shuffle.partitions": "2",
    "spark.driver.memory": "1g",
    "spark.driver.host": "127.0.0.1",
    "spark.driver.extraJavaOptions": (
        f"-Dlog4j2.configurationFile={LOG4J.as_uri()} -XX:+UseSerialGC -XX:TieredStopAtLevel=1"
    ),
}


@pytest.fixture(scope="session")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkSession]:
    from spark_dp.spark.session import open_session

    warehouse = tmp_path_factory.mktemp("warehouse")
    session = open_session({**SETTINGS, "spark.sql.warehouse.dir": str(warehouse)}, app_name="spark-dp tests")
    yield session
    session.stop()


@pytest.fixture
def conf(spark: SparkSession) -> Iterator[Settings]:
    """Sets Spark SQL settings for one test."""
    settings = Settings(spark)
    yield settings
    settings.restore()


class Settings:
    def __init__(self, session: SparkSession) -> None:
        self._session = session
        self._before: dict[str, str | None] = {}

    def __setitem__(self, key: str, value: str) -> None:
        self._before.setdefault(key, self._session.conf.get(key, None))
        self._session.conf.set(key, value)

    def restore(self) -> None:
        for key, value in self._before.items():
            if value is None:
                self._session.conf.unset(key)
            else:
                self._session.conf.set(key, value)
