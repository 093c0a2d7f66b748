from __future__ import annotations

import re
from pathlib import Path

from hatch_build import description, project_urls

ROOT = Path(__file__).parents[3]
URL = "https://code.example/blemish"


def test_relative_links_lead_to_the_files_of_the_tag() -> None:
    readme = "See [the guide](docs/guide/a.md#b), [us](https://x.example) and [above](#top)."

    text = description(readme, url=URL, tag="v1.2.3")

    assert text == (
        f"See [the guide]({URL}/blob/v1.2.3/docs/guide/a.md#b), [us](https://x.example) and "
        "[above](#top)."
    )


def test_images_are_shown_from_the_raw_files_of_the_tag() -> None:
    text = description("![A page](docs/images/page.png)", url=URL, tag="v1.2.3")

    assert text == f"![A page]({URL}/raw/v1.2.3/docs/images/page.png)"


def test_without_an_address_relative_links_are_text_and_images_are_left_out() -> None:
    readme = "A.\n\n![A page](page.png)\n\nSee [the guide](docs/a.md)."

    assert description(readme, url=None, tag="v1") == "A.\n\nSee the guide."


def test_an_index_shows_no_relative_link_of_the_readme() -> None:
    readme = (ROOT / "README.md").read_text()

    text = description(readme, url=URL, tag="v1")

    targets = re.findall(r"\]\(([^)]+)\)", text)
    assert targets
    assert [target for target in targets if not re.match(r"https?://|#", target)] == []


def test_without_an_address_an_index_shows_no_links_beside_the_description() -> None:
    assert project_urls(None, tag="v1") == {}
    assert project_urls(URL, tag="v1")["Changelog"] == f"{URL}/blob/v1/CHANGELOG.md"
