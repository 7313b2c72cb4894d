"""spark-submit jobs/report.py CONFIG [--set FIELD=VALUE ...]: what `spark-dp report` does."""

import sys

from spark_dp.cli import cli

if __name__ == "__main__":
    cli(["report", *sys.argv[1:]], prog_name="report.py")
