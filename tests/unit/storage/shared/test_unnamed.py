from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from blemish.storage.shared.folders import SharedFolders
from blemish.storage.shared.unnamed import remove_unnamed

SOON = timedelta(hours=1)


def test_a_folder_without_a_row_is_marked_first_and_removed_later(
    open_shared: Callable[[str], SharedFolders],
) -> None:
    shared = open_shared("first")
    for name in ("named", "unnamed"):
        shared.write(name, name, b"content")
    now = datetime.now(UTC)

    def clean(*, written_before: datetime, marked_before: datetime, named: str = "named") -> None:
        remove_unnamed(
            shared, lambda: {named}, written_before=written_before, marked_before=marked_before
        )

    clean(written_before=now - SOON, marked_before=now + SOON)
    assert shared.marks() == {}  # it may be about to get its row

    clean(written_before=now + SOON, marked_before=now + SOON)
    assert list(shared.marks()) == ["unnamed"]

    clean(written_before=now + SOON, marked_before=now - SOON)
    assert sorted(shared.names()) == ["named", "unnamed"]

    clean(written_before=now + SOON, marked_before=now - SOON, named="unnamed")
    assert list(shared.marks()) == ["named"]  # another database was put back

    clean(written_before=now + SOON, marked_before=now + SOON, named="unnamed")
    assert list(shared.names()) == ["unnamed"]
    assert shared.marks() == {}
