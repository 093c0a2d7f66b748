"""The demo's page: every test image with its heat map, its mask and what was said about it."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from numpy.typing import NDArray
from PIL import Image

from blemish.domain.entities import Label
from blemish.engine.heat_maps import COLDEST, HEAT_COLORS, heat_levels, heat_palette
from blemish.engine.metrics import PrecisionRecallF1

SHOWN_SIDE = 640
"""Long side, in pixels, to which images are reduced for the page."""

_MASK_COVER = 200  # alpha of a mask over the image; its white background is clear


@dataclass(frozen=True, kw_only=True)
class TypeArea:
    """How much of an image one anomaly type covers."""

    name: str
    share: float  # 0 to 1
    color: str  # "#RRGGBB"


@dataclass(frozen=True, kw_only=True)
class ReportRow:
    """One test image and what was said about it; arrays lie as the image is to be shown."""

    name: str
    truth: Label
    verdict: Label
    confidence: float  # probability of the verdict, 0 to 1
    pixels: NDArray[np.uint8]  # (H, W, 3) RGB
    anomaly_map: NDArray[np.float32] | None = None  # (h, w)
    mask: NDArray[np.uint8] | None = None  # (H, W, 3) RGB, white where there is background
    areas: tuple[TypeArea, ...] = ()

    @property
    def mistake(self) -> str | None:
        """What the mistake is called; None where the verdict is right."""
        if self.verdict is self.truth:
            return None
        return "missed anomaly" if self.truth is Label.ANOMALY else "false alarm"


def write_report(
    path: Path,
    *,
    title: str,
    rows: Sequence[ReportRow],
    metrics: PrecisionRecallF1,
    threshold: float,
    trained_on: int,
    training_s: float,
    notes: Sequence[str] = (),
) -> None:
    """Write one HTML page that needs nothing beside it; mistakes come first.

    Args:
        path: the file, written anew.
        title: the heading.
        rows: the test images.
        metrics: over these images.
        threshold: image score at which the verdict turns; the heat maps are drawn by it.
        trained_on: how many images the model has learnt from.
        training_s: how long that took.
        notes: sentences that belong to the result, such as what could not be measured.
    """
    environment = Environment(
        loader=PackageLoader("blemish.demo", ""), autoescape=True, undefined=StrictUndefined
    )
    page = environment.get_template("report.html.jinja").render(
        title=title,
        cards=[_card(row, threshold=threshold) for row in sorted(rows, key=_worst_first)],
        metrics=metrics,
        trained_on=trained_on,
        training_s=training_s,
        notes=notes,
        threshold_share=1 - COLDEST,
        heat_colors=["#" + bytes(color).hex() for color in HEAT_COLORS.astype(np.uint8)],
    )
    path.write_text(page, encoding="utf-8")


def heat_map_overlay(
    pixels: NDArray[np.uint8], anomaly_map: NDArray[np.float32], *, threshold: float
) -> NDArray[np.uint8]:
    """Draw an anomaly map over its image.

    Args:
        pixels: (H, W, 3) RGB.
        anomaly_map: (h, w), enlarged bilinearly to the image.
        threshold: in the unit of the map.

    Returns:
        (H, W, 3) RGB.
    """
    height, width, _ = pixels.shape
    levels = heat_levels(anomaly_map, threshold=threshold, size=(width, height))
    colors, alphas = heat_palette()
    cover = (alphas / 255)[levels][..., np.newaxis]
    drawn = pixels * (1 - cover) + colors[levels] * cover
    return np.rint(drawn).astype(np.uint8)


def _worst_first(row: ReportRow) -> tuple[int, float, str]:
    """Order mistakes first, the surest foremost; then anomalies, then the rest, unsure first."""
    if row.mistake:
        return 0, -row.confidence, row.name
    return (1 if row.truth is Label.ANOMALY else 2), row.confidence, row.name


@dataclass(frozen=True, kw_only=True)
class _Card:
    """A row as the page shows it, with its images as data URLs."""

    row: ReportRow
    image: str
    heat_map: str | None
    mask: str | None


def _card(row: ReportRow, *, threshold: float) -> _Card:
    pixels = _reduced(row.pixels, Image.Resampling.LANCZOS)
    heat_map = mask = None
    if row.anomaly_map is not None:
        heat_map = _data_url(
            heat_map_overlay(pixels, row.anomaly_map, threshold=threshold), "JPEG", quality=85
        )
    if row.mask is not None:
        reduced = _reduced(row.mask, Image.Resampling.NEAREST)
        cover = np.where((reduced == 255).all(axis=2), 0, _MASK_COVER).astype(np.uint8)
        mask = _data_url(np.dstack([reduced, cover]), "PNG", optimize=True)
    return _Card(row=row, image=_data_url(pixels, "JPEG", quality=85), heat_map=heat_map, mask=mask)


def _reduced(pixels: NDArray[np.uint8], resampling: Image.Resampling) -> NDArray[np.uint8]:
    image = Image.fromarray(pixels)
    image.thumbnail((SHOWN_SIDE, SHOWN_SIDE), resampling)
    return np.asarray(image)


def _data_url(pixels: NDArray[np.uint8], file_format: str, **options: int) -> str:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, file_format, **options)
    content = base64.b64encode(buffer.getvalue()).decode()
    return f"data:image/{file_format.lower()};base64,{content}"
