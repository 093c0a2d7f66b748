"""Images that tests add to a project."""

from __future__ import annotations

import io
from collections.abc import Sequence

from PIL import Image

from tests.unit.console.in_process import Browser


def png(shade: int, *, size: tuple[int, int] = (80, 64)) -> bytes:
    """Return a grey image."""
    data = io.BytesIO()
    Image.new("L", size, shade).save(data, "PNG")
    return data.getvalue()


def add_images(browser: Browser, project: str, *labels: str | None) -> Sequence[str]:
    """Add an image for each label to the training set; return their addresses."""
    entries = []
    for shade, label in enumerate(labels):
        path = f"{shade}.png"
        answer = browser.ask("PUT", f"/upload/{project}/train?path={path}", content=png(shade))
        entries.append({"path": path, "ref": answer.json()["ref"], "kind": "train", "label": label})
    assert browser.post(f"/upload/{project}/entries", entries).json() == {"known": []}
    return [str(entry["ref"]) for entry in entries]
