from __future__ import annotations

from structlog.testing import capture_logs

from blemish.storage.trash import move_to_trash, unnamed_files
from tests.unit.house import House


def test_files_without_a_row_are_moved_and_others_stay(trainable: House) -> None:
    model = trainable.trained()
    directory = trainable.directory
    for name in ("bundles/7-1", "kept/unnamed", "uploads/part"):
        (directory.root / name).write_text("left")

    with capture_logs() as logs:
        unnamed = unnamed_files(directory, trainable.database)
        count = move_to_trash(unnamed, directory, now=trainable.clock())

    (trashed,) = directory.trash.iterdir()
    assert count == 3
    assert trashed.name == f"{trainable.clock():%Y%m%dT%H%M%SZ}"
    assert sorted(str(path.relative_to(trashed)) for path in trashed.glob("*/*")) == [
        "bundles/7-1",
        "kept/unnamed",
        "uploads/part",
    ]
    assert [path.name for path in directory.bundles.iterdir()] == [model.bundle]
    assert [log["deleted_after_days"] for log in logs] == [7]
