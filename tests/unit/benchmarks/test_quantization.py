from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks.quantization import CALIBRATING, compared, read_set


def test_no_image_that_ranges_are_taken_from_is_in_a_test(tmp_path: Path) -> None:
    for place, name in enumerate(("train/normal", "train/anomaly", "test/normal", "test/anomaly")):
        (tmp_path / name).mkdir(parents=True)
        for number in range(5):
            color = np.full((64, 64, 3), 20 * place + number, dtype=np.uint8)
            Image.fromarray(color).save(tmp_path / name / f"{number}.png")

    its = read_set(tmp_path)

    calibrating, tested = (
        {int(p[0, 0, 0]) for p in part} for part in (its.calibrating, its.pixels)
    )
    normal = {*range(5), *range(40, 45)}
    assert len(calibrating) == CALIBRATING
    assert calibrating <= normal
    assert tested == {*range(5), *range(20, 25), *range(40, 45), *range(60, 65)} - calibrating
    assert its.anomalous.tolist() == [int(p[0, 0, 0]) not in normal for p in its.pixels]


def test_the_standard_error_of_the_change_is_estimated_over_its_draws_less_one() -> None:
    before = np.array([0.90, 0.92, 0.91, 0.90, 0.92])

    found = compared(before, before + np.array([0.01, 0.03, 0.02, 0.05, 0.04]))

    assert found["image_auroc"] == pytest.approx(0.91)
    assert found["int8_less_float32"] == pytest.approx(0.03)
    assert found["standard_error"] == pytest.approx(0.015811 / 5**0.5, rel=1e-3)
