from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from blemish.domain.entities import ObjectRef
from blemish.storage.errors import (
    ObjectError,
    ObjectMissingError,
    ObjectReadError,
    StoreUnavailableError,
    StoreWriteError,
)
from blemish.storage.objects.store import ObjectStore
from blemish.storage.shared.adoption import share_files
from blemish.storage.shared.folders import SharedFolders

Open = Callable[[str], SharedFolders]
OBJECTS = "s3/files/plant/1/bundles/7-1"


def test_a_folder_of_one_server_is_read_by_another(
    open_shared: Open, bundle_folder: Path, tmp_path: Path
) -> None:
    open_shared("first").publish(bundle_folder, "7-1")
    second = open_shared("second")

    path = second.path("7-1", "model")

    assert path.read_bytes() == b"weights" * 1_000
    assert path.is_relative_to(tmp_path / "second" / "cache")
    assert second.has("7-1", "info")
    assert not second.has("7-1", "SHA256SUMS")
    assert not second.has("8-1", "info")


def test_a_copy_is_used_without_the_store(
    open_shared: Open, bundle_folder: Path, tmp_path: Path
) -> None:
    shared = open_shared("first")
    shared.publish(bundle_folder, "7-1")
    shared.path("7-1", "model")
    (tmp_path / "s3").rename(tmp_path / "away")

    assert shared.path("7-1", "model").read_bytes() == b"weights" * 1_000


@pytest.mark.parametrize(
    ("damaged", "content"),
    [
        ("model", b""),
        ("folder.json", b""),
        ("folder.json", b'{"model": {"sha256": "", "size_bytes": 1}}'),
        ("folder.json", b'{"model": {"sha256": "", "size_bytes": 7000}}'),
    ],
)
def test_a_damaged_copy_is_fetched_anew(
    open_shared: Open, bundle_folder: Path, tmp_path: Path, damaged: str, content: bytes
) -> None:
    shared = open_shared("first")
    shared.publish(bundle_folder, "7-1")
    shared.path("7-1", "model")
    (tmp_path / "first" / "cache" / "bundles" / "7-1" / damaged).write_bytes(content)

    assert shared.path("7-1", "model").read_bytes() == b"weights" * 1_000


def test_what_is_damaged_in_the_store_is_no_file(
    open_shared: Open, bundle_folder: Path, tmp_path: Path
) -> None:
    open_shared("first").publish(bundle_folder, "7-1")
    (tmp_path / OBJECTS / "model").write_bytes(b"weight" * 1_000)

    with pytest.raises(ObjectReadError, match="s3://files/plant/1/bundles/7-1/model is damaged"):
        open_shared("second").path("7-1", "model")


def test_a_folder_without_an_end_does_not_exist(
    open_shared: Open, bundle_folder: Path, tmp_path: Path
) -> None:
    open_shared("first").publish(bundle_folder, "7-1")
    (tmp_path / OBJECTS / "folder.json").unlink()

    with pytest.raises(ObjectMissingError, match=r"There is no s3://files/plant/1/bundles/7-1"):
        open_shared("second").path("7-1", "model")


def test_a_removed_folder_leaves_nothing(
    open_shared: Open, bundle_folder: Path, tmp_path: Path
) -> None:
    shared = open_shared("first")
    shared.publish(bundle_folder, "7-1")
    shared.write("7-10", "entries", [b"a", b"b"])

    shared.remove("7-1")
    shared.remove("7-1")

    assert list(shared.names()) == ["7-10"]
    assert shared.path("7-10", "entries").read_bytes() == b"ab"
    assert not (tmp_path / "first" / "cache" / "bundles" / "7-1").exists()


@pytest.mark.parametrize("error", [StoreUnavailableError, StoreWriteError])
def test_a_folder_that_nothing_needs_waits_for_a_store_that_deletes(
    open_shared: Open, error: type[ObjectError]
) -> None:
    shared = open_shared("first")

    class Away(ObjectStore):
        def delete(self, ref: ObjectRef) -> None:
            raise error(f"{ref} cannot be deleted.")

    object.__setattr__(shared._at, "store", Away(Path("/")))

    shared.discard("7-1")
    with pytest.raises(error):
        shared.remove("7-1")


def test_files_of_one_data_directory_become_shared(
    open_shared: Open, bundle_folder: Path, tmp_path: Path
) -> None:
    local = tmp_path / "bundles"
    local.mkdir()
    bundle_folder.rename(local / "7-1")
    (local / "entries-1.jsonl").write_bytes(b"lines")
    shared = open_shared("first")
    shared.write("7-2", "7-2", b"it is shared already")
    (local / "7-2").write_bytes(b"another content")

    share_files(local, shared, staging=tmp_path / "first" / "staging")

    second = open_shared("second")
    assert second.path("7-1", "info").read_bytes() == b"{}"
    assert second.path("entries-1.jsonl", "entries-1.jsonl").read_bytes() == b"lines"
    assert second.path("7-2", "7-2").read_bytes() == b"it is shared already"
    assert list(local.iterdir()) == []


def test_a_folder_that_cannot_be_sealed_is_not_there(open_shared: Open) -> None:
    shared = open_shared("first")

    def chunks() -> Iterable[bytes]:
        yield b"a"
        raise ValueError("no key")

    with pytest.raises(ValueError, match="no key"):
        shared.write("entries", "entries", chunks())

    assert shared.files("entries") == {}
    assert shared.names() == {}
