"""Every page is built for people who may do everything, and for those who may only look."""

from __future__ import annotations

from typing import Any, NoReturn

import pytest

from blemish.console.away import TRY_AGAIN_LATER
from blemish.storage.errors import DatabaseReadError, DatabaseUnavailableError, StorageError
from tests.unit.console.images.added import add_images
from tests.unit.console.in_process import Browser, InProcessConsole


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("/", "Projects"),
        ("/projects/{project}", "have no label yet"),
        ("/projects/{project}/add", "From a bucket"),
        ("/projects/{project}/images", "Training set"),
        ("/projects/{project}/images?set=test", "No test set"),
        ("/projects/{project}/paint", "painter"),
        ("/projects/{project}/train", "What will be used"),
        ("/projects/{project}/models", "No models yet"),
        ("/projects/{project}/compare", "There are not two models yet"),
        ("/projects/{project}/try", "No model to try yet"),
        ("/settings", "Access keys"),
        ("/trash", "Nothing in the trash"),
    ],
)
@pytest.mark.parametrize("key", ["owner", "looker"])
def test_a_page_is_built(
    console: InProcessConsole, browser: Browser, project: str, path: str, text: str, key: str
) -> None:
    add_images(browser, project, "normal", None)

    answer = console.browser(key).ask("GET", path.format(project=project))

    assert answer.status_code == 200
    assert text in answer.text
    assert "This page cannot be shown" not in answer.text


@pytest.mark.parametrize(
    "path",
    [
        "/projects/none",
        "/projects/none/images",
        "/projects/none/models/1",
        "/projects/none/try/trials/none",
        "/projects/{project}/models/7",
        "/projects/{project}/paint?ref=s3://images/none.jpg",
        "/projects/{project}/paint?set=third",
        "/projects/{project}/images?filter=<b>",
    ],
)
def test_what_is_not_there_is_said_on_the_page(browser: Browser, project: str, path: str) -> None:
    add_images(browser, project, "normal")

    answer = browser.ask("GET", path.format(project=project))

    assert answer.status_code == 200
    assert "<b>" not in answer.text


def test_people_without_a_session_are_shown_the_form(console: InProcessConsole) -> None:
    stranger = console.browser(None)

    page = stranger.ask("GET", "/settings", headers={"accept": "text/html"})
    script = stranger.ask("GET", "/settings", headers={"accept": "image/png"})

    assert (page.status_code, page.headers["location"]) == (
        303,
        "/console/sign-in?next=/console/settings",
    )
    assert script.status_code == 401


class Away:
    """A database that does not answer, whatever it is asked."""

    def __init__(self, error: StorageError) -> None:
        self._error = error

    def __getattr__(self, name: str) -> Any:
        def fail(*_: object, **__: object) -> NoReturn:
            raise self._error

        return fail


ADDRESS = "127.0.0.14:15732"
CLOSED = ("websocket.close", TRY_AGAIN_LATER)
PAGE = {"accept": "text/html"}
AWAY = Away(DatabaseUnavailableError(f"'blemish' at {ADDRESS} cannot be read now."))


def test_whatever_needs_a_database_that_is_away_gets_503_and_no_address(
    console: InProcessConsole, browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    services = console.console._services
    for service in (services.sessions, services.kiosks, services.users):
        monkeypatch.setattr(service, "_database", AWAY)

    pages = [
        browser.ask("GET", path, headers=PAGE) for path in ("/", "/settings", "/kiosk?token=x")
    ]
    scripts = [browser.get("/image", ref="s3://a/b.png"), browser.ask("POST", "/any")]
    forms = [browser.get("/sign-in"), browser.sign_in("somebody", "x"), browser.get("/sign-in/x")]

    for answer in (*pages, *scripts, *forms):
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1"), answer.url
        assert "database does not answer" in answer.text, answer.url
        assert ADDRESS not in answer.text, answer.url
    assert all('<meta http-equiv="refresh"' in answer.text for answer in pages)
    assert not any("<" in answer.text for answer in scripts)


def test_a_page_that_loses_the_database_while_it_is_drawn_gets_503(
    console: InProcessConsole, browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(console.console._services.keys, "_database", AWAY)
    monkeypatch.setattr(console.console._services.trash, "_database", AWAY)

    answers = [browser.ask("GET", path, headers=PAGE) for path in ("/settings", "/trash")]

    assert [answer.status_code for answer in answers] == [503, 503]
    assert not any(ADDRESS in answer.text for answer in answers)


def test_strangers_learn_nothing_of_the_disk(
    console: InProcessConsole, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = Away(DatabaseReadError("/srv/blemish.db cannot be read."))
    monkeypatch.setattr(console.console._services.users, "_database", broken)

    answer = console.browser(None).sign_in("somebody", "x")

    assert answer.status_code == 500
    assert "The server failed" in answer.text
    assert "/srv" not in answer.text


@pytest.mark.parametrize(
    ("extensions", "answer"),
    [({"websocket.http.response": {}}, ("websocket.http.response.start", 503)), ({}, CLOSED)],
)
def test_a_socket_that_needs_a_database_that_is_away_is_refused(
    console: InProcessConsole,
    monkeypatch: pytest.MonkeyPatch,
    extensions: dict[str, Any],
    answer: tuple[str, int],
) -> None:
    monkeypatch.setattr(console.console._services.sessions, "_database", AWAY)

    first = console.socket_answer("/console/_nicegui_ws/socket.io/", extensions=extensions)[0]

    assert (first["type"], first.get("status", first.get("code"))) == answer
