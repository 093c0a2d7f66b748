"""A browser that is watched: what goes wrong in it fails the test that it belongs to."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, expect

from tests.acceptance.served import ServedDirectory

ROOT = Path(__file__).parents[2]
SCREENSHOTS = Path(os.environ.get("BLEMISH_SCREENSHOTS", ROOT / "build" / "screenshots"))
PATIENCE_MS = 60_000
"""How long a page may take: only what hangs should fail, on a busy machine too."""
WIDE, NARROW = (1920, 1080), (1280, 800)

expect.set_options(timeout=PATIENCE_MS)


def key_of(served: ServedDirectory) -> tuple[str, str]:
    """Return the id and the secret of the first key of a server."""
    text = (served.folder / "aws" / "credentials").read_text()
    found = re.findall(r"= (\S+)", text)
    return found[0], found[1]


class Watched:
    """One browser of its own: cookies, cache and storage begin empty."""

    def __init__(
        self,
        browser: Browser,
        served: ServedDirectory,
        *,
        size: tuple[int, int] = NARROW,
        dark: bool = False,
        **settings: Any,
    ) -> None:
        self.served = served
        self.root = f"{served.console}/console"
        self.context = browser.new_context(
            viewport={"width": size[0], "height": size[1]},
            color_scheme="dark" if dark else "light",
            reduced_motion="reduce",
            **settings,
        )
        self.context.set_default_timeout(PATIENCE_MS)
        self.page: Page = self.context.new_page()
        self.problems: list[str] = []
        self.page.on("pageerror", lambda error: self.problems.append(f"{error}"))
        self.page.on("console", self._heard)
        self.page.on("request", self._asked)
        self._size = size
        self._theme = "dark" if dark else "light"

    def sign_in(self, key: tuple[str, str] | None = None) -> None:
        """Sign in, by the first key unless another is given."""
        key_id, secret = key or key_of(self.served)
        self.page.goto(f"{self.root}/sign-in")
        self.page.get_by_label("Name or access key").fill(key_id)
        self.page.get_by_label("Secret access key").fill(secret)
        self.page.get_by_role("button", name="Sign in").click()
        expect(self.page.get_by_role("button", name="Sign out")).to_be_visible()

    def open(self, path: str) -> Page:
        """Open a page by its path below /console, and wait until it is alive."""
        self.page.goto(f"{self.root}{path}")
        self.page.wait_for_function("() => window.socket?.connected")
        return self.page

    def shoot(self, name: str, *, size: tuple[int, int] | None = None, whole: bool = False) -> Path:
        """Take an image of the page, for people to look at; at another size for the moment."""
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        if size is not None:
            self._resize(size)
        shown = size or self._size
        path = SCREENSHOTS / f"{name}-{shown[0]}-{self._theme}.png"
        self.page.screenshot(path=path, full_page=whole)
        if size is not None:
            self._resize(self._size)
        return path

    def clock(self) -> Callable[[], float]:
        """Return what tells the processor time of the page's thread so far, in milliseconds."""
        session = self.context.new_cdp_session(self.page)
        session.send("Performance.enable", {"timeDomain": "threadTicks"})

        def worked_ms() -> float:
            found = session.send("Performance.getMetrics")["metrics"]
            seconds = next(each["value"] for each in found if each["name"] == "TaskDuration")
            return 1_000 * float(seconds)

        return worked_ms

    def close(self) -> None:
        """Close it; nothing may have gone wrong in any of its pages."""
        self.context.close()
        assert not self.problems, self.problems

    def _resize(self, size: tuple[int, int]) -> None:
        self.page.set_viewport_size({"width": size[0], "height": size[1]})

    def _heard(self, message: Any) -> None:
        if message.type == "error":
            self.problems.append(f"{message.text} ({message.location['url']})")

    def _asked(self, request: Any) -> None:
        """Note what a page wants from any other host."""
        if not request.url.startswith((self.served.console, "data:", "blob:", "about:")):
            self.problems.append(f"asked for {request.url}")
