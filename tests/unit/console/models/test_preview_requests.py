from __future__ import annotations

import pytest

from tests.unit.console.in_process import Browser, InProcessConsole


@pytest.mark.parametrize("path", ["/heat-map", "/mask"])
def test_a_preview_of_what_is_not_there_is_missing(
    browser: Browser, project: str, path: str
) -> None:
    names = {"project": project, "version": "1"}

    assert browser.get(path, **names, ref="s3://images/none.jpg").status_code == 404
    assert browser.get(path, **names, ref="none").status_code == 400


def test_a_bundle_is_for_those_who_may_package_its_model(
    console: InProcessConsole, browser: Browser, project: str
) -> None:
    names = {"project": project, "version": "1"}

    assert browser.get("/bundle", **names).status_code == 404
    assert console.browser("looker").get("/bundle", **names).status_code == 403
