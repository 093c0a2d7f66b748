"""Users sign in to a server in this process; each role is tried."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from blemish.domain.access.roles import UserRole
from blemish.service.access.passwords import PasswordError
from blemish.wire.wrong_secrets import FREE_ATTEMPTS
from tests.unit.console.in_process import Browser, InProcessConsole

PASSWORD = "correct horse battery"
PATIENCE_S = 60


def logged(folder: Path) -> str:
    """Return the audit log."""
    return "".join(path.read_text() for path in folder.glob("*"))


def user(console: InProcessConsole, name: str, role: UserRole) -> Browser:
    """Add a user, if there is none of this name; return the browser of this user, signed in."""
    if not console.users.exists(name):
        console.users.add(name, PASSWORD, role=role)
    browser = console.browser(None)
    assert browser.sign_in(name, PASSWORD).status_code == 303
    return browser


def test_a_user_signs_in_by_name_and_is_named_on_each_page(console: InProcessConsole) -> None:
    page = user(console, "anna", UserRole.VIEWER).ask("GET", "/")

    assert page.status_code == 200
    assert "anna" in page.text


@pytest.mark.parametrize(("name", "password"), [("carl", "wrong"), ("nobody", PASSWORD)])
def test_a_wrong_password_and_an_unknown_name_get_the_same_answer(
    console: InProcessConsole, name: str, password: str
) -> None:
    if not console.users.exists("carl"):
        console.users.add("carl", PASSWORD, role=UserRole.VIEWER)

    answer = console.browser(None).sign_in(name, password)

    assert answer.status_code == 403
    assert "the password or the secret is wrong" in answer.text


@pytest.mark.parametrize("role", list(UserRole))
def test_a_role_may_do_in_the_console_what_the_guide_says(
    console: InProcessConsole, role: UserRole
) -> None:
    browser = user(console, f"one-{role}", role)

    see_image = browser.get("/image", ref="s3://none/b.jpg").status_code
    sent = browser.ask("POST", "/line/none/images", content=b"image").status_code
    users_page = browser.ask("GET", "/users").text
    settings = browser.ask("GET", "/settings").text

    assert see_image == 404  # as nothing is there; 403 would say that it is not allowed
    may_send = role in {UserRole.OPERATOR, UserRole.ENGINEER, UserRole.ADMIN}
    assert sent == (404 if may_send else 403)
    assert ("People who sign in by name" in users_page) == (role is UserRole.ADMIN)
    assert ("policies do not allow ListUsers" in users_page) == (role is not UserRole.ADMIN)
    assert ("New access key" in settings) == (role is UserRole.ADMIN)
    assert "Change password" in settings


def test_a_disabled_user_is_signed_out_at_once(console: InProcessConsole) -> None:
    browser = user(console, "dora", UserRole.ADMIN)

    console.users.set_enabled("dora", enabled=False)

    assert browser.get("/image", ref="s3://none/b.jpg").status_code == 401


def test_signing_in_as_oneself_forgives_no_guesses_at_others(console: InProcessConsole) -> None:
    statuses = []
    for _ in range(FREE_ATTEMPTS + 1):
        statuses.append(console.browser(None).sign_in("guessed", "wrong").status_code)
        user(console, "gerd", UserRole.VIEWER)

    assert statuses == [403] * FREE_ATTEMPTS + [429]


def test_a_name_that_no_user_can_have_is_refused_like_any_other(console: InProcessConsole) -> None:
    assert console.browser(None).sign_in("a\0b", PASSWORD).status_code == 403


def test_a_space_at_the_end_of_a_password_is_a_part_of_it(console: InProcessConsole) -> None:
    console.users.add("spaced", f"{PASSWORD} ", role=UserRole.VIEWER)

    assert console.browser(None).sign_in("spaced", f"{PASSWORD} ").status_code == 303


def test_old_passwords_are_not_guessed_without_end(console: InProcessConsole) -> None:
    console.users.add("ida", PASSWORD, role=UserRole.VIEWER)
    console.change_password("ida", PASSWORD, old=PASSWORD, new=PASSWORD)

    for _ in range(FREE_ATTEMPTS):
        with pytest.raises(PasswordError, match="The old password is wrong"):
            console.change_password("ida", PASSWORD, old="wrong", new=PASSWORD)
    with pytest.raises(PasswordError, match="Try again in"):
        console.change_password("ida", PASSWORD, old=PASSWORD, new=PASSWORD)


def test_the_audit_log_names_users_and_holds_no_password(console: InProcessConsole) -> None:
    user(console, "emil", UserRole.ADMIN).get("/image", ref="s3://of-emil/b.jpg")
    console.browser(None).sign_in("emil", "a wrong password")
    console.browser(None).sign_in(PASSWORD, "emil")
    user(console, "emil", UserRole.ADMIN).get("/image", ref="s3://of-emil/last.jpg")

    folder, deadline = console.buckets.parent / "audit", time.monotonic() + PATIENCE_S
    while "last.jpg" not in (text := logged(folder)):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    records = [json.loads(line) for line in text.splitlines()]

    (read,) = (each for each in records if "of-emil/b.jpg" in json.dumps(each["resources"]))
    assert read["userIdentity"]["userName"] == "emil"
    assert "accessKeyId" not in read["userIdentity"]
    logins = [each for each in records if each["eventName"] == "ConsoleLogin"]
    wrong, swapped = logins[-3:-1]
    assert wrong["requestParameters"] == {"userName": "emil"}
    assert wrong["errorCode"] == swapped["errorCode"] == "AccessDeniedException"
    assert PASSWORD not in text
    assert "a wrong password" not in text
