"""spark-submit jobs/measure.py CONFIG [--set FIELD=VALUE ...]: what `spark-dp measure` does."""

import sys

from spark_dp.cli import cli

if __name__ == "__main__":
    cli(["measure", *sys.argv[1:]], prog_name="measure.py")
