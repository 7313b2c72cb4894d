"""Folders of small files: writes that are seen whole or not at all."""

import os
import stat
from pathlib import Path

import pytest
from pyarrow import fs

from spark_dp.errors import ConfigurationError, InternalError, TransientError
from spark_dp.files import Folder


def test_what_is_written_is_read(tmp_path):
    folder = Folder.open(str(tmp_path / "a b" / "c"))
    folder.write("x/y.json", b"1")
    assert folder.read("x/y.json") == b"1"
    assert folder.exists("x/y.json")
    assert folder.child("x").read("y.json") == b"1"


@pytest.mark.parametrize("name", ["missing", "missing/deeper", "file/below"])
def test_a_file_that_is_not_there_reads_as_none(tmp_path, name):
    folder = Folder.open(str(tmp_path))
    folder.write("file", b"")
    assert folder.read(name) is None
    assert folder.read("file") == b""


def test_a_folder_read_as_a_file_is_an_error_and_not_none(tmp_path):
    (tmp_path / "x").mkdir()
    with pytest.raises(TransientError):
        Folder.open(str(tmp_path)).read("x")


def test_an_uri_and_a_path_open_the_same_folder(tmp_path):
    Folder.open(tmp_path.as_uri()).write("x", b"1")
    assert Folder.open(str(tmp_path) + "/").read("x") == b"1"


def test_a_relative_path_is_below_the_current_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = Folder.open("runs/x")
    folder.write("f", b"1")
    assert (tmp_path / "runs" / "x" / "f").read_bytes() == b"1"
    assert folder.shown == "runs/x"


def test_a_uri_of_a_file_opens_again(tmp_path):
    folder = Folder.open(str(tmp_path / "a b"))
    folder.write("m.npz", b"1")
    filesystem, path = fs.FileSystem.from_uri(folder.uri_of("m.npz"))
    assert filesystem.open_input_stream(path).read() == b"1"


def test_empty_is_nothing_there_or_an_empty_folder(tmp_path):
    folder = Folder.open(str(tmp_path / "x"))
    assert folder.is_empty()
    (tmp_path / "x").mkdir()
    assert folder.is_empty()
    folder.write(".hidden", b"")
    assert not folder.is_empty()
    assert not folder.child(".hidden").is_empty()


@pytest.mark.parametrize("uri", ["ftp://host/x?password=hunter2", "nosuch://x", "s3a://bucket/x"])
def test_an_unknown_scheme_is_refused_by_name_and_without_its_query(uri):
    with pytest.raises(ConfigurationError) as caught:
        Folder.open(uri)
    assert uri.split("?")[0] in str(caught.value)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("failing", ["fsync", "replace"])
def test_a_write_that_fails_leaves_what_was_there_and_nothing_beside(tmp_path, monkeypatch, failing):
    folder = Folder.open(str(tmp_path))
    folder.write("x", b"old")

    def fail(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os if failing == "fsync" else Path, failing, fail)
        with pytest.raises(TransientError, match="No space left") as caught:
            folder.write("x", b"new")
    assert caught.value.retriable
    assert folder.read("x") == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["x"]


def test_a_write_replaces_the_whole_file(tmp_path):
    folder = Folder.open(str(tmp_path))
    folder.write("x", b"a long text")
    with (tmp_path / "x").open("rb") as reader:
        folder.write("x", b"b")
        assert reader.read() == b"a long text"
    assert folder.read("x") == b"b"


@pytest.mark.parametrize("name", ["", "/etc/x", "../x", "a/../../x"])
def test_a_name_outside_the_folder_is_refused(tmp_path, name):
    with pytest.raises(InternalError):
        Folder.open(str(tmp_path)).write(name, b"")


@pytest.mark.parametrize("private", [True, False])
def test_only_private_records_are_kept_from_other_users(tmp_path, private):
    Folder.open(str(tmp_path)).child("state", private=private).child("answers").write("answer", b"content")
    mode = stat.S_IMODE((tmp_path / "state" / "answers" / "answer").stat().st_mode)
    assert (mode & 0o077 == 0) == private


def left_by_a_killed_writer(folder, name):
    path = Path(folder.path, name)
    path.parent.mkdir(parents=True, exist_ok=True)
    left = path.with_name(f".{path.name}.00c0ffee.tmp")
    left.write_bytes(b"half")
    return left


def test_what_a_killed_writer_left_goes_when_the_same_file_is_written(tmp_path):
    folder = Folder.open(str(tmp_path))
    left, other = left_by_a_killed_writer(folder, "x"), left_by_a_killed_writer(folder, "y")
    folder.write("x", b"1")
    assert not left.exists()
    assert other.exists()


def test_a_sweep_deletes_temporary_files_below_a_folder_and_nothing_else(tmp_path):
    folder = Folder.open(str(tmp_path))
    folder.write("a/x", b"1")
    folder.write(".hidden", b"1")
    left = left_by_a_killed_writer(folder, "a/y")
    folder.sweep()
    assert not left.exists()
    assert folder.read("a/x") == folder.read(".hidden") == b"1"
    folder.child("nowhere").sweep()


def test_a_writer_whose_temporary_file_is_swept_away_writes_again(tmp_path, monkeypatch):
    folder = Folder.open(str(tmp_path))
    replace, swept = Path.replace, []

    def slow(self, target):
        if not swept:
            swept.append(self)
            folder.sweep()
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", slow)
    folder.write("x", b"1")
    assert folder.read("x") == b"1"
    assert len(swept) == 1
    assert sorted(p.name for p in tmp_path.iterdir()) == ["x"]


def test_a_folder_is_removed_with_all_that_is_in_it(tmp_path):
    folder = Folder.open(str(tmp_path)).child("a")
    folder.write("b/x", b"1")
    folder.remove()
    folder.remove()
    assert not (tmp_path / "a").exists()
