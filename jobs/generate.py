"""spark-submit jobs/generate.py CONFIG [--set FIELD=VALUE ...]: what `spark-dp generate` does."""

import sys

from spark_dp.cli import cli

if __name__ == "__main__":
    cli(["generate", *sys.argv[1:]], prog_name="generate.py")
