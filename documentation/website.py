"""`make docs`: a folder of static pages for this version, beside the folders of other versions."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path
from typing import Any

import yaml
from packaging.version import InvalidVersion, Version

ROOT = Path(__file__).parents[1]

_REDIRECT = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>Blemish</title>
<meta http-equiv="refresh" content="0; url={version}/index.html">
<a href="{version}/index.html">Blemish {version}</a>
</html>
"""


class SiteError(Exception):
    """The site cannot be built: a link leads nowhere, or the configuration is wrong."""


def build_site(target: Path, *, root: Path = ROOT) -> Path:
    """Write the pages of a source tree to a folder of `target`, named like their version.

    The pages have the same places as in the tree, so links work in both. The version chooser
    lists every version that `target` holds, and its front page leads to the newest.

    Returns:
        The folder of the version.

    Raises:
        SiteError: a link or an anchor does not exist.
    """
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    site = target.resolve() / str(project["version"])
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        _copy_pages(root, work / "pages")
        configuration = yaml.safe_load((root / "mkdocs.yml").read_text(encoding="utf-8"))
        _write_configuration(configuration, work)
        _run_zensical(work)
        shutil.rmtree(site, ignore_errors=True)
        shutil.copytree(work / "site", site)
    write_versions(target)
    return site


def write_versions(target: Path) -> None:
    """Write the list for the version chooser, and the front page that leads to the newest."""
    versions = sorted(filter(None, map(_version_of, target.iterdir())), reverse=True)
    entries = [
        {"version": str(version), "title": str(version), "aliases": []} for version in versions
    ]
    (target / "versions.json").write_text(json.dumps(entries, indent=2) + "\n", encoding="utf-8")
    (target / "index.html").write_text(_REDIRECT.format(version=versions[0]), encoding="utf-8")


def _version_of(folder: Path) -> Version | None:
    try:
        return Version(folder.name) if (folder / "index.html").is_file() else None
    except InvalidVersion:
        return None


def _copy_pages(root: Path, pages: Path) -> None:
    shutil.copytree(root / "docs", pages / "docs")
    for page in (*root.glob("*.md"), root / "LICENSE"):
        shutil.copy(page, pages)
    for interface in root.glob("src/**/*.proto"):
        target = pages / interface.relative_to(root)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(interface, target)


def _write_configuration(configuration: dict[str, Any], work: Path) -> None:
    filled_in: dict[str, Any] = {"docs_dir": "pages", "site_dir": "site"}
    if "nav" in configuration:
        filled_in["nav"] = _with_pages_of_folders(configuration["nav"], work / "pages")
    text = yaml.safe_dump(configuration | filled_in, sort_keys=False)
    (work / "mkdocs.yml").write_text(text, encoding="utf-8")


def _with_pages_of_folders(navigation: Any, pages: Path) -> Any:
    """Return a navigation in which a folder is replaced by its pages, README.md first."""
    match navigation:
        case list():
            return [_with_pages_of_folders(entry, pages) for entry in navigation]
        case dict():
            return {
                name: _with_pages_of_folders(entry, pages) for name, entry in navigation.items()
            }
        case str() if navigation.endswith("/"):
            names = sorted(path.name for path in (pages / navigation).glob("*.md"))
            names.sort(key=lambda name: name != "README.md")
            return [f"{navigation}{name}" for name in names]
        case _:
            return navigation


def _run_zensical(work: Path) -> None:
    command = [sys.executable, "-m", "zensical", "build", "--strict"]
    result = subprocess.run(
        command,
        cwd=work,
        env=os.environ | {"NO_COLOR": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if result.returncode:
        raise SiteError(result.stdout)


if __name__ == "__main__":
    try:
        print(f"Wrote {build_site(Path(sys.argv[1]))}")
    except SiteError as error:
        sys.exit(str(error))
