"""What helps to paint, in a real browser."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from playwright.sync_api import expect

from tests.acceptance.product import PROJECT
from tests.console.test_looks import findings
from tests.console.test_painter import add_type, buffer_of, open_painter
from tests.console.watched import Watched

pytestmark = pytest.mark.acceptance

Visit = Callable[..., Watched]


def test_a_model_suggests_a_mask_that_a_click_accepts(visit: Visit) -> None:
    watched = visit()
    page = open_painter(watched, PROJECT, "s3://images/plates/16.jpg")
    add_type(page, "scratch")

    page.get_by_role("button", name="Suggest a mask").click()
    expect(page.get_by_text("would add what you see")).to_be_visible()
    suggested = buffer_of(page)
    watched.shoot("painter-suggestion")
    assert findings(page) == []
    page.keyboard.press("Escape")
    dropped = buffer_of(page)
    page.get_by_role("button", name="Suggest a mask").click()
    page.get_by_role("button", name="Accept").click()
    accepted = buffer_of(page)
    page.keyboard.press("Control+z")

    assert 0.0005 < np.mean(suggested == 1) < 0.2
    assert not dropped.any()
    assert np.array_equal(accepted, suggested)
    assert not buffer_of(page).any()
