from __future__ import annotations

import json
import re
import time
from typing import Any

from tests.unit.console.in_process import InProcessConsole

PATIENCE_S = 60


def audited(console: InProcessConsole, *, until: str) -> list[dict[str, Any]]:
    """Return the records of the audit log when one of them contains a text."""
    folder = console.buckets.parent / "audit"
    deadline = time.monotonic() + PATIENCE_S
    while until not in (text := "".join(path.read_text() for path in folder.glob("*.jsonl"))):
        assert time.monotonic() < deadline, until
        time.sleep(0.01)
    return [json.loads(line) for line in text.splitlines()]


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


def test_over_tls_no_other_host_can_set_the_cookie(console: InProcessConsole) -> None:
    browser = console.browser(None, scheme="https")

    cookie = browser.sign_in(*console.keys["owner"]).headers["set-cookie"]

    assert cookie.startswith("__Host-blemish-session-")
    assert {"Secure", "Path=/"} <= set(cookie.split("; "))
    assert browser.get("/settings").status_code == 200


def test_a_page_on_another_port_of_the_host_gets_nothing(console: InProcessConsole) -> None:
    browser = console.browser()

    answer = browser.ask("GET", "/settings", headers={"sec-fetch-site": "same-site"})
    link = browser.ask(
        "GET", "/settings", headers={"sec-fetch-site": "same-site", "sec-fetch-mode": "navigate"}
    )

    assert (answer.status_code, link.status_code) == (403, 200)


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


def test_the_audit_log_names_who_signed_in_and_read_which_image(console: InProcessConsole) -> None:
    key_id, secret = console.keys["owner"]
    console.browser(None).sign_in(key_id, "wrong")
    console.browser(None).sign_in(secret, key_id)
    browser = console.browser()
    browser.get("/image", ref="s3://audited/absent.png")
    browser.ask("POST", "/sign-out")
    browser.get("/after-signing-out")

    records = audited(console, until="after-signing-out")

    logins = [each for each in records if each["eventName"] == "ConsoleLogin"]
    wrong, swapped, right = logins[-3:]
    assert wrong["requestParameters"] == {"accessKeyId": key_id}
    assert wrong["errorCode"] == swapped["errorCode"] == "AccessDeniedException"
    assert secret not in json.dumps(records)
    assert right["userIdentity"]["accessKeyId"] == key_id
    assert right["eventType"] == "AwsConsoleSignIn"
    assert right["sourceIPAddress"] == "127.0.0.1"
    (read,) = (
        each
        for each in records
        if each["requestParameters"] == {"bucketName": "audited", "key": "absent.png"}
    )
    assert (read["eventName"], read["errorCode"]) == ("GetObject", "NoSuchBucket")
    assert read["userIdentity"]["accessKeyId"] == key_id
    refused = {"path": "/console/after-signing-out"}
    assert refused in [
        each["requestParameters"] for each in records if each["eventName"] == "ConsoleRequest"
    ]


def test_scripts_come_from_files_or_carry_the_nonce_of_their_page(
    console: InProcessConsole,
) -> None:
    browser = console.browser()

    first, second = (browser.get("/settings") for _ in range(2))
    form = console.browser(None).get("/sign-in")

    policy = first.headers["content-security-policy"]
    nonce = re.search(r"'nonce-([^']+)'", policy)
    assert nonce is not None
    inline = re.findall(r"<script(?![^>]* src=)([^>]*)>", first.text)
    assert inline
    assert all(f'nonce="{nonce[1]}"' in attributes for attributes in inline)
    assert re.search(r"script-src [^;]*'unsafe-inline'", policy) is None
    assert nonce[1] not in second.headers["content-security-policy"]
    assert "script-src 'self';" in form.headers["content-security-policy"]
