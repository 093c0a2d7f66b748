from __future__ import annotations

from typing import Any

from tests.unit.console.images.added import add_images
from tests.unit.console.in_process import Browser, InProcessConsole


def shown(browser: Browser, project: str, **query: Any) -> dict[str, Any]:
    answer = browser.get(f"/gallery/{project}/train", **query)
    assert answer.status_code == 200, answer.text
    members: dict[str, Any] = answer.json()
    return members


def labels(view: dict[str, Any]) -> list[str | None]:
    return [entry["label"] for entry in view["entries"]]


def test_a_view_keeps_its_order_while_its_images_are_labelled(
    browser: Browser, project: str
) -> None:
    add_images(browser, project, None, None, None)
    view = shown(browser, project, filter="unlabelled")

    changes = [{"view": view["view"], "ranges": [[0, 1]], "label": "normal"}]
    answer = browser.post(f"/gallery/{project}/train/changes", {"changes": changes}).json()

    assert answer["counts"]["unlabelled"] == 1
    same = shown(browser, project, view=view["view"])
    assert labels(same) == ["normal", "normal", None]
    assert labels(shown(browser, project, filter="unlabelled")) == [None]


def test_a_label_is_undone_by_what_came_back(browser: Browser, project: str) -> None:
    add_images(browser, project, "normal", None)
    view = shown(browser, project)
    change = {"view": view["view"], "ranges": [[0, 1]], "label": "anomaly"}
    path = f"/gallery/{project}/train/changes"
    (undo,) = browser.post(path, {"changes": [change]}).json()["undos"]

    browser.post(path, {"changes": [undo]})

    assert labels(shown(browser, project)) == ["normal", None]


def test_a_label_costs_one_call_of_the_api(
    console: InProcessConsole, browser: Browser, project: str
) -> None:
    refs = add_images(browser, project, None, None)
    shown(browser, project)
    before = console.api_calls()

    change = {"changes": [{"labels": {refs[0]: "normal"}}]}
    answer = browser.post(f"/gallery/{project}/train/changes", change).json()

    assert answer["counts"]["normal"] == 1
    assert console.api_calls() - before == 1


def test_images_that_are_named_are_labelled_without_a_view(browser: Browser, project: str) -> None:
    refs = add_images(browser, project, "normal", None)
    named = {refs[0]: "anomaly", refs[1]: "normal", "s3://images/gone.png": "normal"}
    path = f"/gallery/{project}/train/changes"

    browser.post(path, {"changes": [{"labels": named}, {"labels": {refs[1]: None}}]})
    gone = browser.post(path, {"changes": [{"labels": {"s3://images/gone.png": "normal"}}]})

    assert labels(shown(browser, project)) == ["anomaly", None]
    assert gone.status_code == 400


def test_removed_images_come_back_when_that_is_undone(browser: Browser, project: str) -> None:
    add_images(browser, project, "normal", "anomaly", None)
    view = shown(browser, project)
    change = {"view": view["view"], "ranges": [[1, 1]]}

    (undo,) = browser.post(f"/gallery/{project}/train/removal", change).json()["undos"]
    removed = shown(browser, project)
    browser.post(f"/gallery/{project}/train/changes", {"changes": [undo]})

    assert labels(removed) == ["normal", None]
    assert sorted(map(str, labels(shown(browser, project)))) == ["None", "anomaly", "normal"]


def test_what_is_missing_before_a_training_is_said(browser: Browser, project: str) -> None:
    assert shown(browser, project)["missing"] == ["a training set"]
    add_images(browser, project, "normal")

    assert shown(browser, project)["missing"] == ["14 more normal in the training set"]


def test_what_the_server_no_longer_knows_is_a_conflict(browser: Browser, project: str) -> None:
    add_images(browser, project, None)
    path = f"/gallery/{project}/train/changes"

    order = browser.post(path, {"changes": [{"view": "x", "ranges": [[0, 0]], "label": "normal"}]})
    undo = browser.post(path, {"changes": [{"undo": "x"}]})

    assert [order.status_code, undo.status_code] == [409, 409]
    assert "Reload the page" in undo.text


def test_wrong_requests_are_refused(
    console: InProcessConsole, browser: Browser, project: str
) -> None:
    add_images(browser, project, None)
    view = shown(browser, project)["view"]
    change = {"changes": [{"view": view, "ranges": [[0, 0]], "label": "normal"}]}

    assert browser.get(f"/gallery/{project}/train", filter="pretty").status_code == 400
    assert browser.get(f"/gallery/{project}/train", offset="-1").status_code == 400
    assert browser.get(f"/gallery/{project}/third").status_code == 422
    looker = console.browser("looker")
    assert looker.post(f"/gallery/{project}/train/changes", change).status_code == 403
