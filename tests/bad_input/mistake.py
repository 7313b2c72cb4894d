"""One row of the table of mistakes, and how it is made by hand: a site, a changed file, a command."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
from support.visits import Site, visits

CANARY = "canary-5d1e"


@dataclass(frozen=True, kw_only=True)
class Mistake:
    """What a user got wrong, and what they are told.

    Attributes:
        what: in words; the test's name.
        code: what the command exits with.
        says: what the message has to hold: the setting, the value, the choices.
        sets: `--set` assignments; {folder} is the site's.
        text: changes the configuration's text.
        prepare: changes the site's files or its ledger.
        command: what is run; {config} and {folder} are filled in.
        spends: what the account has paid afterwards is not nothing: for mistakes after a measurement.
    """

    what: str
    code: int
    says: tuple[str, ...]
    sets: tuple[str, ...] = ()
    text: Callable[[str], str] | None = None
    prepare: Callable[[Site], None] | None = None
    command: tuple[str, ...] = ("run", "{config}")
    spends: bool = False

    def __str__(self) -> str:
        return self.what.replace(" ", "-")

    def arguments(self, site: Site) -> list[str]:
        """Returns the words of the command line, after making the files that it is about."""
        config = site.config_file()
        if self.text is not None:
            config.write_text(self.text(config.read_text()))
        if self.prepare is not None:
            self.prepare(site)
        words = [word.format(config=config, folder=site.folder) for word in self.command]
        return words + [w for s in self.sets for w in ("--set", s.replace("{folder}", str(site.folder)))]


def planted() -> pa.Table:
    """The visits, with a person and a ward of a name that no message may hold."""
    table = visits(rows=300, persons=40)
    row = table.slice(0, 1).to_pylist()[0] | {"person": CANARY, "ward": CANARY}
    return pa.concat_tables([table, pa.Table.from_pylist([row] * 20, table.schema)])


def swap(old: str, new: str) -> Callable[[str], str]:
    """Changes a passage of the configuration; fails where it is not there."""

    def change(text: str) -> str:
        assert old in text, old
        return text.replace(old, new)

    return change


def without(setting: str) -> Callable[[str], str]:
    """Takes a line out of the configuration."""

    def change(text: str) -> str:
        lines = text.splitlines()
        kept = [line for line in lines if not line.strip().startswith(f"{setting}:")]
        assert len(kept) < len(lines), setting
        return "\n".join(kept)

    return change


def rewritten(content: str | bytes) -> Callable[[Site], None]:
    """Puts something else in the place of the configuration."""

    def change(site: Site) -> None:
        raw = content.encode() if isinstance(content, str) else content
        (site.folder / "visits.yaml").write_bytes(raw)

    return change


def a_file(name: str, content: str | bytes = "") -> Callable[[Site], None]:
    """Puts a file into the site's folder."""

    def change(site: Site) -> None:
        path = Path(site.folder) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)

    return change
