"""What runs on executors needs numpy, pandas and pyarrow, and no library of the driver."""

from __future__ import annotations

import subprocess
import sys

BLOCKED = """
import sys
class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("scipy", "sqlalchemy", "ruamel", "click", "rich", "jinja2", "markupsafe"):
            raise ImportError(name)
sys.meta_path.insert(0, Blocked())
"""
ON_EXECUTORS = (
    "import spark_dp.spark.{generate}, spark_dp.spark.counting, spark_dp.spark.encode, spark_dp.spark.direct"
)


def run(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", BLOCKED + code], capture_output=True, text=True, check=False)


def test_executors_import_no_library_of_the_driver():
    done = run(ON_EXECUTORS.format(generate="generate"))
    assert done.returncode == 0, done.stderr


def test_the_same_block_stops_what_runs_on_the_driver():
    done = run("import spark_dp.pipeline.stages")
    assert done.returncode == 1
    assert "ImportError" in done.stderr
