from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.scale import Maker, repeated, repetition
from blemish.domain.entities import Label


def encoded(color: int) -> bytes:
    made = io.BytesIO()
    pixels = np.full((80, 100, 3), color, dtype=np.uint8)
    pixels[:20, :30] = 255
    Image.fromarray(pixels).save(made, "PNG")
    return made.getvalue()


def test_a_repetition_depends_on_its_number_alone() -> None:
    data = encoded(90)

    made = [repetition(data, number) for number in range(20)]

    assert made[3] == repetition(data, 3)
    assert len(set(made)) == 20


def test_a_repetition_has_the_size_of_its_image() -> None:
    with Image.open(io.BytesIO(repetition(encoded(90), 5))) as image:
        assert image.size == (100, 80)


def test_one_in_ten_images_is_an_anomaly(tmp_path: Path) -> None:
    for place, label in enumerate(Label):
        for part in ("train", "test"):
            (tmp_path / part / label).mkdir(parents=True)
            (tmp_path / part / label / "1.png").write_bytes(encoded(50 * place))
    maker = Maker()

    images = repeated([tmp_path], 40, maker)

    assert sum(image.label is Label.ANOMALY for image in images) == 4
    assert len({image.read() for image in images}) == 40
    assert maker.spent_s > 0
