"""A folder at any URI that pyarrow.fs opens, with writes that are seen whole or not at all."""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pyarrow import fs

from spark_dp.errors import ConfigurationError, InternalError, SparkDPError, TransientError

_TEMPORARY = ".tmp"
_ATTEMPTS = 3
_SCHEME = re.compile(r"^[A-Za-z][A-Za-z0-9+.-]+:")


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder of small files.

    Attributes:
        filesystem: local, S3, GCS, HDFS, as pyarrow opens it.
        path: of the folder in it.
        uri: as it was given, for messages.
        private: local files are for their owner alone to read.
    """

    filesystem: fs.FileSystem
    path: str
    uri: str
    private: bool = False

    @classmethod
    def open(cls, uri: str) -> Folder:
        """Opens a folder, which need not exist; a path without a scheme is local, from the current directory.

        Raises:
            ConfigurationError: no file system knows the URI.
        """
        try:
            if _SCHEME.match(uri):
                filesystem, path = fs.FileSystem.from_uri(uri)
            else:
                filesystem, path = fs.LocalFileSystem(), str(Path(uri).absolute())
        except (OSError, ValueError, NotImplementedError) as error:
            raise ConfigurationError(
                f"{_without_query(uri)!r} cannot be opened as a folder ({type(error).__name__}). Give a local path, or "
                "a URI that pyarrow.fs knows: file://, s3://, gs://, hdfs://.",
                field="run.directory",
            ) from None
        return cls(filesystem, path.rstrip("/") or "/", uri)

    def child(self, name: str, *, private: bool = False) -> Folder:
        """Returns a folder in the folder; what is in a private one is private."""
        return Folder(self.filesystem, f"{self.path}/{name}", self.uri, self.private or private)

    @property
    def is_local(self) -> bool:
        return isinstance(self.filesystem, fs.LocalFileSystem)

    @property
    def shown(self) -> str:
        """The folder as a user may read it: nothing of a URI's query, where credentials may stand."""
        if self.is_local:
            here = Path.cwd()
            path = Path(self.path)
            return str(path.relative_to(here)) if path.is_relative_to(here) else self.path
        return f"{self.filesystem.type_name}://{self.path}"

    def _inside(self, name: str) -> str:
        """The path of a file in the folder; a name that leads out of it is refused."""
        parts = name.split("/")
        if not name or name.startswith("/") or ".." in parts:
            raise InternalError(f"{name!r} is no name inside a folder.")
        return f"{self.path}/{name}"

    def uri_of(self, name: str) -> str:
        """Returns a URI under which another process opens a file of the folder."""
        if self.is_local:
            return Path(self.path, name).as_uri()
        scheme = {"gcs": "gs"}.get(self.filesystem.type_name, self.filesystem.type_name)
        query = f"?{self.uri.split('?', 1)[1]}" if "?" in self.uri else ""
        return f"{scheme}://{self.path}/{name}{query}"

    def read(self, name: str) -> bytes | None:
        """Returns the bytes under a name, or None where there are none."""
        try:
            with self.filesystem.open_input_stream(self._inside(name)) as stream:
                return bytes(stream.read())
        except FileNotFoundError:
            return None
        except NotADirectoryError:
            return None
        except OSError as error:
            raise self._failed("read", name, error) from None

    def write(self, name: str, content: bytes) -> None:
        """Writes all of the bytes, or nothing.

        Local: under a temporary name, forced to the disk, renamed. In an object store a file appears when it
        is complete.
        """
        try:
            if self.is_local:
                self._write_local(Path(self._inside(name)), content)
                return
            if self.filesystem.type_name == "hdfs":
                self.filesystem.create_dir(self._inside(name).rsplit("/", 1)[0], recursive=True)
            with self.filesystem.open_output_stream(self._inside(name)) as stream:
                stream.write(content)
        except OSError as error:
            raise self._failed("write", name, error) from None

    def sweep(self) -> None:
        """Deletes the temporary files in a local folder that writers left who were killed; one that lives writes anew."""
        if self.is_local:
            for left in Path(self.path).rglob(f".*{_TEMPORARY}"):
                left.unlink(missing_ok=True)

    def remove(self) -> None:
        """Deletes the folder and all that is in it.

        Raises:
            ConfigurationError, TransientError: it cannot be deleted.
        """
        try:
            self.filesystem.delete_dir(self.path)
        except FileNotFoundError:
            return
        except OSError as error:
            raise self._failed("delete", ".", error) from None

    def exists(self, name: str) -> bool:
        info = self.filesystem.get_file_info(self._inside(name))
        return bool(info.type != fs.FileType.NotFound)

    def is_empty(self) -> bool:
        """Says whether nothing is there: no folder, or an empty one."""
        info = self.filesystem.get_file_info(self.path)
        if info.type == fs.FileType.File:
            return False
        listed = self.filesystem.get_file_info(fs.FileSelector(self.path, allow_not_found=True))
        return len(listed) == 0

    def _write_local(self, path: Path, content: bytes) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        if self.private:
            Path(self.path).chmod(0o700)
        for _ in range(_ATTEMPTS - 1):
            # Another writer of this file may have taken ours for one that a killed writer left.
            with suppress(FileNotFoundError):
                self._replace(path, content)
                break
        else:
            self._replace(path, content)
        for left in _temporaries_of(path):
            left.unlink(missing_ok=True)
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def _replace(self, path: Path, content: bytes) -> None:
        temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}{_TEMPORARY}")
        try:
            mode = 0o600 if self.private else 0o666
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
            with os.fdopen(descriptor, "wb") as stream:
                stream.write(content)
                stream.flush()
                os.fsync(stream.fileno())
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)

    def _failed(self, verb: str, name: str, error: OSError) -> SparkDPError:
        if isinstance(error, PermissionError | FileNotFoundError | NotADirectoryError | FileExistsError):
            return ConfigurationError(
                f"Could not {verb} {name!r} in {self.shown!r} ({error.strerror or type(error).__name__}). What was there "
                "before is unchanged. Give a folder that this user may write to.",
                field="run.directory",
            )
        return TransientError(
            f"Could not {verb} {name!r} in {self.shown!r} ({type(error).__name__}: {error.strerror or 'no reason given'})."
            " What was there before is unchanged. Check that the folder can be reached and written, and run the same "
            "key again.",
            field="run.directory",
        )


def _temporaries_of(path: Path) -> Iterator[Path]:
    """What writers of a file left who were killed before they could rename it."""
    with os.scandir(path.parent) as entries:
        found = [entry.name for entry in entries if entry.name.startswith(f".{path.name}.")]
    return (path.with_name(name) for name in found if name.endswith(_TEMPORARY))


def _without_query(uri: str) -> str:
    return uri.split("?", 1)[0]
