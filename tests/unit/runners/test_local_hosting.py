from __future__ import annotations

import shutil
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from blemish.domain.entities import InferenceUnits
from blemish.engine.errors import BundleError
from blemish.engine.images import ImageError
from blemish.engine.runtime import Detection
from blemish.runners.local import LocalHosting
from tests.products import LIMITS, SIZE, draw, png
from tests.unit.fakes import detection
from tests.unit.runners.waiting import PATIENCE_S, eventually

PICTURE = png(draw(1).pixels)
ONE = InferenceUnits(minimum=1, maximum=None)


@pytest.fixture
def hosting() -> LocalHosting:
    return LocalHosting(threads=1)


def detect(
    hosting: LocalHosting, data: bytes = PICTURE, *, model_id: int = 7, timeout_s: float = 0.05
) -> Detection | None:
    return hosting.detect(model_id, data, limits=LIMITS, mixed_sizes=False, timeout_s=timeout_s)


def test_a_loaded_model_judges_pictures(hosting: LocalHosting, bundle: Path) -> None:
    hosting.load(7, bundle, units=ONE, attempt=1)

    normal = detect(hosting)
    anomalous = detect(hosting, png(draw(1, "stain").pixels))

    assert normal is not None
    assert anomalous is not None
    assert normal.stored_size == SIZE
    assert (normal.is_anomalous, anomalous.is_anomalous) == (False, True)


def test_another_model_is_not_there(hosting: LocalHosting, bundle: Path) -> None:
    hosting.load(7, bundle, units=ONE, attempt=1)

    assert detect(hosting, model_id=8) is None


def test_a_detection_waits_for_a_model_that_comes(hosting: LocalHosting, bundle: Path) -> None:
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(detect, hosting, timeout_s=PATIENCE_S)
        hosting.load(6, bundle, units=ONE, attempt=1)
        hosting.load(7, bundle, units=ONE, attempt=1)

        assert answer.result(PATIENCE_S) is not None


def test_an_unloaded_model_is_gone(hosting: LocalHosting, bundle: Path) -> None:
    hosting.load(7, bundle, units=ONE, attempt=1)

    hosting.unload(7)
    hosting.unload(7)

    assert detect(hosting) is None


def test_an_attempt_unloads_only_what_it_loaded(hosting: LocalHosting, bundle: Path) -> None:
    hosting.load(7, bundle, units=ONE, attempt=1)
    hosting.load(7, bundle, units=ONE, attempt=2)

    hosting.unload(7, attempt=1)
    assert detect(hosting) is not None

    hosting.unload(7, attempt=2)
    assert detect(hosting) is None


def test_a_damaged_bundle_is_not_loaded(
    hosting: LocalHosting, bundle: Path, tmp_path: Path
) -> None:
    damaged = shutil.copytree(bundle, tmp_path / "damaged")
    with (damaged / "model.onnx").open("r+b") as file:
        file.write(b"\0\0\0\0")

    with pytest.raises(BundleError, match="checksum"):
        hosting.load(7, damaged, units=ONE, attempt=1)

    assert detect(hosting) is None


def test_a_picture_that_cannot_be_judged_takes_no_unit_with_it(
    hosting: LocalHosting, bundle: Path
) -> None:
    hosting.load(7, bundle, units=ONE, attempt=1)
    for _ in range(3):
        with pytest.raises(ImageError):
            detect(hosting, b"no picture")

    assert detect(hosting) is not None


class SlowDetector:
    """A detector that counts how many pictures it has at once, and waits."""

    def __init__(self) -> None:
        self.may_end = threading.Event()
        self.lock = threading.Lock()
        self.now = 0

    def detect(self, *_: Any, **__: Any) -> Detection:
        with self.lock:
            self.now += 1
        assert self.may_end.wait(PATIENCE_S)
        with self.lock:
            self.now -= 1
        return detection()


@pytest.mark.parametrize(
    ("minimum", "maximum", "expected"), [(1, None, 1), (2, None, 2), (1, 3, 3)]
)
def test_as_many_pictures_are_judged_at_once_as_there_are_units(
    hosting: LocalHosting, bundle: Path, minimum: int, maximum: int | None, expected: int
) -> None:
    detector = SlowDetector()
    hosting.load(7, bundle, units=InferenceUnits(minimum=minimum, maximum=maximum), attempt=1)
    hosting._hosted[7] = replace(hosting._hosted[7], detector=detector)  # type: ignore[arg-type]

    with ThreadPoolExecutor(5) as pool:
        answers = [pool.submit(detect, hosting) for _ in range(5)]
        eventually(lambda: detector.now == expected)
        threading.Event().wait(0.05)
        assert detector.now == expected
        detector.may_end.set()

        assert all(answer.result(PATIENCE_S) for answer in answers)
