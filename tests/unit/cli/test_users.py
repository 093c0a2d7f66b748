"""`blemish users`, run as a command over a data directory that nobody serves."""

from __future__ import annotations

from typer.testing import CliRunner

from blemish.cli.main import app
from blemish.domain.access.roles import UserRole
from tests.unit.house import House
from tests.unit.service.keys import KeyHouse

PASSWORD = "correct horse battery"


def run(house: House, *arguments: str, typed: str = "") -> tuple[int, str]:
    """Run the command; return its exit status, and what it prints or says is wrong."""
    directory = ("--data-dir", str(house.directory.root))
    result = CliRunner().invoke(app, ["users", *arguments, *directory], input=typed)
    return result.exit_code, result.output


def test_users_are_added_listed_and_changed(house: House) -> None:
    accounts = KeyHouse(house).users

    assert run(house, "add", "anna", "--role", "viewer", typed=f"{PASSWORD}\n")[0] == 0
    assert run(house, "role", "anna", "engineer")[0] == 0
    assert run(house, "disable", "anna")[0] == 0
    assert accounts.authenticated("anna", PASSWORD) is None
    assert run(house, "enable", "anna")[0] == 0
    assert run(house, "password", "anna", typed="another long one\n")[0] == 0
    status, listed = run(house, "list")

    assert status == 0
    assert listed.splitlines()[1].split()[:4] == ["anna", "engineer", "enabled", "password"]
    user = accounts.authenticated("anna", "another long one")
    assert user is not None
    assert user.role is UserRole.ENGINEER
    log = "".join(path.read_text() for path in house.directory.audit.glob("*.jsonl"))
    assert '"change":"disabled"' in log or '"Change":"disabled"' in log
    assert PASSWORD not in log
    assert "another long one" not in log


def test_a_bad_password_and_an_unknown_user_end_the_command_with_a_sentence(house: House) -> None:
    assert run(house, "add", "anna", "--role", "viewer", typed="short\n") == (
        2,
        "blemish: A password must have 12 to 256 characters; this one has 5.\n",
    )
    assert run(house, "disable", "berta")[0] == 2
    assert run(house, "add", "anna", "--role", "king")[0] == 2
