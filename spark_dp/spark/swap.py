"""Putting a finished folder into its place: in one step where the system can, else in steps that a crash cannot break.

    a whole table      staging <-> output, exchanged; without an exchange: output -> previous, staging -> output
    partitions         a journal in the staging folder, the manifest, then the same for one partition after another

The journal names what is to be put into place and holds the manifest, so that whoever comes after a crash finishes the
swap, also without knowing the run that began it. The manifest goes first: at no moment is there a partition whose run
and cost it does not name.
"""

from __future__ import annotations

import ctypes
import errno
import functools
import json
import os
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from pyarrow import fs

from spark_dp.files import Folder

MANIFEST: Final = "_manifest.json"
JOURNAL: Final = "_swap.json"
_HERE: Final = -100
_EXCHANGE: Final = 2
_CANNOT: Final = (errno.ENOSYS, errno.EINVAL, errno.ENOTSUP, errno.EXDEV)
"""What a kernel or a file system says that exchanges nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Swap:
    """Three folders beside one another.

    Attributes:
        filesystem: that has them.
        staging: holds what is new.
        final: where it goes.
        previous: where what was there is set aside when it cannot be exchanged.
    """

    filesystem: fs.FileSystem
    staging: str
    final: str
    previous: str

    def tidy(self) -> None:
        """Deletes what tasks that Spark gave up have left in the staging folder since it was finished."""
        left = f"{self.staging}/_temporary"
        if exists(self.filesystem, left):
            self.filesystem.delete_dir(left)

    def table(self) -> None:
        """Replaces the whole table; what was there before is deleted in the end."""
        if not exists(self.filesystem, self.final):
            self.filesystem.move(self.staging, self.final)
        elif exchange(self.filesystem, self.staging, self.final):
            self.filesystem.delete_dir(self.staging)
        else:
            self.filesystem.move(self.final, self.previous)
            self.filesystem.move(self.staging, self.final)
            self.filesystem.delete_dir(self.previous)

    def begin_partitions(self, manifest: bytes) -> None:
        """Writes the journal: from now on the swap is finished and not undone, whatever happens."""
        files = self.filesystem.get_file_info(fs.FileSelector(self.staging, recursive=True))
        leaves = {}
        for file in sorted(f.path for f in files if f.type == fs.FileType.File):
            leaf, _, name = file[len(self.staging) + 1 :].rpartition("/")
            if "=" in leaf:
                leaves[leaf] = name
        journal = {"leaves": leaves, "manifest": manifest.decode()}
        self._staging_folder().write(JOURNAL, json.dumps(journal, indent=1).encode())

    def finish_partitions(self) -> bytes | None:
        """Does what the journal says and was not done yet.

        Returns:
            The manifest that it wrote: the journal's, with the runs that have written here since it was made
            (`with_runs_of`); None where there was no journal.
        """
        content = self._staging_folder().read(JOURNAL)
        if content is None:
            return None
        journal = json.loads(content)
        manifest = self._name_runs(journal["manifest"].encode())
        for leaf, name in journal["leaves"].items():
            self._partition(leaf, name)
        manifest = self._name_runs(manifest)
        if exists(self.filesystem, self.previous):
            self.filesystem.delete_dir(self.previous)
        self.discard()
        return manifest

    def discard(self) -> None:
        """Deletes the staging folder so that whoever looks finds it whole, or marked as nobody's, or not at all."""
        discarded = f"{self.previous.removesuffix('previous')}discarded-{secrets.token_hex(4)}"
        self.filesystem.move(self.staging, discarded)
        self.filesystem.delete_dir(discarded)

    def _name_runs(self, manifest: bytes) -> bytes:
        """Writes the manifest with the runs that the one in place names, where it is not there; returns what is there."""
        final = Folder(self.filesystem, self.final, self.final)
        there = final.read(MANIFEST)
        manifest = with_runs_of(manifest, there)
        if manifest != there:
            final.write(MANIFEST, manifest)
        return manifest

    def _partition(self, leaf: str, name: str) -> None:
        """Puts one partition into place, unless it is there: Spark gives the files of each write names of their own."""
        new, there, aside = (f"{folder}/{leaf}" for folder in (self.staging, self.final, self.previous))
        if exists(self.filesystem, f"{there}/{name}"):
            return
        if exists(self.filesystem, there):
            if exchange(self.filesystem, new, there):
                return
            self.filesystem.create_dir(aside.rpartition("/")[0], recursive=True)
            self.filesystem.move(there, aside)
        self.filesystem.create_dir(there.rpartition("/")[0], recursive=True)
        self.filesystem.move(new, there)

    def _staging_folder(self) -> Folder:
        return Folder(self.filesystem, self.staging, self.staging)


def with_runs_of(manifest: bytes, there: bytes | None) -> bytes:
    """Returns a manifest that also names the runs of the one that is there: their partitions stay, and their cost adds up.

    Runs may write partitions of one table at the same time, each with a manifest that it made before the others ended.
    What is no manifest names no run.
    """
    new, stated = _stated_by(manifest), _stated_by(there)
    named = {run["run_id"] for run in new}
    missing = [run for run in stated if run["run_id"] not in named]
    if not new or not missing:
        return manifest
    facts = json.loads(manifest)
    facts["earlier_runs"] = [*facts["earlier_runs"], *missing]
    return json.dumps(facts, indent=1, sort_keys=True).encode()


def _stated_by(manifest: bytes | None) -> list[dict[str, Any]]:
    """The statements of all runs that a manifest names, its own last; none where it cannot be read."""
    try:
        facts = json.loads(manifest or b"null")
        runs = [*facts["earlier_runs"], facts["privacy"]]
        return [run for run in runs if isinstance(run["run_id"], str)]
    except (ValueError, KeyError, TypeError):
        return []


def exchange(filesystem: fs.FileSystem, one: str, other: str) -> bool:
    """Exchanges two folders in one step, so that at no moment either is missing.

    Returns:
        Whether it was done: Linux can, on most local file systems.
    """
    rename = _renameat2() if isinstance(filesystem, fs.LocalFileSystem) else None
    if rename is None:
        return False
    if rename(_HERE, os.fsencode(one), _HERE, os.fsencode(other), _EXCHANGE) == 0:
        return True
    code = ctypes.get_errno()
    if code in _CANNOT:
        return False
    raise OSError(code, os.strerror(code))


def exists(filesystem: fs.FileSystem, path: str) -> bool:
    """Says whether there is a file or a folder."""
    return bool(filesystem.get_file_info(path).type != fs.FileType.NotFound)


@functools.cache
def _renameat2() -> Callable[..., int] | None:
    """The system's call, which Python has no name for."""
    try:
        call: Any = ctypes.CDLL(None, use_errno=True).renameat2
    except (OSError, AttributeError):
        return None
    call.argtypes = [ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_uint]
    call.restype = ctypes.c_int
    found: Callable[..., int] = call
    return found
