"""`blemish backup` of a server at work, and `blemish restore` on another machine."""

from __future__ import annotations

import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.product import PROJECT, detect, host, images
from tests.acceptance.served import ServedDirectory, environment, model_status, wait_for

pytestmark = pytest.mark.acceptance

PASSPHRASE = "correct horse battery staple"


def blemish(*arguments: str | Path, home: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "blemish.cli.main", *map(str, arguments)],
        env=environment(home),
        capture_output=True,
        text=True,
        check=False,
    )


@contextmanager
def written_to(client: Any) -> Iterator[list[str]]:
    """Make and delete projects all the time; the list grows by those that stay."""
    made: list[str] = []
    ended = threading.Event()

    def write() -> None:
        while not ended.is_set():
            name = f"project-{len(made)}"
            client.create_project(ProjectName=name)
            client.create_project(ProjectName="short-lived")
            client.delete_project(ProjectName="short-lived")
            made.append(name)

    thread = threading.Thread(target=write)
    thread.start()
    try:
        yield made
    finally:
        ended.set()
        thread.join()


def everything(client: Any) -> dict[str, Any]:
    """Return what a client sees of the one model and its dataset."""
    dataset = {"ProjectName": PROJECT, "DatasetType": "train"}
    return {
        "dataset": client.describe_dataset(**dataset)["DatasetDescription"],
        "entries": client.list_dataset_entries(**dataset)["DatasetEntries"],
        "model": client.describe_model(ProjectName=PROJECT, ModelVersion="1")["ModelDescription"],
    }


def test_a_server_at_work_is_backed_up_and_answers_the_same_elsewhere(
    served_model: ServedDirectory, tmp_path: Path
) -> None:
    served = served_model
    client = served.client()
    host(client)
    _, body = images()[0]
    verdict, seen = detect(client, body), everything(client)
    archive, keys, passphrase = (tmp_path / name for name in ("blemish.tar", "keys", "passphrase"))
    passphrase.write_text(f"{PASSPHRASE}\n")
    with_keys = ("--with-keys", keys, "--passphrase-file", passphrase)

    with written_to(client) as made:
        before = list(made)
        backed_up = blemish(
            "backup", archive, "--data-dir", served.folder, "--with-objects", *with_keys,
            home=tmp_path,
        )  # fmt: skip
        after = list(made)
    again = ServedDirectory(tmp_path / "again", environment={})
    restored = blemish("restore", archive, "--data-dir", again.folder, *with_keys, home=tmp_path)

    assert backed_up.returncode == 0, backed_up.stderr
    assert str(served.folder / "aws") in backed_up.stdout
    assert restored.returncode == 0, restored.stderr
    assert "is missing" not in restored.stdout
    served.end()
    credentials = (served.folder / "aws" / "credentials").read_text()
    shutil.move(served.folder, tmp_path / "gone")
    again.start()
    try:
        (again.folder / "aws" / "credentials").write_text(credentials)  # as clients have them
        client = again.client()
        status = model_status(client, PROJECT, "1")
        wait_for(status, {"HOSTED"}, while_in={"SYSTEM_UPDATING"})
        assert detect(client, body) == verdict
        assert everything(client) | {"model": {}} == seen | {"model": {}}
        assert everything(client)["model"]["Performance"] == seen["model"]["Performance"]
        names = {
            project["ProjectName"] for project in client.list_projects(MaxResults=100)["Projects"]
        }
        assert set(before) <= names <= {*after, f"project-{len(after)}", "short-lived", PROJECT}
    finally:
        again.end()


def test_what_is_wrong_is_said_without_a_traceback(served: ServedDirectory, tmp_path: Path) -> None:
    archive, text = tmp_path / "blemish.tar", tmp_path / "text"
    text.write_text("no backup")
    data_dir = ("--data-dir", served.folder)
    assert blemish("backup", archive, *data_dir, home=tmp_path).returncode == 0
    elsewhere = ("--data-dir", tmp_path / "elsewhere")

    for arguments, reason in [
        (("backup", archive, *data_dir), "is there already"),
        (("backup", tmp_path / "b.tar", *elsewhere), "There is no database"),
        (("backup", tmp_path / "b.tar", *data_dir, "--with-keys", tmp_path / "k"), "--passphrase"),
        (
            ("backup", tmp_path / "b.tar", *data_dir, "--with-keys", tmp_path / "k",
             "--passphrase-file", text),
            "has 9 characters",
        ),
        (("restore", archive, *data_dir), "is served already"),
        (("restore", text, *elsewhere), "is no backup of Blemish"),
        (("restore", tmp_path / "absent", *elsewhere), "cannot be read (No such file"),
        (("restore", archive, *elsewhere, "--with-keys", text, "--passphrase-file", text),
         "is no file of sealed keys"),
    ]:  # fmt: skip
        ended = blemish(*arguments, home=tmp_path)
        assert ended.returncode == 2, ended
        assert reason in ended.stderr
        assert "Traceback" not in ended.stderr
    assert sorted(path.name for path in tmp_path.iterdir() if "data" not in path.name) == [
        "blemish.tar",
        "text",
    ]


def test_without_its_keys_a_backup_says_what_stays_sealed(
    served: ServedDirectory, tmp_path: Path
) -> None:
    archive, elsewhere = tmp_path / "blemish.tar", tmp_path / "elsewhere"
    backed_up = blemish("backup", archive, "--data-dir", served.folder, home=tmp_path)
    (key,) = (path.stem for path in (served.folder / "keyring").iterdir())

    restored = blemish("restore", archive, "--data-dir", elsewhere, home=tmp_path)

    assert f"Not in it: {served.folder / 'keyring'}" in backed_up.stdout
    assert restored.returncode == 0, restored.stderr
    assert f"The key {key} is missing, which opens access key first." in restored.stdout
    assert not (elsewhere / "keyring").exists()
