from __future__ import annotations

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from blemish.cli.main import app
from tests.unit.storage.sealing import key, new_keyring


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    new_keyring(tmp_path)
    return tmp_path


def kms(folder: Path, *arguments: str) -> Result:
    command = ["keys", "kms", *arguments, "--data-dir", str(folder)]
    return CliRunner().invoke(app, command, env={"COLUMNS": "200"})


def status(folder: Path, alias: str) -> str:
    (found,) = re.findall(rf"alias/{alias} .*(enabled|disabled)", kms(folder, "list").stdout)
    return str(found)


@pytest.mark.parametrize("alias", ["line-4", "alias/line-4"])
def test_a_new_key_is_told_by_the_names_that_create_model_takes(folder: Path, alias: str) -> None:
    made = kms(folder, "create", alias)

    assert made.exit_code == 0
    name, arn = made.stdout.splitlines()
    assert name == "alias/line-4"
    assert re.fullmatch(r"arn:aws:kms:us-east-1:000000000000:key/[0-9a-f-]{36}", arn)
    assert status(folder, "line-4") == "enabled"


@pytest.mark.parametrize("name", ["line-4", "alias/line-4", key(2).id])
def test_a_key_is_disabled_and_enabled_by_alias_or_id(folder: Path, name: str) -> None:
    new_keyring(folder).add(key(2, alias="line-4"))

    assert kms(folder, "disable", name).exit_code == 0
    assert status(folder, "line-4") == "disabled"

    assert kms(folder, "enable", name).exit_code == 0
    assert status(folder, "line-4") == "enabled"


def test_no_command_shows_a_secret(folder: Path) -> None:
    said = kms(folder, "list").stdout + kms(folder, "create", "line-4").stdout

    secrets = re.findall(
        r'"secret": "(.*)"', "".join(path.read_text() for path in folder.rglob("*.json"))
    )
    assert len(secrets) == 2
    assert [secret for secret in secrets if secret in said] == []


def test_a_damaged_key_file_is_told(folder: Path) -> None:
    path = folder / "keyring" / f"{key(2).id}.json"
    path.write_text("{}")

    assert f"The key file {path} is damaged." in kms(folder, "list").stdout


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["create", "default"], "There is a key with the alias default already."),
        (["create", "a b"], "'a b' cannot be an alias"),
        (["disable", "line-4"], "There is no key line-4."),
        (["disable", "default"], "stays enabled"),
    ],
)
def test_what_cannot_be_done_is_said(folder: Path, arguments: list[str], reason: str) -> None:
    refused = kms(folder, *arguments)

    assert refused.exit_code == 2
    assert reason in refused.stderr


def test_a_folder_without_a_keyring_is_named(tmp_path: Path) -> None:
    refused = kms(tmp_path, "list")

    assert refused.exit_code == 2
    assert f"{tmp_path} has no keyring" in refused.stderr
