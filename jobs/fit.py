"""spark-submit jobs/fit.py CONFIG [--set FIELD=VALUE ...]: what `spark-dp fit` does."""

import sys

from spark_dp.cli import cli

if __name__ == "__main__":
    cli(["fit", *sys.argv[1:]], prog_name="fit.py")
