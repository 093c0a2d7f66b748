"""A server that goes away: the page says so, and heals."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.acceptance.served import ServedDirectory
from tests.console.test_security import keys, make_key
from tests.console.watched import Watched
from tests.ports import free_port

pytestmark = pytest.mark.acceptance


def test_a_server_that_is_killed_is_missed_and_found_again(
    browser: Browser, tmp_path: Path
) -> None:
    served = ServedDirectory(tmp_path / "data", environment={}, port=free_port())
    served.start()
    watched = Watched(browser, served)
    watched.sign_in()
    page = watched.open("/")
    lost = page.get_by_text("Connection lost")
    expect(lost).to_be_hidden()

    served.end(signal.SIGKILL)
    expect(lost).to_be_visible()
    watched.shoot("lost")
    served.start()
    served.client().create_project(ProjectName="made-meanwhile")

    expect(lost).to_be_hidden()
    expect(page.get_by_text("made-meanwhile")).to_be_visible()
    watched.problems.clear()  # what the browser says of a server that was gone
    watched.close()
    served.end()


def test_who_is_signed_out_meanwhile_is_shown_where_to_sign_in(
    browser: Browser, tmp_path: Path
) -> None:
    served = ServedDirectory(tmp_path / "data", environment={}, port=free_port())
    served.start()
    key = make_key(served, "leaver", "FullAccess")
    watched = Watched(browser, served)
    watched.sign_in(key)
    page = watched.open("/")

    served.end(signal.SIGKILL)
    keys(served, "disable", "leaver")
    served.start()

    expect(page.get_by_label("Secret access key")).to_be_visible()
    watched.problems.clear()  # what the browser says of a server that was gone
    watched.close()
    served.end()
