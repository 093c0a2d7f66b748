"""The way back that docs/guide/upgrading.md shows, over data of an older version."""

from __future__ import annotations

import os
import re
import sqlite3
import subprocess
import sys
import tarfile
from contextlib import closing
from pathlib import Path

import pytest

from tests.acceptance.served import ServedDirectory
from tests.acceptance.test_old_data_directory import FIXTURE

pytestmark = [pytest.mark.acceptance, pytest.mark.slow]

GUIDE = Path(__file__).parents[2] / "docs" / "guide" / "upgrading.md"
OLD_FORMAT = "0012"


def data_format(folder: Path) -> str:
    with closing(sqlite3.connect(folder / "blemish.db")) as connection:
        return str(connection.execute("SELECT version_num FROM alembic_version").fetchone()[0])


def test_an_upgrade_is_undone_and_done_again(tmp_path: Path) -> None:
    with tarfile.open(FIXTURE / "data.tar.xz") as archive:
        archive.extractall(tmp_path, filter="data")
    served = ServedDirectory(tmp_path / "data", environment={})
    served.start()
    served.client().create_project(ProjectName="since-the-upgrade")
    served.end()
    newest = data_format(served.folder)
    (go_back,) = re.findall(r"^```sh\n(cd .*?)^```", GUIDE.read_text(), re.MULTILINE | re.DOTALL)
    bin_folder = tmp_path / "bin"
    bin_folder.mkdir()
    (bin_folder / "blemish").write_text(
        f'#!/bin/sh\nexec {sys.executable} -m blemish.cli.main "$@"\n'
    )
    (bin_folder / "blemish").chmod(0o755)

    subprocess.run(
        ["bash", "-euc", go_back.replace("/var/lib/blemish", str(served.folder))],
        env=os.environ | {"PATH": f"{bin_folder}:{os.environ['PATH']}"},
        check=True,
    )

    assert data_format(served.folder) == OLD_FORMAT
    served.start()
    names = [project["ProjectName"] for project in served.client().list_projects()["Projects"]]
    served.end()
    assert data_format(served.folder) == newest
    assert names
    assert "since-the-upgrade" not in names
