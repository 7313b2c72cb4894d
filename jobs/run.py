"""spark-submit jobs/run.py CONFIG [--set FIELD=VALUE ...]: what `spark-dp run` does."""

import sys

from spark_dp.cli import cli

if __name__ == "__main__":
    cli(["run", *sys.argv[1:]], prog_name="run.py")
