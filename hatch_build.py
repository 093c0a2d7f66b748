"""What a package index shows: the README with absolute links, and the project's addresses.

The address of the project is a setting, `BLEMISH_PROJECT_URL`, as the sources name none. Without
it, links to files of the repository become plain text, and images are left out.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface

URL_SETTING = "BLEMISH_PROJECT_URL"

_LINK = re.compile(r"(?P<image>!?)\[(?P<text>[^\]]*)\]\((?P<target>[^)\s]+)\)")
_ABSOLUTE = re.compile(r"[a-z][a-z0-9+.-]*:")


class ProjectMetadata(MetadataHookInterface):
    """Fills in the dynamic fields of pyproject.toml."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Set `readme` and `urls`."""
        url = os.environ.get(URL_SETTING, "").rstrip("/") or None
        tag = f"v{metadata['version']}"
        readme = (Path(self.root) / "README.md").read_text(encoding="utf-8")
        metadata["readme"] = {
            "content-type": "text/markdown",
            "text": description(readme, url=url, tag=tag),
        }
        metadata["urls"] = project_urls(url, tag=tag)


def description(readme: str, *, url: str | None, tag: str) -> str:
    """Return a README whose relative links lead to the repository at `url`, as of `tag`.

    Args:
        readme: Markdown.
        url: address of the repository, without a slash at the end; None removes relative links.
        tag: the tag or commit whose files the links name.
    """

    def absolute(link: re.Match[str]) -> str:
        image, text, target = link["image"], link["text"], link["target"]
        if _ABSOLUTE.match(target) or target.startswith("#"):
            return link[0]
        if url is None:
            return "" if image else text
        return f"{image}[{text}]({url}/{'raw' if image else 'blob'}/{tag}/{target})"

    return re.sub(r"\n{3,}", "\n\n", _LINK.sub(absolute, readme))


def project_urls(url: str | None, *, tag: str) -> dict[str, str]:
    """Return the links that an index shows beside the description."""
    if url is None:
        return {}
    return {
        "Source": url,
        "Documentation": f"{url}/blob/{tag}/docs/guide/getting-started.md",
        "Changelog": f"{url}/blob/{tag}/CHANGELOG.md",
        "Issues": f"{url}/issues",
    }
