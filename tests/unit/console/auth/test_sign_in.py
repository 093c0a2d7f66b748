from __future__ import annotations

from tests.unit.console.in_process import InProcessConsole


def test_a_wrong_secret_gets_the_form_again_and_no_session(console: InProcessConsole) -> None:
    browser = console.browser(None)

    answer = browser.sign_in("nobody", "<b>secret</b>")

    assert answer.status_code == 403
    assert "the secret is wrong" in answer.text
    assert "<b>" not in answer.text
    assert browser.get("/image", ref="s3://none/b.jpg").status_code == 401


def test_a_session_is_a_cookie_of_the_console_alone(console: InProcessConsole) -> None:
    cookie = console.browser(None).sign_in(*console.keys["owner"]).headers["set-cookie"].lower()

    assert {"httponly", "path=/console", "samesite=strict"} <= set(cookie.split("; "))


def test_signing_out_ends_the_session(console: InProcessConsole) -> None:
    browser = console.browser()
    assert browser.get("/image", ref="s3://none/b.jpg").status_code == 404

    browser.ask("POST", "/sign-out")

    assert browser.get("/image", ref="s3://none/b.jpg").status_code == 401


def test_every_answer_has_the_headers_that_protect_a_page(console: InProcessConsole) -> None:
    browser = console.browser(None)

    for path in ("/sign-in", "/image", "/static/console.css"):
        headers = browser.get(path).headers
        assert headers["x-content-type-options"] == "nosniff", path
        assert "frame-ancestors 'none'" in headers["content-security-policy"], path
    assert headers["cache-control"] == "no-cache"
