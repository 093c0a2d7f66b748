from __future__ import annotations

import asyncio
import io
import json

import httpx
import numpy as np
import pytest
from PIL import Image

from blemish.station.config_table import SecretText
from blemish.station.page import app, guard
from blemish.station.page.app import PageApp
from blemish.station.page.feed import StatusFeed
from blemish.station.page.guard import PageGuard
from blemish.station.page.shown_image import ShownImage
from tests.products import draw, png
from tests.unit.station.statuses import station_status
from tests.unit.station.verdicts import verdict

TOKEN = SecretText("t-123")


def shown() -> ShownImage:
    return ShownImage(
        verdict=verdict(20),
        content=png(draw(1, "stain").pixels),
        anomaly_map=np.full((4, 6), 2, dtype=np.float32),
    )


def answers(
    *requests: tuple[str, str, dict[str, str]],
    token: SecretText | None = None,
    form: str = "",
    is_watched: bool = False,
) -> list[httpx.Response]:
    """Return what the page answers to requests of one client: method, URL and headers."""

    async def ask() -> list[httpx.Response]:
        feed = StatusFeed(status=station_status, shown=shown)
        application = PageApp(feed, PageGuard(token, new_session=lambda: "s-1")).application()
        states = feed.states()
        if is_watched:
            await anext(states)
        transport = httpx.ASGITransport(application)
        async with httpx.AsyncClient(transport=transport) as client:
            responses = [
                await client.request(method, url, headers=headers, content=form)
                for method, url, headers in requests
            ]
        await states.aclose()
        return responses

    return asyncio.run(ask())


def get(url: str, **headers: str) -> tuple[str, str, dict[str, str]]:
    return "GET", url, {name.replace("_", "-"): value for name, value in headers.items()}


@pytest.mark.parametrize("host", ["localhost:8077", "127.0.0.1:8077", "[::1]:8077", "localhost"])
def test_browsers_of_this_machine_need_no_sign_in(host: str) -> None:
    [page] = answers(get(f"http://{host}/"))

    assert page.status_code == 200
    assert "/static/page.js" in page.text


@pytest.mark.parametrize(
    "headers",
    [
        {"host": "evil.example:8077"},
        {"host": "localhost.evil.example"},
        {"host": ""},
        {"host": "localhost", "x_forwarded_for": "203.0.113.7"},
    ],
)
@pytest.mark.parametrize("path", ["/", "/events", "/images/0020/photo"])
def test_names_that_lead_here_and_proxies_get_nothing(path: str, headers: dict[str, str]) -> None:
    [page] = answers(get(f"http://localhost{path}", **headers), is_watched=True)

    assert page.status_code == 403
    assert "token_env" in page.text


def test_everything_forbids_scripts_and_frames_of_others() -> None:
    pages = answers(
        get("http://localhost/"),
        get("http://localhost/static/page.js"),
        get("http://localhost/images/0020/photo"),
        get("http://evil.example/"),
        is_watched=True,
    )

    for page in pages:
        policy = page.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert page.headers["cache-control"] == "no-store"
        assert page.headers["x-content-type-options"] == "nosniff"


def test_the_image_and_its_heat_map_have_one_size() -> None:
    photo, heat_map, unknown, other = answers(
        get("http://localhost/images/0020/photo"),
        get("http://localhost/images/0020/heat-map"),
        get("http://localhost/images/0019/photo"),
        get("http://localhost/images/0020/mask"),
        is_watched=True,
    )

    assert photo.headers["content-type"] == "image/jpeg"
    sizes = [Image.open(io.BytesIO(layer.content)).size for layer in (photo, heat_map)]
    assert sizes == [(96, 64), (96, 64)]
    assert np.asarray(Image.open(io.BytesIO(heat_map.content)).convert("RGBA"))[..., 3].any()
    assert (unknown.status_code, other.status_code) == (404, 404)


def test_files_beside_the_pages_are_not_served() -> None:
    index, above = answers(
        get("http://localhost/static/index.html"), get("http://localhost/static/..%2fapp.py")
    )

    assert (index.status_code, above.status_code) == (404, 404)


def test_with_a_token_nobody_reads_without_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app, "WRONG_TOKEN_S", 0)

    index, image, wrong, bearer, wrong_bearer, cookie = answers(
        get("http://localhost/"),
        get("http://localhost/images/0020/photo"),
        ("POST", "http://localhost/sign-in", {}),
        get("http://localhost/images/0020/photo", authorization="Bearer t-123"),
        get("http://localhost/images/0020/photo", authorization="Bearer t-12"),
        get("http://localhost/images/0020/photo", cookie=f"{guard.COOKIE}=s-1"),
        token=TOKEN,
        form="token=wrong",
        is_watched=True,
    )

    assert index.status_code == 401
    assert 'type="password"' in index.text
    assert (image.status_code, wrong.status_code) == (401, 401)
    assert (bearer.status_code, wrong_bearer.status_code, cookie.status_code) == (200, 401, 401)


def test_the_token_opens_a_session() -> None:
    signed_in, page = answers(
        ("POST", "http://station.example/sign-in", {}),
        get("http://station.example/"),
        token=TOKEN,
        form="token=t-123",
    )

    cookie = signed_in.headers["set-cookie"]
    assert (signed_in.status_code, signed_in.headers["location"]) == (303, "/")
    assert {"HttpOnly", "SameSite=strict"} <= set(cookie.split("; "))
    assert page.status_code == 200


def test_a_form_that_is_too_large_is_refused() -> None:
    [answer] = answers(
        ("POST", "http://localhost/sign-in", {}), token=TOKEN, form="token=" + "x" * 5_000
    )

    assert answer.status_code == 413


def test_a_state_has_the_image_that_it_shows() -> None:
    async def first_state() -> str:
        feed = StatusFeed(status=station_status, shown=shown)
        states = feed.states()
        state = await anext(states)
        await states.aclose()
        return state

    document = json.loads(asyncio.run(first_state()))

    assert document["shown"]["image_name"] == "plate 20.png"
    assert "image_path" not in document["shown"]
    assert document["detections"] == 12_345
    assert [entry["id"] for entry in document["last"]] == [f"{n:04}" for n in range(20, 0, -1)]
    assert document["sinks"][1]["waiting"] == 45
