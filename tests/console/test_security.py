"""What must not happen: no session, a forged cookie, a foreign page, a key that is disabled."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import APIRequestContext, Browser, expect
from playwright.sync_api import Error as PlaywrightError
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect
from websockets.typing import Origin

from tests.acceptance.served import ServedDirectory
from tests.botocore_sessions import new_session
from tests.console.watched import Watched, key_of

pytestmark = pytest.mark.acceptance

Visit = Callable[..., Watched]

WRITER = {
    "Version": "2012-10-17",
    "Statement": {
        "Effect": "Allow",
        "Action": ["s3:PutObject", "s3:GetObject"],
        "Resource": "arn:aws:s3:::images/weak/*",
    },
}
SCRIPT = """
document.title = "ran"; new Image().src = "/ran";
fetch("CONSOLE/console/settings", {credentials: "include"}).then(
    (answer) => answer.text()).then((text) => fetch("/ran?" + text.length));
"""
OBJECTS = {
    "page.html": ("text/html", "<html><body>page<script>SCRIPT</script></body></html>"),
    "page.xhtml": (
        "application/xhtml+xml",
        '<html xmlns="http://www.w3.org/1999/xhtml"><script><![CDATA[SCRIPT]]></script></html>',
    ),
    "image.svg": (
        "image/svg+xml",
        '<svg xmlns="http://www.w3.org/2000/svg"><script><![CDATA[SCRIPT]]></script></svg>',
    ),
    "script.js": ("text/javascript", "SCRIPT"),
    "disguised.png": ("image/png", "<html><script>SCRIPT</script></html>"),
}

PATHS = ("/", "/projects/none", "/settings", "/thumbnail?ref=s3://a/b", "/no-such-page")
SOCKET = "/console/_nicegui_ws/socket.io/?EIO=4&transport=websocket&client_id=x"


def keys(served: ServedDirectory, *arguments: str) -> str:
    """Run `blemish keys` beside the server."""
    command = [sys.executable, "-m", "blemish.cli.main", "keys", *arguments]
    environment = os.environ | {"BLEMISH_DATA_DIR": str(served.folder)}
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    return done.stdout


def make_key(served: ServedDirectory, name: str, policy: str) -> tuple[str, str]:
    """Make an access key; return its id and its secret."""
    told = keys(served, "create", name, "--policy", policy)
    values = [line.split("=")[-1].strip() for line in told.splitlines() if "=" in line]
    return values[0], values[1]


def statuses(request: APIRequestContext, root: str, headers: dict[str, str]) -> set[int]:
    return {request.get(f"{root}{path}", headers=headers, max_redirects=0).status for path in PATHS}


def socket_status(served: ServedDirectory, *, origin: str, headers: dict[str, str]) -> int:
    """Return the status that the socket of the pages is answered with."""
    url = served.console.replace("http", "ws", 1) + SOCKET
    try:
        with connect(url, origin=Origin(origin), additional_headers=headers):
            return 101
    except InvalidStatus as refused:
        return refused.response.status_code


@pytest.mark.parametrize("cookie", ["", "0" * 64, "%00", "x" * 3_000, '"; DROP TABLE sessions'])
def test_without_a_session_nothing_is_shown(
    visit: Visit, served: ServedDirectory, cookie: str
) -> None:
    watched = visit(signed_in=False)
    port = urlsplit(served.console).port
    headers = {"cookie": f"blemish-session-{port}={cookie}"} if cookie else {}
    request = watched.context.request

    assert statuses(request, watched.root, headers | {"accept": "text/html"}) == {303}
    assert statuses(request, watched.root, headers | {"accept": "image/*"}) == {401}
    assert socket_status(served, origin=served.console, headers=headers) == 403


def test_pages_and_the_socket_answer_no_other_site(visit: Visit, served: ServedDirectory) -> None:
    watched = visit()
    request = watched.context.request
    session = watched.context.cookies()[0]
    evil = {"origin": "http://evil.example"}

    page = request.get(f"{watched.root}/", headers=evil)
    sign_out = request.post(f"{watched.root}/sign-out", headers=evil)
    unsaid = request.post(f"{watched.root}/sign-out")
    headers = {"cookie": f"{session['name']}={session['value']}"}
    sockets = [
        socket_status(served, origin=origin, headers=headers)
        for origin in (evil["origin"], served.console)
    ]

    assert [each.status for each in (page, sign_out, unsaid)] == [403, 403, 403]
    assert sockets == [403, 101]
    assert (session["httpOnly"], session["sameSite"]) == (True, "Strict")
    assert request.get(f"{watched.root}/").status == 200  # still signed in


def test_every_answer_forbids_what_pages_do_not_need(visit: Visit) -> None:
    watched = visit()

    for path in ("/", "/sign-in", "/static/console.css"):
        headers = watched.context.request.get(f"{watched.root}{path}", max_redirects=0).headers
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
    assert headers["cache-control"] == "no-cache"  # of the style, which an update changes


def test_guessing_is_slowed_down_and_wrong_secrets_get_no_session(
    browser: Browser, tmp_path: Path
) -> None:
    served = ServedDirectory(tmp_path / "data", environment={})
    served.start()
    watched = Watched(browser, served)
    key_id, secret = key_of(served)

    def post(tried: str) -> int:
        answer = watched.context.request.post(
            f"{watched.root}/sign-in",
            form={"key": key_id, "secret": tried},
            headers={"origin": served.console},
            max_redirects=0,
        )
        return answer.status

    assert [post("wrong") for _ in range(5)] == [403] * 5
    assert post(secret) == 429
    assert watched.context.cookies() == []
    assert key_id not in served.log.read_text()
    watched.close()
    served.end()


def test_a_form_that_is_too_large_is_refused(visit: Visit, served: ServedDirectory) -> None:
    watched = visit(signed_in=False)

    answer = watched.context.request.post(
        f"{watched.root}/sign-in",
        form={"key": "a", "secret": "b" * 1_000_000},
        headers={"origin": served.console},
    )

    assert answer.status == 413
    assert "The form is too large" in answer.text()


def test_a_key_that_is_disabled_ends_what_is_open(visit: Visit, served: ServedDirectory) -> None:
    key = make_key(served, "leaver", "FullAccess")
    watched = visit(signed_in=False)
    watched.sign_in(key)

    keys(served, "disable", "leaver")

    expect(watched.page.get_by_label("Secret access key")).to_be_visible()
    watched.problems.clear()  # the browser says so where the socket is refused first
    assert (
        watched.context.request.get(
            f"{watched.root}/", headers={"accept": "text/html"}, max_redirects=0
        ).status
        == 303
    )


def test_an_object_of_a_weak_key_runs_nothing_and_reads_nothing_of_the_console(
    visit: Visit, served: ServedDirectory, tmp_path: Path
) -> None:
    policy = tmp_path / "policy.json"
    policy.write_text(json.dumps(WRITER))
    key_id, secret = make_key(served, "weak-writer", str(policy))
    s3 = new_session().create_client(
        "s3",
        region_name="us-east-1",
        endpoint_url=served.endpoint,
        aws_access_key_id=key_id,
        aws_secret_access_key=secret,
    )
    script = SCRIPT.replace("CONSOLE", served.console)
    links: list[str] = []
    for name, (content_type, text) in OBJECTS.items():
        names = {"Bucket": "images", "Key": f"weak/{name}"}
        s3.put_object(**names, Body=text.replace("SCRIPT", script), ContentType=content_type)
        links += [
            s3.generate_presigned_url("get_object", Params=names | more)
            for more in ({}, {"ResponseContentDisposition": "inline"})
        ]
    watched = visit()
    asked: list[str] = []
    titles: list[str] = []

    for link in links:
        page = watched.context.new_page()
        page.on("request", lambda request: asked.append(request.url))
        with suppress(PlaywrightError):  # a download is no page
            page.goto(link)
        titles.append(page.title())
        page.close()
    embedding = watched.context.new_page()
    embedding.goto(links[-1])
    read = embedding.evaluate(
        """async (address) => {
            const options = {credentials: "include", mode: "no-cors"};
            try { return (await (await fetch(address, options)).text()).length; }
            catch { return "refused"; }
        }""",
        f"{served.console}/console/settings",
    )

    assert "ran" not in titles
    assert set(asked) == set(links)
    assert read in ("refused", 0)


def test_a_script_that_gets_into_a_page_of_the_console_does_not_run(visit: Visit) -> None:
    watched = visit()
    page = watched.open("/settings")

    page.evaluate(
        """() => {
            const script = document.createElement("script");
            script.textContent = "window.ran = true";
            document.body.append(script);
            document.body.insertAdjacentHTML(
                "beforeend", `<img src="data:," onerror="window.ran = true">`);
        }"""
    )
    page.get_by_text("Access keys").first.wait_for()

    assert page.evaluate("() => window.ran === undefined")
    assert len(watched.problems) == 2
    assert all("Content Security Policy" in problem for problem in watched.problems)
    watched.problems.clear()


EVENTS = """(client) => {
    for (const [id, element] of client.elements)
        for (const event of element.events || [])
            window.socket.emit("event", {
                id: Number(id), client_id: client.id, listener_id: event.listener_id, args: ["{}"],
            });
}"""
FORGED_MESSAGES = """async (client) => {
    const answers = [];
    const query = {
        client_id: client.id, tab_id: client.tab, document_id: "forged", next_message_id: 0,
    };
    answers.push(await new Promise((answer) => window.socket.emit("handshake", query, answer)));
    const second = io(window.location.origin, {
        path: `${window.path_prefix}/_nicegui_ws/socket.io`, forceNew: true,
        query: {...query, implicit_handshake: true}, transports: ["websocket"], reconnection: false,
    });
    answers.push(await new Promise((answer) => {
        second.on("connect", () => answer("connected"));
        second.on("connect_error", () => answer("refused"));
    }));
    const upload = `/console/_nicegui/client/${client.id}/upload/1`;
    answers.push((await fetch(upload, {method: "POST"})).status);
    return answers;
}"""
PAGE = """() => ({
    id: window.clientId, tab: sessionStorage.__nicegui_tab_id,
    elements: Object.entries(mounted_app.elements)
        .filter(([id, element]) => element.props.label === "New access key")
        .map(([id, element]) => [id, {events: element.events.map((event) => ({...event}))}]),
})"""


def test_messages_reach_only_pages_of_their_own_session(visit: Visit) -> None:
    owner, other = visit(), visit()
    page, forger = owner.open("/settings"), other.open("/")
    dialog = page.get_by_role("dialog")
    names = page.evaluate(PAGE)

    forger.evaluate(EVENTS, names)
    answers = forger.evaluate(FORGED_MESSAGES, names)
    forger.get_by_role("link", name="Projects").first.wait_for()
    forged_dialogs = dialog.count()
    page.evaluate(EVENTS, names)

    assert any(element["events"] for _, element in names["elements"])
    assert answers == [False, "refused", 403]
    assert forged_dialogs == 0
    expect(dialog.first).to_be_visible()  # the same events by the owner's own socket
    owner.problems.clear()
    other.problems.clear()
