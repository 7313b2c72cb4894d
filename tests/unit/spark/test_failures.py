"""What is said of a failure of Spark holds no value of a row."""

import pytest

from spark_dp.errors import InputChangedError, InputError, TransientError
from spark_dp.spark.failures import redact_path, told_without_values

CANARY = "CANARY_7F3A"


class SparkSaidError(Exception):
    """An exception with the two questions that Spark's own answer."""

    def __init__(self, message, condition=None, parameters=None):
        super().__init__(message)
        self._condition, self._parameters = condition, parameters

    def getCondition(self):
        return self._condition

    def getMessageParameters(self):
        return self._parameters


def told(error, **known):
    with pytest.raises((InputError, TransientError)) as caught, told_without_values("counting", **known):
        raise error
    return caught.value


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        ("/data/t/ds=2013-01-01/part-0.parquet", "/data/t/ds=*/part-0.parquet"),
        ("s3://b/t/a=x y/b=%3F/p.parquet", "s3://b/t/a=*/b=*/p.parquet"),
        ("ds=secret/p.parquet", "ds=*/p.parquet"),
        ("/data/t/part-0.parquet", "/data/t/part-0.parquet"),
        ("/data/t/ds=/p", "/data/t/ds=*/p"),
    ],
)
def test_a_path_is_shown_without_the_values_of_its_partitions(path, shown):
    assert redact_path(path) == shown


MESSAGES = [
    f"[CAST_INVALID_INPUT] The value '{CANARY}' of the type \"STRING\" cannot be cast",
    f"[{CANARY}] cannot be cast",
    f"org.apache.spark.SparkException: [{CANARY}] is corrupt, magic number",
    f"Could not read footer for file /t/ds={CANARY}/p.parquet",
    f"PythonException: KeyError: '{CANARY}'",
    f"[DIVIDE_BY_ZERO] {CANARY} / 0",
]


@pytest.mark.parametrize("message", MESSAGES)
@pytest.mark.parametrize("condition", [None, "CAST_INVALID_INPUT"])
def test_no_value_of_a_message_passes(message, condition):
    error = told(SparkSaidError(message, condition), files=[f"/t/ds={CANARY}/p.parquet"])
    assert CANARY not in str(error)
    assert error.__suppress_context__
    assert error.__cause__ is None


def test_the_twin_that_reads_the_kind_out_of_the_message_would_pass_a_value():
    import re

    assert CANARY in re.findall(r"\[([A-Z][A-Z0-9_.]{3,})\]", MESSAGES[1])


def test_a_failure_is_told_by_the_name_that_spark_gives_it():
    error = told(SparkSaidError(MESSAGES[0], "CAST_INVALID_INPUT"))
    assert isinstance(error, InputError)
    assert error.field == "input.filter"
    assert "CAST_INVALID_INPUT" in str(error)


def test_a_corrupt_file_is_named_without_its_partition():
    parameters = {"path": f"file:///t/ds={CANARY}/p-17.parquet"}
    error = told(SparkSaidError("FAILED_READ_FILE", "FAILED_READ_FILE.NO_HINT", parameters))
    assert isinstance(error, InputError)
    assert "file:///t/ds=*/p-17.parquet" in str(error)
    assert CANARY not in str(error)


def test_a_corrupt_file_is_found_among_the_files_of_the_input():
    error = told(
        RuntimeError("Could not read footer: p-3.parquet"),
        files=["/t/ds=1/p-2.parquet", "/t/ds=1/p-3.parquet"],
    )
    assert "/t/ds=*/p-3.parquet" in str(error)


def test_anything_else_may_be_tried_again():
    error = told(RuntimeError(CANARY), field="output.path")
    assert isinstance(error, TransientError)
    assert error.retriable
    assert error.field == "output.path"


@pytest.mark.parametrize(
    "message", ["FAILED_READ_FILE.FILE_NOT_EXIST", "corrupt, magic number", "CAST_INVALID_INPUT"]
)
def test_a_failure_over_the_output_is_never_the_inputs_fault(message):
    error = told(SparkSaidError(message, message.split()[0]), field="output.path")
    assert isinstance(error, TransientError)
    assert error.field == "output.path"


@pytest.mark.parametrize("message", ["FAILED_READ_FILE.FILE_NOT_EXIST", "CAST_INVALID_INPUT"])
def test_the_same_failure_over_the_input_is(message):
    assert isinstance(told(SparkSaidError(message, message), field="input"), InputError)


def test_our_own_errors_pass_as_they_are():
    ours = InputChangedError("changed", field="input.path")
    with pytest.raises(InputChangedError) as caught, told_without_values("counting"):
        raise ours
    assert caught.value is ours


def test_a_failure_that_cannot_be_named_is_told_all_the_same():
    class NamelessError(Exception):
        def getCondition(self):
            raise ValueError(CANARY)

    assert CANARY not in str(told(NamelessError("x")))
