from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from blemish.console.masks.suggestions import ANY_TYPE, suggested_mask
from blemish.engine.runtime import AnomalyArea, Detection
from tests.unit.console.images.added import add_images
from tests.unit.console.in_process import Browser


def detection(
    anomaly_map: NDArray[np.float32],
    *,
    classes: NDArray[np.uint8] | None = None,
    anomalies: tuple[AnomalyArea, ...] | None = None,
) -> Detection:
    return Detection(
        score=2.0,
        threshold=1.0,
        is_anomalous=True,
        confidence=0.9,
        anomaly_map=anomaly_map,
        stored_size=(40, 20),
        anomalies=anomalies,
        classes=classes,
        colors=("#FFFFFF", "#23A436", "#14A3B3"),
    )


def test_the_hottest_part_of_a_heat_map_is_suggested_without_a_type() -> None:
    heat = np.zeros((10, 20), dtype=np.float32)
    heat[2:6, 3:9] = 4.0
    heat[8, 15] = 1.2

    suggested = suggested_mask(detection(heat))

    assert suggested.types == {1: ANY_TYPE}
    rows, columns = np.nonzero(suggested.pixels)
    assert (rows.min(), rows.max()) == (4, 11)
    assert (columns.min(), columns.max()) == (6, 17)


def test_an_image_that_is_cold_everywhere_has_nothing_to_suggest() -> None:
    suggested = suggested_mask(detection(np.full((10, 20), 0.5, dtype=np.float32)))

    assert suggested.types == {}
    assert not suggested.pixels.any()


def test_the_types_of_a_segmentation_head_are_suggested() -> None:
    classes = np.zeros((10, 20), dtype=np.uint8)
    classes[:, :5] = 2
    areas = (AnomalyArea(name="chip", share=0.25, color="#14A3B3"),)

    suggested = suggested_mask(
        detection(np.full((10, 20), 5, np.float32), classes=classes, anomalies=areas)
    )

    assert suggested.types == {2: ("#14A3B3", "chip")}
    assert np.array_equal(suggested.pixels == 2, np.indices((20, 40))[1] < 10)


def test_a_project_without_a_model_says_so(browser: Browser, project: str) -> None:
    (ref,) = add_images(browser, project, None)

    answer = browser.get("/suggestion", project=project, ref=ref)

    assert (answer.status_code, "no trained model" in answer.text) == (400, True)
