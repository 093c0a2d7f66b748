"""`blemish keys`, run as a command over a data directory that nobody serves."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from blemish.cli.main import app
from blemish.domain.access.builtin_policies import BUILT_IN, FULL_ACCESS, READ_ONLY
from blemish.domain.entities import KeyPair
from blemish.server.aws_files import AwsFiles, settle_first_key
from blemish.service.access.access_keys import FIRST_KEY
from tests.unit.house import House
from tests.unit.service.keys import KeyHouse


class Desk:
    """A data directory whose keys are changed by the command."""

    def __init__(self, house: House) -> None:
        self.root = house.directory.root
        self.inside = KeyHouse(house)
        self.files = AwsFiles(house.directory.aws, staging=house.directory.staging)

    def keys(self, *arguments: str) -> str:
        """Run the command; return what it prints."""
        result = self.run(*arguments)
        assert result[0] == 0, result
        return result[1]

    def run(self, *arguments: str) -> tuple[int, str, str]:
        """Run the command; return its exit status, what it prints, and what it says is wrong."""
        found = CliRunner().invoke(app, ["keys", *arguments, "--data-dir", str(self.root)])
        return found.exit_code, found.stdout, found.stderr


@pytest.fixture
def desk(house: House) -> Desk:
    return Desk(house)


def pair_of(section: str) -> KeyPair:
    found = re.fullmatch(
        r"\[.*\]\naws_access_key_id = (\S+)\naws_secret_access_key = (\S+)\n", section
    )
    assert found
    return KeyPair(id=found[1], secret=found[2])


def test_a_new_key_is_printed_as_a_section_of_a_credentials_file(desk: Desk) -> None:
    printed = desk.keys("create", "line-4", "--policy", "ReadOnly", "--tag", "line=4")

    pair = pair_of(printed)
    assert printed.startswith("[line-4]\n")
    signer = desk.inside.access.signer(pair.id)
    assert signer is not None
    assert signer.secret == pair.secret
    assert signer.principal.tags == {"line": "4"}


def test_a_policy_comes_from_a_file_and_can_be_read_and_changed(desk: Desk, tmp_path: Path) -> None:
    statement = {"Effect": "Allow", "Action": "lookoutvision:DetectAnomalies", "Resource": "*"}
    file = tmp_path / "policy.json"
    file.write_text(json.dumps({"Version": "2012-10-17", "Statement": statement}))

    desk.keys("create", "line-4", "--policy", str(file))
    first = desk.keys("policy", "line-4")
    desk.keys("policy", "line-4", "--policy", "ReadOnly")

    assert json.loads(first)["Statement"] == statement
    assert desk.keys("policy", "line-4") == BUILT_IN[READ_ONLY] + "\n"


def test_the_list_shows_everything_but_secrets(desk: Desk) -> None:
    pair = pair_of(desk.keys("create", "line-4", "--policy", "ReadOnly", "--tag", "line=4"))
    desk.keys("create", "anna", "--policy", "FullAccess")
    desk.keys("disable", "anna")

    printed = desk.keys("list")

    assert [line.split()[:-1] for line in printed.splitlines()] == [
        ["NAME", "ID", "STATUS", "POLICY", "TAGS"],
        ["line-4", pair.id, "enabled", "ReadOnly", "line=4"],
        ["anna", desk.inside.keys.named("anna").id, "disabled", "FullAccess", "-"],
    ]
    assert pair.secret not in printed


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("create", "a", "--policy", "readonly"), "--policy must be FullAccess or ReadOnly, or a"),
        (("create", "a/b", "--policy", "ReadOnly"), "'a/b' cannot be the name"),
        (("create", "a", "--policy", "ReadOnly", "--tag", "x"), "--tag must be KEY=VALUE"),
        (
            ("create", "a", "--policy", "ReadOnly", "--tag", "x=1", "--tag", "x=2"),
            "each key once",
        ),
        (("delete", "a"), "There is no access key named a. There are: none."),
        (("policy", "a"), "There is no access key named a."),
    ],
)
def test_what_cannot_be_done_is_said(desk: Desk, arguments: tuple[str, ...], said: str) -> None:
    status, printed, told = desk.run(*arguments)

    assert (status, printed) == (2, "")
    assert told.startswith("blemish: ")
    assert said in told


def test_every_problem_of_a_policy_is_said(desk: Desk, tmp_path: Path) -> None:
    file = tmp_path / "policy.json"
    file.write_text('{"Statement": {"Effect": "No", "Action": "x", "Resource": "y"}}')

    status, _, told = desk.run("create", "a", "--policy", str(file))

    assert status == 2
    assert told.count("Statement 1: ") == 3


def test_a_folder_without_a_database_is_none_to_make_keys_in(desk: Desk, tmp_path: Path) -> None:
    desk.root = tmp_path / "elsewhere"

    status, _, told = desk.run("list")

    assert status == 2
    assert "There is no database" in told
    assert not desk.root.exists()


def first(desk: Desk) -> KeyPair:
    settle_first_key(desk.inside.keys, desk.files)
    return desk.files.read_key()


def test_the_first_key_may_do_everything_and_stands_in_its_file(desk: Desk) -> None:
    pair = first(desk)

    signer = desk.inside.access.signer(pair.id)
    assert signer is not None
    assert (signer.principal.name, signer.secret) == (FIRST_KEY, pair.secret)
    assert desk.inside.keys.named(FIRST_KEY).policy == FULL_ACCESS
    assert first(desk) == pair


def test_the_file_of_the_first_key_follows_it(desk: Desk) -> None:
    old = first(desk)

    pair = pair_of(desk.keys("rotate", FIRST_KEY))

    assert pair != old
    assert desk.files.read_key() == pair
    assert desk.inside.access.signer(pair.id)
    assert first(desk) == pair


def test_a_rotation_that_was_cut_off_is_taken_up_by_the_next(desk: Desk) -> None:
    first(desk)
    desk.files.write_key(desk.inside.keys.draw())

    pair = pair_of(desk.keys("rotate", FIRST_KEY))

    assert desk.files.read_key() == pair
    assert desk.inside.access.signer(pair.id)


def test_a_lost_file_of_the_first_key_is_written_again(desk: Desk) -> None:
    first(desk)
    desk.files.credentials.unlink()

    pair = pair_of(desk.keys("rotate", FIRST_KEY))

    assert desk.files.read_key() == pair


def test_another_key_leaves_the_file_alone(desk: Desk) -> None:
    pair = first(desk)
    desk.keys("create", "line-4", "--policy", "ReadOnly")

    desk.keys("rotate", "line-4")
    desk.keys("delete", "line-4")

    assert desk.files.read_key() == pair


def test_a_first_key_that_was_deleted_stays_so(desk: Desk) -> None:
    old = first(desk)

    desk.keys("delete", FIRST_KEY)

    assert not desk.files.credentials.exists()
    new = first(desk)  # as the next start does, since nobody can sign
    assert new.id != old.id
    assert desk.inside.access.signer(old.id) is None


def test_beside_other_keys_no_first_one_is_made_again(desk: Desk) -> None:
    first(desk)
    desk.keys("create", "anna", "--policy", "FullAccess")
    desk.keys("delete", FIRST_KEY)

    settle_first_key(desk.inside.keys, desk.files)

    assert [key.name for key in desk.inside.keys.all()] == ["anna"]
    assert not desk.files.credentials.exists()


def test_of_two_new_servers_on_one_database_the_quicker_one_makes_the_first_key(
    desk: Desk, tmp_path: Path
) -> None:
    quick: list[KeyPair] = []

    class SlowFiles(AwsFiles):
        """The files of a server that is overtaken before it makes its key."""

        def write_key(self, pair: KeyPair) -> None:
            super().write_key(pair)
            quick.append(first(desk))

    slow = SlowFiles(tmp_path, staging=tmp_path)

    settle_first_key(desk.inside.keys, slow)

    assert [key.id for key in desk.inside.keys.all()] == [quick[0].id]
    assert not slow.credentials.exists()


def test_a_first_key_whose_seal_was_lost_is_sealed_anew_from_its_file(desk: Desk) -> None:
    pair = first(desk)
    desk.inside.lose_keyring()

    assert first(desk) == pair

    assert not desk.inside.keys.is_lost(desk.inside.keys.named(FIRST_KEY))


def test_the_audit_log_names_every_command_and_its_user(desk: Desk) -> None:
    secret = pair_of(desk.keys("create", "audited", "--policy", "ReadOnly")).secret
    desk.run("disable", "absent")

    (path,) = (desk.root / "audit").glob("*.commands.jsonl")
    records = [json.loads(line) for line in path.read_text().splitlines()]
    assert [each["eventName"] for each in records] == ["CreateAccessKey", "UpdateAccessKey"]
    assert records[0]["requestParameters"] == {"UserName": "audited"}
    assert "errorCode" not in records[0]
    assert "absent" in records[1]["errorMessage"]
    assert {each["userIdentity"]["principalId"] for each in records} == {f"uid:{os.getuid()}"}
    assert str(secret) not in path.read_text()
