"""Folders of small images, and what a format reads of them."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from blemish.interchange.drafts import LabelledDataset, draft_entries, read_dataset
from blemish.interchange.files import open_files
from blemish.interchange.labelled import LabelledImage

WIDTH, HEIGHT = 80, 64


def png(size: tuple[int, int] = (WIDTH, HEIGHT)) -> bytes:
    """Return a grey image."""
    stream = io.BytesIO()
    Image.new("RGB", size, "grey").save(stream, "PNG")
    return stream.getvalue()


def grey_mask(mask: NDArray[np.bool_]) -> bytes:
    """Return a mask as MVTec stores it."""
    stream = io.BytesIO()
    Image.fromarray(mask.astype(np.uint8) * 255).save(stream, "PNG")
    return stream.getvalue()


def color_mask(pixels: NDArray[np.uint8]) -> bytes:
    """Return (H, W, 3) pixels as a PNG."""
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


def rectangle(left: int, top: int, right: int, bottom: int) -> NDArray[np.bool_]:
    """Return an (H, W) mask of a rectangle."""
    mask = np.zeros((HEIGHT, WIDTH), dtype=np.bool_)
    mask[top:bottom, left:right] = True
    return mask


def fill(folder: Path, files: dict[str, Any]) -> Path:
    """Write files: bytes, text, or what becomes JSON; None stands for an image."""
    for path, content in files.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(_bytes(content))
    return folder


def _bytes(content: Any) -> bytes:
    match content:
        case None:
            return png()
        case bytes():
            return content
        case str():
            return content.encode()
    return json.dumps(content).encode()


def read(folder: Path, format_name: str | None = None) -> LabelledDataset:
    """Read a folder."""
    return read_dataset(open_files(folder), format_name=format_name)


def by_path(dataset: LabelledDataset) -> dict[str, LabelledImage]:
    """Return the images of a dataset by their paths."""
    return {image.path: image for image in dataset.images}


def masks(folder: Path, out: Path, format_name: str | None = None) -> dict[str, Any]:
    """Read a folder and draw; return path -> anomaly type -> (H, W) pixels."""
    files = open_files(folder)
    dataset = read_dataset(files, format_name=format_name)
    out.mkdir(parents=True, exist_ok=True)
    drawn = {}
    for entry in draft_entries(files, dataset, folder=out):
        pixels = np.asarray(Image.open(entry.mask or io.BytesIO(png())).convert("RGB"))
        drawn[entry.path] = {
            name: np.all(pixels == list(bytes.fromhex(color[1:])), axis=2)
            for color, name in (entry.colors).items()
        }
    return drawn
