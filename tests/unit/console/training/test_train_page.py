"""What a person writes before a training, as the API takes it."""

from __future__ import annotations

import pytest

from blemish.console.training.train_page import parse_tags
from blemish.domain.errors import ValidationError
from tests.unit.console.images.added import add_images
from tests.unit.console.in_process import Browser


def test_tags_are_written_one_a_line() -> None:
    assert parse_tags(" line = 3\n\nshift=\n a=b=c") == [
        {"Key": "line", "Value": "3"},
        {"Key": "shift", "Value": ""},
        {"Key": "a", "Value": "b=c"},
    ]


@pytest.mark.parametrize("lines", ["line", " = 3"])
def test_a_line_that_is_no_tag_is_named(lines: str) -> None:
    with pytest.raises(ValidationError, match="not written as key = value"):
        parse_tags(lines)


def test_the_page_checks_the_labelled_images(browser: Browser, project: str) -> None:
    add_images(browser, project, "normal", "anomaly", None)

    page = browser.get(f"/projects/{project}/train")

    assert "Checking 2 images" in page.text


def test_nothing_is_checked_without_a_label(browser: Browser, project: str) -> None:
    add_images(browser, project, None)

    page = browser.get(f"/projects/{project}/train")

    assert "Check of the images" not in page.text
