"""spark-submit jobs/plan.py CONFIG [--set FIELD=VALUE ...]: what `spark-dp plan` does."""

import sys

from spark_dp.cli import cli

if __name__ == "__main__":
    cli(["plan", *sys.argv[1:]], prog_name="plan.py")
