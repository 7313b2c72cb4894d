"""No message shows who may open what: users and passwords in URLs are taken out of all of them."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from spark_dp.cli import cli
from spark_dp.errors import ConfigurationError, SparkDPError, without_credentials

PASSWORD = "pw-canary-81c2"
URL = f"postgresql://user:{PASSWORD}@host/db"
TYPOS = [
    ("ledger", "show", "visits", "--ledger", f"env:{URL}"),
    ("ledger", "show", "visits", URL, "--ledger", "env:X"),
    ("ledger", URL),
    ("plan", "{config}", "--set", f"privacy.ledger:{URL}"),
    ("plan", "{config}", "--set", "privacy.ledger", URL),
    ("plan", "{config}", "--set", f"privacy={{epsilon: 1, ledger:{URL}}}"),
    ("plan", "{config}", "--set", f"privacy='ledger: {URL}'"),
    (
        "plan",
        "{config}",
        "--set",
        f"output.path=s3://user:{PASSWORD}@bucket/x",
        "--set",
        "output.mode=overwrite",
    ),
    ("init", f"s3://user:{PASSWORD}@bucket/x"),
]


@pytest.mark.parametrize("words", TYPOS, ids=lambda w: " ".join(w[:2]))
@pytest.mark.parametrize("as_json", [False, True])
def test_no_slip_of_the_pen_shows_a_password(tmp_path, words, as_json):
    config = tmp_path / "visits.yaml"
    config.write_text("input: {path: in}\n")
    command = [word.format(config=config) if word == "{config}" else word for word in words]
    done = CliRunner().invoke(cli, [*command, *(["--json"] if as_json else [])])
    assert done.exit_code != 0
    assert PASSWORD not in done.output


def test_a_message_keeps_everything_else():
    assert without_credentials("'s3://a:b@c/d' and s3://e/f, x@y") == "'s3://***@c/d' and s3://e/f, x@y"
    assert str(SparkDPError(f"at {URL}.")) == "at postgresql://***@host/db."
    assert ConfigurationError("m", field=URL).field == "postgresql://***@host/db"
