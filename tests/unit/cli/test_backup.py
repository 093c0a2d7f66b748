from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from blemish.cli.backup import back_up
from blemish.settings import Settings
from blemish.storage.data_directory import DataDirectory


def test_a_backup_says_where_the_buckets_are_that_it_leaves_out(
    empty_database: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    directory = DataDirectory(tmp_path / "data")
    directory.create()
    shutil.copy(empty_database, directory.database)
    alone = Settings(data_dir=directory.root)
    elsewhere = Settings(
        data_dir=directory.root, s3_endpoint="https://s3.example.org", s3_profile="s3"
    )

    texts = []
    for name, settings in {"alone": alone, "elsewhere": elsewhere}.items():
        to = tmp_path / f"{name}.tar"
        back_up(settings, to, with_objects=False, with_keys=None, passphrase_file=None)
        texts.append(capsys.readouterr().out)

    assert f"Not in it: {directory.buckets}; --with-objects takes it along." in texts[0]
    assert "Not in it: the buckets, which are in https://s3.example.org. Back them up" in texts[1]
    assert "--with-objects" not in texts[1]
