from __future__ import annotations

from tests.unit.console.images.added import add_images, png
from tests.unit.console.in_process import Browser, InProcessConsole


def stats(console: InProcessConsole, project: str) -> dict[str, int]:
    answer = console.api.describe_dataset(ProjectName=project, DatasetType="train")
    return dict(answer["DatasetDescription"]["ImageStats"])


def test_images_become_entries_with_their_labels(
    console: InProcessConsole, browser: Browser, project: str
) -> None:
    add_images(browser, project, "normal", "anomaly", None)

    assert stats(console, project) == {"Total": 3, "Labeled": 2, "Normal": 1, "Anomaly": 1}


def test_identical_images_are_one_object(browser: Browser, project: str) -> None:
    refs = {
        browser.ask("PUT", f"/upload/{project}/train?path={path}", content=png(7)).json()["ref"]
        for path in ("a.png", "b.png")
    }

    assert len(refs) == 1


def test_an_image_of_the_project_is_not_added_again(browser: Browser, project: str) -> None:
    (ref,) = add_images(browser, project, "normal")

    entries = [{"path": "0.png", "ref": ref, "kind": "test", "label": "normal"}]
    answer = browser.post(f"/upload/{project}/entries", entries)

    assert answer.json() == {"known": [{"path": "0.png", "why": "already in the training set"}]}


def test_an_image_that_cannot_be_used_says_why_and_is_no_failure(
    browser: Browser, project: str
) -> None:
    add_images(browser, project, "normal")
    for content, problem in (
        (b"no image", "must be a JPEG"),
        (png(1, size=(8, 8)), "8 x 8"),
    ):
        answer = browser.ask("PUT", f"/upload/{project}/train?path=a.png", content=content)

        assert answer.status_code == 200
        assert problem in answer.json()["problem"]


def test_an_image_of_another_size_comes_with_the_size_of_the_others(
    browser: Browser, project: str
) -> None:
    add_images(browser, project, "normal", "normal")
    content = png(1, size=(320, 200))

    answer = browser.ask("PUT", f"/upload/{project}/train?path=a.png", content=content).json()
    allowed = browser.post(f"/upload/{project}/mixed-sizes", {})
    again = browser.ask("PUT", f"/upload/{project}/train?path=a.png", content=content).json()

    assert answer["size"] == {
        "stored": [320, 200],
        "upright": [320, 200],
        "text": "320 x 200 pixels",
    }
    assert answer["expected"]["text"] == "80 x 64 pixels"
    assert (answer["mixed"], allowed.status_code, again["mixed"]) == (False, 200, True)


def test_malformed_entries_are_refused(browser: Browser, project: str) -> None:
    for entries in ({"a": 1}, [{"path": "a"}], [{"path": "a", "ref": "b", "kind": "third"}]):
        assert browser.post(f"/upload/{project}/entries", entries).status_code == 400


def test_a_key_that_may_only_look_stores_nothing(console: InProcessConsole, project: str) -> None:
    looker = console.browser("looker")

    sent = looker.ask("PUT", f"/upload/{project}/train?path=a.png", content=png(1))
    added = looker.post(f"/upload/{project}/entries", [])

    assert sent.status_code == 403
    assert added.status_code == 200  # nothing was to be done
    assert not [path for path in console.buckets.rglob("*") if path.parent.name == project]
