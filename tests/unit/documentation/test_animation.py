from __future__ import annotations

import io
from pathlib import Path

import pytest
from PIL import Image

from documentation.animation import Scene, write_animation
from documentation.website import ROOT

ANIMATION = ROOT / "docs" / "images" / "bring-train-find.webp"
LARGEST_BYTES = 3_000_000


def screenshot(color: str) -> bytes:
    output = io.BytesIO()
    Image.new("RGB", (64, 40), color).save(output, "PNG")
    return output.getvalue()


def durations_ms(path: Path) -> list[int]:
    with Image.open(path) as animation:
        durations = []
        for frame in range(getattr(animation, "n_frames", 1)):
            animation.seek(frame)
            animation.load()
            durations.append(int(animation.info["duration"]))
    return durations


def test_scenes_are_shown_for_their_time(tmp_path: Path) -> None:
    scenes = [
        Scene(screenshot=screenshot("red"), caption="1. Bring images", duration_s=1.5),
        Scene(screenshot=screenshot("blue"), caption="2. Train", duration_s=2),
    ]

    write_animation(tmp_path / "a.webp", scenes)

    assert durations_ms(tmp_path / "a.webp") == [1_500, 2_000]


def test_the_animation_of_the_readme_is_short_and_small() -> None:
    assert ANIMATION.stat().st_size < LARGEST_BYTES
    assert sum(durations_ms(ANIMATION)) == pytest.approx(20_000)


def test_every_image_is_shown_on_a_page() -> None:
    texts = [path.read_text() for path in (*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"))]

    unused = [
        path.name
        for path in (ROOT / "docs" / "images").iterdir()
        if not any(f"images/{path.name}" in text for text in texts)
    ]

    assert unused == []
