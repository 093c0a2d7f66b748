from __future__ import annotations

import pytest

from blemish.domain.file_managers import is_file_manager_file


@pytest.mark.parametrize(
    "path",
    [
        "._plate.JPG",
        "line 4/normal/._plate.jpg",
        ".DS_Store",
        "normal/Thumbs.db",
        "THUMBS.DB",
        "ehthumbs.db",
        "desktop.ini",
        "__MACOSX/normal/plate.jpg",
        "normal/@eaDir/plate.jpg/SYNOFILE_THUMB_M.jpg",
        "Icon\r",
    ],
)
def test_what_file_managers_leave_is_recognized(path: str) -> None:
    assert is_file_manager_file(path)


@pytest.mark.parametrize("path", ["plate.jpg", ".plate.jpg", "_plate.jpg", "thumbs/plate.jpg", ""])
def test_a_file_of_a_person_is_not(path: str) -> None:
    assert not is_file_manager_file(path)
