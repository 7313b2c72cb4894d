"""The code of every value: Arrow columns to small integers, and back."""

from __future__ import annotations

from spark_dp.schema.columns import DROPPED
from spark_dp.schema.decode import decode, uniform_below
from spark_dp.schema.encode import encode

__all__ = ["DROPPED", "decode", "encode", "uniform_below"]
