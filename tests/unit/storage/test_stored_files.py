from __future__ import annotations

from pathlib import Path

import pytest

from blemish.storage.errors import KeyUnavailableError, ObjectReadError, SealBrokenError
from blemish.storage.stored_files import StoredFiles
from tests.unit.storage.sealing import new_encryption, new_keyring


@pytest.fixture
def kept(tmp_path: Path) -> StoredFiles:
    root = tmp_path / "kept"
    root.mkdir()
    encryption = new_encryption(new_keyring(tmp_path))
    return StoredFiles(root, staging=tmp_path / "staging", encryption=encryption)


def test_lines_come_back_as_they_were_written(kept: StoredFiles) -> None:
    kept.write("entries", (line.encode() for line in ("ä\u2028\n", "b\r\n", "c")))

    assert list(kept.lines("entries")) == ["ä\u2028\n", "b\r\n", "c"]


@pytest.mark.parametrize("size", [0, 1, 70_000])
def test_a_long_line_and_a_text_without_one_come_back(kept: StoredFiles, size: int) -> None:
    kept.write("entries", b"x" * size + b"\n" + b"y" * size)

    assert list(kept.lines("entries")) == ["x" * size + "\n", *(["y" * size] if size else [])]


def test_a_kept_file_cannot_be_read_from_the_disk(kept: StoredFiles) -> None:
    kept.write("entries", b'{"source-ref": "s3://factory/plate.jpg"}\n' * 1_000)

    assert b"source-ref" not in kept.path("entries").read_bytes()


def test_a_file_of_an_older_version_is_read_as_it_is(kept: StoredFiles) -> None:
    kept.path("entries").write_bytes(b"a\nb\n")

    assert list(kept.lines("entries")) == ["a\n", "b\n"]


def test_one_kept_file_cannot_stand_for_another(kept: StoredFiles) -> None:
    kept.write("entries", b"a\n")

    kept.path("entries").rename(kept.path("others"))

    with pytest.raises(SealBrokenError, match="was sealed as name entries"):
        list(kept.lines("others"))


def test_a_file_without_its_end_is_not_taken_for_whole(kept: StoredFiles) -> None:
    kept.write("entries", b"a line\n" * 100_000)
    sealed = kept.path("entries").read_bytes()

    kept.path("entries").write_bytes(sealed[:-100_000])

    with pytest.raises(SealBrokenError, match="damaged"):
        list(kept.lines("entries"))


def test_a_missing_file_is_named(kept: StoredFiles) -> None:
    with pytest.raises(ObjectReadError, match="entries cannot be read"):
        list(kept.lines("entries"))


def test_what_cannot_be_sealed_is_not_written(kept: StoredFiles) -> None:
    with pytest.raises(KeyUnavailableError):
        kept.write("entries", b"a\n", kms_key_id="alias/unknown")

    assert not kept.path("entries").exists()


def test_parts_of_the_users_own_objects_are_not_sealed(tmp_path: Path) -> None:
    uploads = StoredFiles(tmp_path, staging=tmp_path / "staging", encryption=None)

    uploads.write("part", b"an image")

    assert uploads.path("part").read_bytes() == b"an image"


def test_a_deleted_file_is_gone(kept: StoredFiles) -> None:
    kept.write("entries", b"")

    kept.delete("entries")
    kept.delete("never there")

    assert not kept.path("entries").exists()
