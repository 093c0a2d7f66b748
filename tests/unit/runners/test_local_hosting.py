from __future__ import annotations

import os
import shutil
from concurrent.futures import Future
from pathlib import Path

import pytest

from blemish.domain.entities import InferenceUnits
from blemish.engine.bundle import read_bundle
from blemish.engine.images.decode import ImageError
from blemish.engine.runtime import Detection
from blemish.runners.line import WAITING_PER_UNIT
from blemish.runners.local import LocalHosting
from blemish.service.detection.detection import ModelBusyError, Outcome
from blemish.service.models.bundles import Bundles
from blemish.storage.errors import SealBrokenError
from tests.products import LIMITS, SIZE, draw, png
from tests.unit.runners.waiting import PATIENCE_S
from tests.unit.storage.sealing import new_encryption, new_keyring

IMAGE = png(draw(1).pixels)
BUNDLE = "7-1"
ONE = InferenceUnits(minimum=1, maximum=None)


@pytest.fixture
def hosting(bundle: Path, tmp_path: Path) -> LocalHosting:
    (tmp_path / "bundles").mkdir()
    (tmp_path / "staging").mkdir()
    bundles = Bundles(
        tmp_path / "bundles",
        staging=tmp_path / "staging",
        encryption=new_encryption(new_keyring(tmp_path)),
    )
    bundles.add(BUNDLE, read_bundle(bundle), kms_key_id=None)
    return LocalHosting(bundles=bundles, threads=1)


def detect(
    hosting: LocalHosting, data: bytes = IMAGE, *, model_id: int = 7, timeout_s: float = 0.05
) -> Detection | None:
    """Have an image judged, and wait for it."""
    outcome = begin(hosting, data, model_id=model_id, timeout_s=timeout_s).result(PATIENCE_S)
    if isinstance(outcome, ImageError):
        raise outcome
    return outcome


def begin(
    hosting: LocalHosting, data: bytes = IMAGE, *, model_id: int = 7, timeout_s: float = 0.05
) -> Future[Outcome]:
    return hosting.judge(
        model_id,
        data,
        limits=LIMITS,
        mixed_sizes=False,
        timeout_s=timeout_s,
        then=lambda outcome: outcome,
    )


def test_a_loaded_model_judges_images(hosting: LocalHosting) -> None:
    hosting.load(7, BUNDLE, units=ONE, attempt=1)

    normal = detect(hosting)
    anomalous = detect(hosting, png(draw(1, "stain").pixels))

    assert normal is not None
    assert anomalous is not None
    assert normal.stored_size == SIZE
    assert (normal.is_anomalous, anomalous.is_anomalous) == (False, True)


def test_another_model_is_not_there(hosting: LocalHosting) -> None:
    hosting.load(7, BUNDLE, units=ONE, attempt=1)

    assert detect(hosting, model_id=8) is None


def test_a_detection_waits_for_a_model_that_comes(hosting: LocalHosting) -> None:
    answers = [begin(hosting, timeout_s=PATIENCE_S) for _ in range(3)]

    hosting.load(6, BUNDLE, units=ONE, attempt=1)
    assert not any(answer.done() for answer in answers)
    hosting.load(7, BUNDLE, units=ONE, attempt=1)

    assert all(isinstance(answer.result(PATIENCE_S), Detection) for answer in answers)


def test_only_so_many_detections_wait_for_a_model_that_comes(hosting: LocalHosting) -> None:
    answers = [begin(hosting, timeout_s=1) for _ in range(WAITING_PER_UNIT)]

    with pytest.raises(ModelBusyError) as caught:
        begin(hosting, timeout_s=1)

    assert caught.value.wait_s == 1
    assert detect(hosting, model_id=8) is None
    assert [answer.result(PATIENCE_S) for answer in answers] == [None] * WAITING_PER_UNIT
    assert hosting._expecting == {}
    assert detect(hosting) is None


def test_what_waits_for_a_model_that_is_stopped_is_judged_before(hosting: LocalHosting) -> None:
    hosting.load(7, BUNDLE, units=ONE, attempt=1)
    answers = [begin(hosting) for _ in range(5)]

    hosting.unload(7)

    assert all(isinstance(answer.result(PATIENCE_S), Detection) for answer in answers)


@pytest.mark.parametrize(("minimum", "maximum", "most"), [(1, None, 1), (2, None, 2), (1, 3, 3)])
def test_the_line_is_as_long_as_the_units_let_it_be(
    hosting: LocalHosting, minimum: int, maximum: int | None, most: int
) -> None:
    hosting.load(7, BUNDLE, units=InferenceUnits(minimum=minimum, maximum=maximum), attempt=1)

    assert hosting._hosted[7].line._units == most


def test_an_unloaded_model_is_gone(hosting: LocalHosting) -> None:
    hosting.load(7, BUNDLE, units=ONE, attempt=1)

    hosting.unload(7)
    hosting.unload(7)

    assert detect(hosting) is None


@pytest.mark.parametrize(("attempt", "there"), [(1, True), (2, False), (3, False)])
def test_an_attempt_unloads_what_no_later_one_loaded(
    hosting: LocalHosting, attempt: int, *, there: bool
) -> None:
    hosting.load(7, BUNDLE, units=ONE, attempt=1)
    hosting.load(7, BUNDLE, units=ONE, attempt=2)

    hosting.unload(7, attempt=attempt)

    assert (detect(hosting) is not None) == there


def test_a_damaged_bundle_is_not_loaded(hosting: LocalHosting, tmp_path: Path) -> None:
    with (tmp_path / "bundles" / BUNDLE / "model.onnx.sealed").open("r+b") as file:
        file.seek(-100, os.SEEK_END)
        file.write(bytes(100))

    with pytest.raises(SealBrokenError, match="damaged"):
        hosting.load(7, BUNDLE, units=ONE, attempt=1)

    assert detect(hosting) is None


def test_a_image_that_cannot_be_judged_takes_no_unit_with_it(hosting: LocalHosting) -> None:
    hosting.load(7, BUNDLE, units=ONE, attempt=1)
    for _ in range(3):
        with pytest.raises(ImageError):
            detect(hosting, b"no image")

    assert detect(hosting) is not None


def test_a_model_gets_other_units_without_being_loaded_again(
    hosting: LocalHosting, tmp_path: Path
) -> None:
    hosting.load(7, BUNDLE, units=ONE, attempt=1)
    shutil.rmtree(tmp_path / "bundles" / BUNDLE)
    waiting = [begin(hosting) for _ in range(5)]

    hosting.load(7, BUNDLE, units=InferenceUnits(minimum=3, maximum=None), attempt=2)

    assert hosting._hosted[7].line._units == 3
    assert all(isinstance(answer.result(PATIENCE_S), Detection) for answer in waiting)
    assert detect(hosting) is not None


def test_a_model_that_was_stopped_is_loaded_anew(hosting: LocalHosting) -> None:
    hosting.load(7, BUNDLE, units=ONE, attempt=1)
    before = hosting._hosted[7].detector
    hosting.unload(7)

    hosting.load(7, BUNDLE, units=ONE, attempt=2)

    assert hosting._hosted[7].detector is not before
