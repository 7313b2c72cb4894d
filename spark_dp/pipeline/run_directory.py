"""The run directory: what a run has made so far.

    released/   may be published as it is
    internal/   the owner's
    state/      for resuming

A stage's artefact is a folder of files and a commit, written last, with the digest of every file and of what it was
made from. An artefact without a commit, or with another one, is not there.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from spark_dp.errors import ConfigurationError, InputError
from spark_dp.files import Folder

COMMIT = "_committed.json"
FORMAT = 1


def digest_of(facts: Mapping[str, Any]) -> str:
    """Returns the SHA-256 of a canonical JSON form, in hexadecimal."""
    canonical = json.dumps(facts, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(canonical.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Artefact:
    """A committed artefact, checked against its commit when it is opened.

    Attributes:
        inputs: digest of what it was made from.
        digest: of the artefact itself: what later stages are made from.
        files: contents by name.
    """

    inputs: str
    digest: str
    files: Mapping[str, bytes]

    def json(self, name: str) -> Any:
        return json.loads(self.files[name])


@dataclass(frozen=True, slots=True)
class RunDirectory:
    """DIRECTORY/KEY, at any URI that pyarrow.fs opens."""

    folder: Folder

    @classmethod
    def open(cls, directory: str, key: str) -> RunDirectory:
        """Opens the directory of a run; makes nothing.

        Raises:
            ConfigurationError: the key is no name of a folder.
        """
        if not key or key in (".", "..") or "/" in key or "\\" in key or "\n" in key:
            raise ConfigurationError(
                f"run.key {key!r} names a folder, so it may not be empty, '.' or '..', or hold a slash. "
                "Nothing was spent. Use a date or an identifier, such as 2013-W01.",
                field="run.key",
            )
        return cls(Folder.open(directory).child(key))

    @property
    def released(self) -> Folder:
        return self.folder.child("released")

    @property
    def internal(self) -> Folder:
        return self.folder.child("internal", private=True)

    @property
    def state(self) -> Folder:
        return self.folder.child("state", private=True)

    def commit(self, name: str, files: Mapping[str, bytes], *, inputs: str) -> Artefact:
        """Writes an artefact: its files first, its commit last.

        Args:
            name: of the artefact's folder, such as `released/model`.
            files: contents by file name.
            inputs: digest of what it is made from.
        """
        folder = self.folder.child(name)
        for file, content in files.items():
            folder.write(file, content)
        record = _commit_of(files, inputs)
        folder.write(COMMIT, json.dumps(record, indent=1, sort_keys=True).encode())
        return Artefact(inputs, digest_of(record), dict(files))

    def find(self, name: str) -> Artefact | None:
        """Returns a committed artefact, or None where there is none.

        Raises:
            InputError: a file of it is missing or differs from what was committed.
        """
        folder = self.folder.child(name)
        committed = folder.read(COMMIT)
        if committed is None:
            return None
        try:
            record = json.loads(committed)
            listed, inputs, version = record["files"], record["inputs"], record["format"]
        except (ValueError, KeyError, TypeError):
            raise self._altered(name, COMMIT) from None
        if version != FORMAT:
            raise InputError(
                f"{folder.shown} was written in format {version!r}; this release reads {FORMAT}. Nothing was "
                "changed. Use the release that wrote it."
            )
        files = {}
        for file, digest in listed.items():
            content = folder.read(file)
            if content is None or hashlib.sha256(content).hexdigest() != digest:
                raise self._altered(name, file)
            files[file] = content
        return Artefact(inputs, digest_of(record), files)

    def require(self, name: str, *, made_by: str) -> Artefact:
        """Returns a committed artefact.

        Raises:
            InputError: it is not there; names the stage that makes it.
        """
        found = self.find(name)
        if found is None:
            raise InputError(
                f"{self.folder.child(name).shown} is not there, or is not complete. Nothing was spent. Run "
                f"`spark-dp {made_by}` with this configuration first.",
                field="run.key",
            )
        return found

    def _altered(self, name: str, file: str) -> InputError:
        return InputError(
            f"{self.folder.child(name).shown}/{file} is missing or is not what was committed. Nothing was spent. "
            "Restore the run directory from a copy; a measurement is not drawn a second time.",
            field="run.directory",
        )


def _commit_of(files: Mapping[str, bytes], inputs: str) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "inputs": inputs,
        "files": {name: hashlib.sha256(content).hexdigest() for name, content in files.items()},
    }
