"""The languages of the console, in a real browser: chosen, mixed, and complete on every page."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from blemish.console.language.visitor_language import COOKIE, PSEUDO
from tests.acceptance.product import PROJECT
from tests.acceptance.served import ServedDirectory
from tests.console.watched import Watched

pytestmark = pytest.mark.acceptance

Visit = Callable[..., Watched]

PAGES = {
    "/": "h1",
    "/trash": "h1",
    "/lines": "h1",
    "/lines/new": "h1",
    "/settings": "h1",
    "/users": "h1",
    "/kiosks": "h1",
    f"/projects/{PROJECT}": "h1",
    f"/projects/{PROJECT}/add": ".drop",
    f"/projects/{PROJECT}/images?set=train": ".cell img",
    f"/projects/{PROJECT}/paint?set=train&ref=s3%3A%2F%2Fimages%2Fplates%2F16.jpg": (
        ".painter-stage.ready"
    ),
    f"/projects/{PROJECT}/train": "h1",
    f"/projects/{PROJECT}/models": "table",
    f"/projects/{PROJECT}/models/1": ".judged figure",
    f"/projects/{PROJECT}/compare?a=1&b=1": "h1",
    f"/projects/{PROJECT}/try": ".try",
    f"/projects/{PROJECT}/packages": "h1",
}
"""Path -> what is drawn last."""

SAID = """() => {
  const data = "code, pre, kbd, time, textarea, .who, .code, .name";
  const hidden = `script, style, .q-icon, .nicegui-error-popup, ${data}`;
  const texts = [];
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) {
    const element = walk.currentNode.parentElement;
    if (element.checkVisibility() && !element.closest(hidden))
      texts.push(walk.currentNode.textContent);
  }
  for (const element of document.querySelectorAll("[aria-label], [placeholder]"))
    texts.push(element.ariaLabel ?? "", element.placeholder ?? "");
  return texts;
}"""
"""The texts that people see, and those that are read to them."""

BRACKETS = re.compile(r"\u27e6[^\u27e6\u27e7]*\u27e7")

DATA = re.compile(
    rf"Blemish|{PROJECT}|\S+\.(jpg|manifest)|s3://\S*|first|[KMGT]iB|\d\S*|English"
    r"|FullAccess|ReadOnly|Apache-2\.0|EfficientNet-Lite0|efficientnet_lite0|scattering|joined|and|average"
    r"|UTC|ONNX Runtime|NiceGUI|Python|SQLite|Linux \S+ \S+|boto3|AWS CLI|curl|AUROC"
    r"|viewer|operator|labeller|engineer|admin"
)
"""Names, numbers and words of the data, which no language changes."""

OF_THE_API = re.compile(
    r"(Training completed|The threshold is set|Scores are learned) .*", re.DOTALL
)
"""Messages of the API, which answers in English."""


@pytest.fixture(scope="module")
def served(trained_server: ServedDirectory) -> ServedDirectory:
    """A server without the projects and keys of other modules, whose names are no messages."""
    return trained_server


def unsaid(page: Page) -> list[str]:
    """Return the texts of a page in the pseudo-language that are outside of its brackets."""
    rest = []
    for text in page.evaluate(SAID):
        outside = text
        while BRACKETS.search(outside):  # a message may be a value of another
            outside = BRACKETS.sub("", outside)
        outside = OF_THE_API.sub("", DATA.sub("", outside))
        if re.search(r"[A-Za-z]{3}", outside):
            rest.append(outside.strip())
    return rest


def choose(watched: Watched, code: str) -> None:
    watched.context.add_cookies([{"name": COOKIE, "value": code, "url": watched.root}])


def test_every_text_of_the_pages_is_a_message(visit: Visit) -> None:
    watched = visit()
    choose(watched, PSEUDO)

    rest: dict[str, list[str]] = {}
    for path, drawn_last in PAGES.items():
        page = watched.open(path)
        expect(page.locator(drawn_last).first).to_be_visible()
        if texts := unsaid(page):
            rest[path] = texts

    assert rest == {}


def test_the_sign_in_form_speaks_the_language_of_the_browser(visit: Visit) -> None:
    page = visit(signed_in=False, locale="ja-JP").page
    page.goto(f"{visit(signed_in=False).root}/sign-in")

    expect(page.get_by_role("button", name="サインイン")).to_be_visible()
    assert page.evaluate("() => document.documentElement.lang") == "ja"


def test_two_visitors_have_two_languages_at_once(visit: Visit) -> None:
    german, english = visit(), visit()
    choose(german, "de")
    pages = {word: watched.open("/settings") for word, watched in (("de", german), ("en", english))}

    for page, new_key in (
        (pages["de"], "Neuer Zugriffsschlüssel"),
        (pages["en"], "New access key"),
    ):
        page.get_by_role("button", name=new_key).click()
    expect(pages["de"].get_by_role("button", name="Abbrechen")).to_be_visible()
    expect(pages["en"].get_by_role("button", name="Cancel")).to_be_visible()
    pages["de"].get_by_role("button", name="Anlegen").click()

    expect(pages["de"].get_by_role("alert")).not_to_be_empty()
    assert pages["de"].evaluate("() => document.documentElement.lang") == "de-DE"
    assert pages["en"].evaluate("() => document.documentElement.lang") == "en-US"


def test_a_visitor_selects_a_language(visit: Visit) -> None:
    page = visit().open("/settings")

    page.get_by_label("Language").click()
    page.get_by_role("option", name="Español").click()

    expect(page.get_by_role("heading", name="Configuración")).to_be_visible()
    expect(page).to_have_title("Configuración - Blemish")
    page.get_by_label("Idioma").click()
    page.get_by_role("option", name="English").click()
    expect(page.get_by_role("heading", name="Settings")).to_be_visible()
