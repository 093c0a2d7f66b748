"""Masks are never lost: two tabs paint, relabel, undo and remove, and the server is killed."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from numpy.typing import NDArray
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from blemish.console.images.entry import entry_of
from tests.acceptance.served import ServedDirectory
from tests.console.test_painter import add_type, buffer_of, drag, open_painter, project_of
from tests.console.test_painter import entry_of as stored_entry
from tests.console.test_painter_keeps import grey_image, wait_for_draft
from tests.console.watched import Watched
from tests.ports import free_port

pytestmark = [pytest.mark.acceptance, pytest.mark.slow]

PATIENCE_MS = 60_000

REF = "s3://images/{}/1.png"

tabs = st.integers(0, 1)
spots = st.tuples(st.integers(1, 7), st.integers(1, 7))


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[ServedDirectory]:
    """A server that keeps its port when it is started again."""
    server = ServedDirectory(tmp_path / "data", environment={}, port=free_port())
    server.start()
    yield server
    server.end()


class MaskMachine(RuleBasedStateMachine):
    """Two tabs of one browser on one image."""

    def __init__(self, server: ServedDirectory, browser: Browser) -> None:
        super().__init__()
        self.server = server
        self.name = f"stays-{server.next_number()}"
        self.ref = REF.format(self.name)
        self.client = project_of(server, self.name, {"1.png": grey_image()})
        self.watched = Watched(browser, server)
        self.watched.context.set_default_timeout(PATIENCE_MS)
        self.watched.sign_in()
        first = self.watched.page
        self.pages = [first, self.watched.context.new_page()]
        open_painter(self.watched, self.name, self.ref)
        add_type(first, "crack")
        #: what is saved
        self.saved = buffer_of(first)
        #: tab -> what is painted there and not saved
        self.drafts: dict[int, NDArray[np.uint8]] = {}

    def painter(self, tab: int) -> Page:
        """Open the painter in a tab, unless it is open; settle a conflict in favour of this tab."""
        page = self.pages[tab]
        if "/paint" not in page.url:
            ref = quote(self.ref, safe="")
            page.goto(f"{self.watched.root}/projects/{self.name}/paint?set=train&ref={ref}")
        expect(page.locator(".painter-stage.ready")).to_be_visible()
        self.settle(page)
        return page

    def gallery(self, tab: int) -> Page:
        page = self.pages[tab]
        page.goto(f"{self.watched.root}/projects/{self.name}/images")
        expect(page.locator("#image-0")).to_be_visible()
        return page

    def settle(self, page: Page) -> None:
        """Where somebody has to decide, take the own version, and note what is saved then."""
        if page.get_by_role("alertdialog").count():
            page.get_by_role("button", name="Save mine").click()
            expect(page.get_by_role("alertdialog")).to_have_count(0)
            self.saved = buffer_of(page)
            self.drafts.clear()

    @rule(tab=tabs, spot=spots)
    def paint(self, tab: int, spot: tuple[int, int]) -> None:
        page = self.painter(tab)
        drag(page, (spot[0] / 8, spot[1] / 8), ((spot[0] + 0.5) / 8, spot[1] / 8))
        self.drafts[tab] = buffer_of(page)
        page.wait_for_timeout(400)  # the draft is stored a moment after the stroke
        wait_for_draft(page)

    @rule(tab=tabs, label=st.sampled_from("na"))
    def save(self, tab: int, label: str) -> None:
        page = self.painter(tab)
        page.keyboard.press(label)
        page.keyboard.press("Control+s")
        status = page.locator(".painter .head [role=status]")
        expect(status.filter(has_text="Saved").or_(page.get_by_role("alertdialog"))).to_be_visible()
        self.settle(page)
        self.saved = buffer_of(page)
        self.drafts.pop(tab, None)

    @rule(tab=tabs, label=st.sampled_from("nau"))
    def relabel_in_the_gallery(self, tab: int, label: str) -> None:
        page = self.gallery(tab)
        page.locator("#image-0").click()
        page.keyboard.press(label)
        expect(page.get_by_role("status").filter(has_text="Saved")).to_be_visible()

    @rule(tab=tabs)
    def undo_in_the_gallery(self, tab: int) -> None:
        page = self.gallery(tab)
        undo = page.get_by_role("button", name="Undo")
        if undo.is_enabled():
            undo.click()
            expect(page.get_by_role("status").filter(has_text="Saved")).to_be_visible()

    @rule(tab=tabs)
    def remove_and_undo(self, tab: int) -> None:
        page = self.gallery(tab)
        page.locator("#image-0").click()
        page.keyboard.press("Delete")
        page.get_by_role("button", name="Remove", exact=True).click()
        expect(page.get_by_text("No image is like that")).to_be_visible()
        page.get_by_role("button", name="Undo").click()
        expect(page.locator("#image-0")).to_be_visible()

    @rule(tab=tabs)
    def reload(self, tab: int) -> None:
        self.pages[tab].reload()

    @rule()
    def restart(self) -> None:
        self.server.end(signal.SIGKILL)
        self.server.start()
        for page in self.pages:
            if page.url != "about:blank":
                page.reload()

    @invariant()
    def no_mask_is_lost(self) -> None:
        for tab, painted in self.drafts.items():
            if "/paint" in self.pages[tab].url:
                page = self.pages[tab]
                expect(page.locator(".painter-stage.ready")).to_be_visible()
                assert np.array_equal(buffer_of(page), painted)
        entry = entry_of(json.dumps(stored_entry(self.client, self.name, self.ref)))
        ref = entry.mask_ref or (entry.set_aside.ref if entry.set_aside else None)
        if not self.saved.any():
            assert ref is None
            return
        assert ref is not None
        mask = mask_at(self.server, ref)
        assert np.array_equal(mask, self.saved == 1)

    def teardown(self) -> None:
        self.watched.problems.clear()  # what the browser says of a server that was gone
        self.watched.close()


def mask_at(server: ServedDirectory, ref: str) -> NDArray[np.bool_]:
    _, _, bucket, key = ref.split("/", 3)
    image = Image.open(server.folder / "buckets" / bucket / key).convert("RGB")
    painted: NDArray[np.bool_] = np.asarray(image)[..., 0] < 255
    return painted


def test_masks_are_never_lost(own_server: ServedDirectory, browser: Browser) -> None:
    class Machine(MaskMachine):
        def __init__(self) -> None:
            super().__init__(own_server, browser)

    run_state_machine_as_test(
        Machine,
        settings=settings(
            max_examples=4,
            stateful_step_count=8,
            deadline=None,
            phases=[Phase.generate],  # an example takes minutes, and is not made smaller
            suppress_health_check=list(HealthCheck),
            database=None,
        ),
    )
