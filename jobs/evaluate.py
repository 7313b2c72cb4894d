"""spark-submit jobs/evaluate.py CONFIG [--set FIELD=VALUE ...]: what `spark-dp evaluate` does."""

import sys

from spark_dp.cli import cli

if __name__ == "__main__":
    cli(["evaluate", *sys.argv[1:]], prog_name="evaluate.py")
