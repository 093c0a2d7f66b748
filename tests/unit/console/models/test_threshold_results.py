from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from blemish.console.models.evaluation import Cell, EvaluatedImage, cell_counts
from blemish.console.models.threshold_results import images_in_force, results_at
from blemish.domain.entities import Label
from blemish.engine.bundle import BundleInfo, MeasuredScores
from blemish.engine.images.sizes import ImageSize

N, A = Label.NORMAL, Label.ANOMALY

INFO = BundleInfo(
    graph_size=(64, 64),
    image_size=ImageSize.of((64, 64), orientation=1),
    threshold=0.5,
    background="#FFFFFF",
    anomaly_types=(),
    history={},
    test_scores=MeasuredScores(normal=(0.1, 0.3, 0.6), anomaly=(0.4, 0.9)),
)

IMAGES = [
    EvaluatedImage(ref="s3://b/n1", truth=N, verdict=N, confidence=0.9),
    EvaluatedImage(ref="s3://b/a1", truth=A, verdict=A, confidence=0.95),
    EvaluatedImage(ref="s3://b/n3", truth=N, verdict=A, confidence=0.6),
    EvaluatedImage(ref="s3://b/n2", truth=N, verdict=N, confidence=0.7),
    EvaluatedImage(ref="s3://b/a2", truth=A, verdict=N, confidence=0.55),
]


def moved(threshold: float) -> BundleInfo:
    return replace(INFO, threshold=threshold, moved_from=0.5)


def cells(images: Sequence[EvaluatedImage] | None) -> dict[str, Cell]:
    assert images is not None
    return {image.name: image.cell for image in images}


def test_at_the_trained_threshold_the_files_say_all() -> None:
    assert images_in_force(IMAGES, INFO) is IMAGES
    assert images_in_force(IMAGES, None) is IMAGES


def test_a_moved_threshold_turns_the_verdicts_of_the_nearest_images() -> None:
    assert cells(images_in_force(IMAGES, moved(0.35))) == {
        "n1": Cell.PASSED,
        "n2": Cell.PASSED,
        "n3": Cell.FALSE_ALARM,
        "a1": Cell.DETECTED,
        "a2": Cell.DETECTED,
    }
    assert cells(images_in_force(IMAGES, moved(0.7))) == {
        "n1": Cell.PASSED,
        "n2": Cell.PASSED,
        "n3": Cell.PASSED,
        "a1": Cell.DETECTED,
        "a2": Cell.MISSED,
    }


def test_the_matrix_and_the_cards_agree_at_every_threshold() -> None:
    for threshold in (0.0, 0.1, 0.2, 0.35, 0.4, 0.45, 0.6, 0.9, 2.0):
        info = moved(threshold)
        images, results = images_in_force(IMAGES, info), results_at(info, threshold)

        assert images is not None
        assert results is not None
        counts = cell_counts(images)
        assert results.recall.count == counts[Cell.DETECTED]
        assert results.recall.total == counts[Cell.DETECTED] + counts[Cell.MISSED]
        assert results.false_alarms.count == counts[Cell.FALSE_ALARM]


def test_the_probability_of_an_anomaly_does_not_depend_on_the_threshold() -> None:
    before = {image.ref: image.anomalous for image in IMAGES}
    images = images_in_force(IMAGES, moved(0.35))

    assert images is not None
    assert {image.ref: round(image.anomalous, 9) for image in images} == {
        ref: round(share, 9) for ref, share in before.items()
    }


def test_images_that_do_not_fit_the_scores_have_no_verdicts() -> None:
    assert images_in_force(IMAGES[:-1], moved(0.35)) is None
    assert images_in_force(IMAGES, replace(moved(0.35), test_scores=None)) is None
    assert results_at(replace(INFO, test_scores=None), 0.5) is None


def test_a_rate_without_images_is_not_measurable() -> None:
    info = replace(INFO, test_scores=MeasuredScores(normal=(0.1,), anomaly=()))

    results = results_at(info, 0.5)

    assert results is not None
    assert (results.recall.total, results.f1) == (0, None)
