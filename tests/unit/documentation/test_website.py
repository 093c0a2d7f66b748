from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from documentation.website import ROOT, SiteError, build_site, write_versions


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_site(tmp_path_factory.mktemp("site"))


@pytest.fixture
def small_tree(tmp_path: Path) -> Path:
    root = tmp_path / "tree"
    (root / "docs").mkdir(parents=True)
    (root / "LICENSE").touch()
    (root / "pyproject.toml").write_text('[project]\nversion = "1.2.3"\n')
    (root / "mkdocs.yml").write_text("site_name: Small\n")
    (root / "README.md").write_text("# Small\n\n[a page](docs/page.md)\n")
    (root / "docs" / "page.md").write_text("# Page\n\n[home](../README.md#small)\n")
    return root


def pages_of(nav: Any) -> list[str]:
    """Return the pages that a navigation lists."""
    match nav:
        case str() if nav.endswith("/"):
            return [str(path.relative_to(ROOT)) for path in (ROOT / nav).glob("*.md")]
        case str():
            return [nav]
        case dict():
            return [page for entry in nav.values() for page in pages_of(entry)]
        case _:
            return [page for entry in nav for page in pages_of(entry)]


def test_every_guide_stands_in_one_of_the_four_kinds() -> None:
    navigation = yaml.safe_load((ROOT / "mkdocs.yml").read_text())["nav"]

    kinds = [name for section in navigation for name in section]
    pages = pages_of(navigation)

    assert kinds[1:] == ["Tutorial", "How-to guides", "Reference", "Explanation"]
    assert len(pages) == len(set(pages))
    assert {str(path.relative_to(ROOT)) for path in (ROOT / "docs").rglob("*.md")} <= set(pages)


def test_the_site_has_a_page_for_every_source_and_needs_no_network(site: Path) -> None:
    sources = {path.relative_to(ROOT / "docs") for path in (ROOT / "docs").rglob("*.md")}
    built = {path.relative_to(site / "docs") for path in (site / "docs").rglob("*.html")}

    loaded = [
        address
        for page in site.rglob("*.html")
        for address in re.findall(
            r"<(?:script|link|img|iframe)[^>]*=\"?(https?://[^\s\">]+)", page.read_text()
        )
    ]
    styles = [path for path in site.rglob("*.css") if "url(http" in path.read_text()]

    assert {path.with_suffix("").name for path in sources} - {"README"} <= {
        path.with_suffix("").name for path in built
    }
    assert loaded == []
    assert styles == []


def test_links_to_files_that_are_no_pages_lead_to_a_file(site: Path) -> None:
    files = [
        page.parent / address
        for page in site.rglob("*.html")
        for address in re.findall(r"href=\"?([^\s\"#>:]+\.proto)", page.read_text())
    ]

    assert files
    assert [file for file in files if not file.is_file()] == []


def test_the_site_can_be_searched(site: Path) -> None:
    entries = json.loads((site / "search.json").read_text())

    assert "DetectAnomalies" in json.dumps(entries)


def test_links_that_lead_nowhere_fail_the_build(small_tree: Path, tmp_path: Path) -> None:
    text = "# Other\n\n[a page](missing.md)\n\n[an anchor](page.md#missing)\n"
    (small_tree / "docs" / "other.md").write_text(text)

    with pytest.raises(SiteError) as raised:
        build_site(tmp_path / "site", root=small_tree)

    assert re.findall(r"other\.md:(\d)", str(raised.value)) == ["3", "5"]


def test_versions_are_listed_from_the_newest(tmp_path: Path) -> None:
    for name in ("0.9.0", "0.10.0", "other"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "index.html").touch()

    write_versions(tmp_path)

    entries = json.loads((tmp_path / "versions.json").read_text())
    assert [entry["version"] for entry in entries] == ["0.10.0", "0.9.0"]
    assert "0.10.0/index.html" in (tmp_path / "index.html").read_text()
