from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from pydantic import SecretStr

from blemish.app import running_server
from blemish.domain.entities import AccessKey
from blemish.settings import Settings
from blemish.storage.data_directory import DataDirectory
from blemish.storage.errors import StoreCredentialsError
from tests.unit.house import House


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_at_the_start_what_a_crash_left_behind_is_deleted_and_nothing_else(house: House) -> None:
    house.project()
    house.pictures(normal=15)
    model = house.trained()
    house.put("out/EvaluationResult-circuits-1.json")
    directory = house.directory
    for folder in ("bundles/7-1", "attempts/7-1/bundle", "staging/aside", "buckets/.staging"):
        (directory.root / folder).mkdir(parents=True, exist_ok=True)
        (directory.root / folder / "model.onnx").write_bytes(b"half")
    house.kept.write("entries-7.jsonl", b"half")

    with running_server(Settings(data_dir=directory.root), directory):
        pass

    assert model.bundle is not None
    assert names(directory.bundles) == {model.bundle}
    assert names(directory.kept) == {model.entries}
    assert names(directory.attempts) == names(directory.staging) == set()
    assert not list(directory.buckets.glob(".staging/*"))
    assert model.evaluation_result is not None
    assert house.objects.read(model.evaluation_result)


def test_the_first_start_makes_a_key_and_later_ones_keep_it(tmp_path: Path) -> None:
    directory = DataDirectory(tmp_path)
    directory.create()

    held = []
    for _ in range(2):
        with running_server(Settings(data_dir=tmp_path), directory):
            held.append({path: path.read_bytes() for path in directory.keyring.iterdir()})

    assert len(held[0]) == 1
    assert held[0] == held[1]


def test_a_key_of_this_server_is_none_for_another_s3(house: House) -> None:
    key = AccessKey(id="BLEMOURS", secret="secret", name="first", created_at=datetime.now(UTC))
    with house.database.writing() as rows:
        rows.keys.add(key)
    settings = Settings(
        data_dir=house.directory.root,
        s3_endpoint="https://s3.example.org",
        s3_access_key_id=key.id,
        s3_secret_access_key=SecretStr(key.secret),
    )

    with (
        pytest.raises(StoreCredentialsError, match="The access key BLEMOURS opens this server"),
        running_server(settings, house.directory),
    ):
        pass
