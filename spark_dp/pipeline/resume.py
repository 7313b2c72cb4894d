"""What makes a stage safe to run again: whose measurements these are, and what the ledger has to say."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Final

from spark_dp.errors import ConfigurationError, SparkDPError, TakenOverError
from spark_dp.files import Folder
from spark_dp.pipeline.artefacts import MEASUREMENTS, MODEL, read_statement, require_same_release
from spark_dp.pipeline.config import RunConfig
from spark_dp.pipeline.ledger_marks import keep_head, seen_head
from spark_dp.pipeline.run import Run
from spark_dp.pipeline.run_directory import Artefact
from spark_dp.pipeline.spent import Reservation
from spark_dp.privacy.bindings import parts_of_table, path_in_a_format, place_of_path, place_of_table
from spark_dp.privacy.leases import Waiting
from spark_dp.privacy.ledger import Ledger
from spark_dp.privacy.run_account import RunAccount
from spark_dp.privacy.stated import pair

SETTINGS: Final = "settings.json"
COMPLETE: Final = "complete"


def require_affordable(config: RunConfig) -> None:
    """Asks the ledger whether this run could begin. What counts is asked again when it does."""
    privacy = config.privacy
    Ledger.connect(privacy.ledger_url()).require_affordable(
        privacy.dataset, config.run.key, privacy.budget, privacy.unit.label, privacy.neighbours
    )


def require_records(run: Run) -> None:
    """Finds out, before anything is reserved, whether the run can keep its records."""
    run.directory.state.write("began", b"")


def begin(run: Run, identity: str) -> RunAccount:
    """Reserves the run's cost, or takes the run over, in the account that its input is bound to."""
    privacy, key = run.config.privacy, run.config.run.key

    def waiting(held: Waiting) -> None:
        run.progress.say(
            f"run {held.key!r} is held by another driver: waiting until it ends, or until its lease ends unrenewed "
            f"({held.until:%H:%M:%S} UTC)"
        )

    return Ledger.connect(privacy.ledger_url()).begin(
        privacy.dataset,
        key,
        identity,
        privacy.budget,
        privacy.unit.label,
        privacy.neighbours,
        place=input_place(run),
        seen_head=seen_head(run),
        waiting=waiting,
    )


def input_place(run: Run) -> str | None:
    """Returns the name under which the account is bound to the input; None for a frame, which has none."""
    source = run.config.input
    if run.table is not None:
        return None
    if source.table is None:
        return place_of_path(str(source.path))
    in_full, parts = source.table, parts_of_table(source.table)
    if path_in_a_format(in_full) is None and len(parts) < 3:
        catalog = run.spark(to_compute=False).catalog
        above = [catalog.currentCatalog(), *([] if len(parts) > 1 else [catalog.currentDatabase()])]
        in_full = ".".join(f"`{part.replace('`', '``')}`" for part in (*above, *parts))
    return place_of_table(in_full)


def remember(run: Run, identity: str) -> None:
    """Keeps what is measured, for whoever runs the same key again."""
    run.directory.state.write(SETTINGS, json.dumps(run.config.measure_settings(), indent=1).encode())
    run.directory.state.write("measure_digest", identity.encode())


def reservation(config: RunConfig, *, resumed: bool) -> str:
    """Says what was reserved, and when."""
    budget = config.privacy.budget
    spent = f"(ε, δ) = {pair(budget.epsilon, budget.delta)} of the account"
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


def model_of(run: Run, measured: Artefact) -> Artefact:
    """The model of these measurements, or an error that says what to do."""
    return require_same_release(run.directory.require(MODEL, made_by="fit"), measured)


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


def give_back(run: Run, account: RunAccount) -> Reservation:
    """A failure that answered nothing costs nothing. If the ledger cannot be asked, the reservation stands.

    Returns:
        What became of what was reserved, as far as that could be found out.
    """
    try:
        voided = account.void_if_unanswered()
    except TakenOverError:
        return Reservation.UNKNOWN
    except SparkDPError:
        run.progress.say("the reservation stands, for the ledger could not be asked; the same key resumes it")
        return Reservation.UNKNOWN
    with suppress(SparkDPError):  # the run has failed already, perhaps because nothing can be written here
        keep_head(run, account.head)
    if voided:
        run.progress.say("nothing was answered: what was reserved is given back")
        with suppress(SparkDPError):
            answers_of(run, account).remove()
    return Reservation.GIVEN_BACK if voided else Reservation.ANSWERED


def answers_of(run: Run, account: RunAccount) -> Folder:
    """Where what was asked and what was drawn is kept: never drawn again."""
    return run.directory.state.child(f"answers/{account.run_id}")


def records_of(run: Run, measured: Artefact) -> Folder:
    """Where what was asked is kept, of the run that made these measurements."""
    return run.directory.state.child(f"answers/{read_statement(measured)['run_id']}")


def complete(run: Run, account: RunAccount) -> None:
    """Ends the run in the ledger, and remembers that it was."""
    account.complete()
    keep_head(run, account.head)
    run.directory.state.write(COMPLETE, account.run_id.encode())


def is_complete(run: Run, released: Artefact) -> bool:
    """Whether the ledger was told that all is measured: a driver may have been lost between the release and that."""
    told = run.directory.state.read(COMPLETE)
    return told is not None and told.decode() == read_statement(released)["run_id"]
