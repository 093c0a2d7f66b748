"""An animated image of screens, each with a caption, for pages that cannot show a video."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

WIDTH = 960
BAR_HEIGHT = 48
FONT_SIZE = 24
BAR_COLOR, TEXT_COLOR = "#16324f", "#ffffff"
QUALITY = 78


@dataclass(frozen=True, kw_only=True)
class Scene:
    """One screen of an animation."""

    screenshot: bytes  # a PNG file
    caption: str
    duration_s: float


def write_animation(path: Path, scenes: Sequence[Scene]) -> None:
    """Write an animated WebP that repeats for ever."""
    first, *others = map(_frame, scenes)
    first.save(
        path,
        "WEBP",
        save_all=True,
        append_images=others,
        duration=[round(scene.duration_s * 1_000) for scene in scenes],
        loop=0,
        quality=QUALITY,
        method=6,
    )


def _frame(scene: Scene) -> Image.Image:
    with Image.open(io.BytesIO(scene.screenshot)) as screenshot:
        height = round(screenshot.height * WIDTH / screenshot.width)
        screen = screenshot.convert("RGB").resize((WIDTH, height), Image.Resampling.LANCZOS)
    frame = Image.new("RGB", (WIDTH, height + BAR_HEIGHT), BAR_COLOR)
    frame.paste(screen, (0, BAR_HEIGHT))
    draw = ImageDraw.Draw(frame)
    font = ImageFont.load_default(size=FONT_SIZE)
    draw.text((20, BAR_HEIGHT // 2), scene.caption, fill=TEXT_COLOR, font=font, anchor="lm")
    return frame
