from __future__ import annotations

from pathlib import Path

import pytest

from blemish.storage.kept import KeptFiles


@pytest.fixture
def kept(tmp_path: Path) -> KeptFiles:
    root = tmp_path / "kept"
    root.mkdir()
    return KeptFiles(root, staging=tmp_path / "staging")


def test_lines_come_back_as_they_were_written(kept: KeptFiles) -> None:
    kept.write("entries", (line.encode() for line in ("ä\u2028\n", "b\r\n", "c")))

    assert list(kept.lines("entries")) == ["ä\u2028\n", "b\r\n", "c"]


def test_a_deleted_file_is_gone(kept: KeptFiles) -> None:
    kept.write("entries", b"")

    kept.delete("entries")
    kept.delete("never there")

    assert not kept.path("entries").exists()


def test_files_that_no_row_names_are_deleted(kept: KeptFiles) -> None:
    for name in ("named", "unnamed"):
        kept.write(name, b"")

    kept.delete_unnamed({"named", "not yet there"})

    assert kept.path("named").exists()
    assert not kept.path("unnamed").exists()
