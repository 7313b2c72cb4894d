"""What a run and its directory remember of the ledger, so that an older copy of it is noticed.

    DIRECTORY/KEY/state/ledger-HASH.json     the last entry of the account's chain that this run has seen
    DIRECTORY/.ledger-HASH.json              the last that any run of the directory has seen

The hash is of the account's name: two accounts may share a directory and a key. Neither file
holds the ledger's URL, nor anything of the table. Who can write the ledger, these files and compute the chain
anew is not stopped by them.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from spark_dp.errors import LedgerError
from spark_dp.files import Folder
from spark_dp.pipeline.run import Run
from spark_dp.privacy.ledger_chain import Head


def seen_head(run: Run) -> Head | None:
    """Returns the newest entry of the account's chain that this run or another of the directory has seen.

    Raises:
        LedgerError: a mark was altered.
    """
    seen = [head for head in (_read(folder, name) for folder, name in _places(run)) if head is not None]
    return max(seen, key=lambda head: head.seq, default=None)


def keep_head(run: Run, head: Head) -> None:
    """Remembers an entry. Of two runs at once the one that has seen more is believed."""
    for folder, name in _places(run):
        before = _read(folder, name)
        if before is None or before.seq < head.seq:
            folder.write(name, json.dumps(head.to_json()).encode())
            if folder.is_local:
                Path(folder.path, name).chmod(0o600)


def _places(run: Run) -> tuple[tuple[Folder, str], ...]:
    named = hashlib.sha256(run.config.privacy.dataset.encode()).hexdigest()[:16]
    beside = Folder.open(run.config.run.directory)
    return (run.directory.state, f"ledger-{named}.json"), (beside, f".ledger-{named}.json")


def _read(folder: Folder, name: str) -> Head | None:
    content = folder.read(name)
    if content is None:
        return None
    try:
        facts = dict(json.loads(content))
    except (ValueError, TypeError):
        facts = {}
    try:
        return Head.from_json(facts)
    except LedgerError:
        raise LedgerError(
            f"{folder.shown}/{name}, which remembers what the ledger had, was altered. Nothing was spent and nothing "
            "was read. Restore it from a copy; or delete it, if the ledger is known to be the newest."
        ) from None
