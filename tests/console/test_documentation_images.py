"""The images of the documentation are taken again from the sample product."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from tests.console.conftest import CHROMIUM

pytestmark = [pytest.mark.acceptance, pytest.mark.slow, pytest.mark.timeout(1_200)]


@pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium")
def test_the_images_of_the_documentation_can_be_taken(tmp_path: Path) -> None:
    from documentation.console_images import IMAGES, take_images  # noqa: PLC0415 - it needs Chromium

    take_images(tmp_path)

    taken = {path.name for path in tmp_path.iterdir()}
    assert taken == {path.name for path in IMAGES.iterdir()}
    for name in taken:
        with Image.open(tmp_path / name) as image, Image.open(IMAGES / name) as stored:
            assert image.size == stored.size
