"""What makes a stage safe to run again: whose measurements these are, and what the ledger has to say."""

from __future__ import annotations

import json
from typing import Final

from spark_dp.errors import ConfigurationError, SparkDPError
from spark_dp.pipeline.artefacts import MEASUREMENTS
from spark_dp.pipeline.config import RunConfig
from spark_dp.pipeline.run import Run
from spark_dp.pipeline.run_directory import Artefact
from spark_dp.privacy.ledger import Ledger
from spark_dp.privacy.run_account import RunAccount

SETTINGS: Final = "settings.json"


def require_affordable(config: RunConfig) -> None:
    """Asks the ledger whether this run could begin. What counts is asked again when it does."""
    privacy = config.privacy
    Ledger.connect(privacy.ledger_url()).require_affordable(
        privacy.dataset, config.run.key, privacy.budget, privacy.unit.label, privacy.neighbours
    )


def require_records(run: Run) -> None:
    """Finds out, before anything is reserved, whether the run can keep its records."""
    run.directory.state.write("began", b"")


def remember(run: Run, identity: str) -> None:
    """Keeps what is measured, for whoever runs the same key again."""
    run.directory.state.write(SETTINGS, json.dumps(run.config.measure_settings(), indent=1).encode())
    run.directory.state.write("measure_digest", identity.encode())


def reservation(config: RunConfig, *, resumed: bool) -> str:
    """Says what was reserved, and when."""
    budget = config.privacy.budget
    spent = f"(ε, δ) = ({budget.epsilon:g}, {budget.delta:g}) of the account"
    return f"resumed: {spent} was reserved before, and is charged once" if resumed else f"reserved {spent}"


def replayed(run: Run, released: Artefact, identity: str) -> Artefact:
    """The measurements that are there, if they are of this configuration and this state of the input."""
    require_same_settings(run, released)
    _require_same_input(run, identity)
    run.progress.say("the measurements of this key are there already: nothing was spent again")
    return released


def measurements_of(run: Run) -> Artefact:
    """The measurements of this configuration, or an error that says what to do."""
    found = run.directory.require(MEASUREMENTS, made_by="measure")
    require_same_settings(run, found)
    return found


def require_same_settings(run: Run, found: Artefact) -> None:
    """Refuses measurements that were made under other settings."""
    if found.inputs != run.settings_digest:
        before = json.loads(run.directory.state.read(SETTINGS) or b"{}")
        now = run.config.measure_settings()
        differing = [name for name in now if before and before.get(name) != now[name]]
        raise ConfigurationError(
            f"run.key {run.config.run.key!r} holds measurements of other settings"
            f"{': ' + ', '.join(differing) if differing else ''}. Nothing was spent or changed. Restore that "
            "configuration, or choose another run.key.",
            field="run.key",
        )


def _require_same_input(run: Run, identity: str) -> None:
    before = run.directory.state.read("measure_digest")
    if before is not None and before.decode() != identity:
        raise ConfigurationError(
            f"run.key {run.config.run.key!r} holds measurements of another state of the input: its files have changed "
            "since. Nothing was spent. Choose another run.key to measure the table as it is now (it is charged "
            "anew), or run `spark-dp fit`, `generate` and `report`, which do not read the input.",
            field="run.key",
        )


def give_back(run: Run, account: RunAccount) -> None:
    """A failure that answered nothing costs nothing. If the ledger cannot be asked, the reservation stands."""
    try:
        if account.void_if_unanswered():
            run.progress.say("nothing was answered: what was reserved is given back")
    except SparkDPError:
        run.progress.say("the reservation stands, for the ledger could not be asked; the same key resumes it")
