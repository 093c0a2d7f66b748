from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from blemish.engine.bundle import read_bundle
from blemish.engine.errors import TrainingError
from blemish.engine.evaluation import Evaluation, evaluate, measured_scores
from blemish.engine.images.masks import decode_mask
from blemish.engine.runtime import Detector
from blemish.engine.training.labeled_images import LabeledImage, Progress
from tests.products import COLORS, LIMITS, SIZE, anomalous_images, labeled, normal_images

NORMAL = normal_images(4, first=300)


def evaluated(detector: Detector, images: Sequence[LabeledImage]) -> Evaluation:
    return evaluate(detector, images, limits=LIMITS, mixed_sizes=False, progress=lambda _: None)


def test_verdicts_keep_the_order_of_the_images(detector: Detector) -> None:
    images = [labeled(301, "stain"), labeled(302), labeled(303, "hole")]

    evaluation = evaluated(detector, images)

    assert [verdict.name for verdict in evaluation.verdicts] == [image.name for image in images]
    assert [verdict.is_anomalous for verdict in evaluation.verdicts] == [True, False, True]
    assert (evaluation.precision, evaluation.recall, evaluation.f1) == (1, 1, 1)
    assert (evaluation.roc_auc, evaluation.average_precision) == (1, 1)
    assert evaluation.notes == ()


def test_a_bundle_keeps_the_scores_by_label_and_in_ascending_order(detector: Detector) -> None:
    images = [labeled(301, "stain"), *NORMAL, labeled(303, "hole")]
    evaluation = evaluated(detector, images)

    scores = measured_scores(evaluation)

    first, *normal, last = (verdict.score for verdict in evaluation.verdicts)
    assert scores.normal == tuple(sorted(normal))
    assert scores.anomaly == tuple(sorted([first, last]))


def test_a_wrong_label_counts_as_a_mistake(detector: Detector) -> None:
    mistaken = replace(labeled(304, "stain"), label=NORMAL[0].label)
    images = [*NORMAL, mistaken, *anomalous_images(3, "stain")]

    evaluation = evaluated(detector, images)

    assert evaluation.precision == pytest.approx(3 / 4)
    assert evaluation.recall == 1
    assert evaluation.f1 == pytest.approx(6 / 7)


def test_types_are_measured_by_pixels_and_by_images(detector: Detector) -> None:
    images = [*NORMAL, *anomalous_images(3, "stain", masked=True)]
    both = truth = answer = 0
    overlaps = []
    for image in images[4:]:
        assert image.mask is not None
        known = decode_mask(image.mask.read(), colors=COLORS, size=SIZE)["stain"]
        mask = detector.detect(image.read(), limits=LIMITS, mixed_sizes=False).mask
        assert mask is not None
        found = mask == detector.names.index("stain")
        both += int((known & found).sum())
        truth += int(known.sum())
        answer += int(found.sum())
        overlaps.append((known & found).sum() / (known | found).sum())

    evaluation = evaluated(detector, images)

    assert evaluation.anomaly_types is not None
    hole, stain = evaluation.anomaly_types
    assert stain.precision == pytest.approx(both / answer)
    assert stain.recall == pytest.approx(both / truth)
    assert stain.f1 == pytest.approx(2 * both / (truth + answer))
    assert stain.average_iou == pytest.approx(np.mean(overlaps))
    assert (hole.name, hole.recall, hole.average_iou) == ("hole", None, None)


def test_an_anomaly_without_a_mask_says_nothing_about_pixels(detector: Detector) -> None:
    masked = anomalous_images(2, "stain", masked=True)

    alone = evaluated(detector, masked)
    together = evaluated(detector, [*masked, *anomalous_images(2, "stain", first=4_000)])

    assert alone.anomaly_types == together.anomaly_types


def test_without_masks_there_are_no_metrics_of_types(detector: Detector) -> None:
    assert evaluated(detector, [*NORMAL, labeled(305, "stain")]).anomaly_types is None


def test_a_segmentation_model_gives_a_mask_for_every_image(detector: Detector) -> None:
    evaluation = evaluated(detector, [labeled(306), labeled(307, "hole")])

    colors = {"#14A3B3": "hole", "#23A436": "stain"}
    masks = [verdict.mask_png for verdict in evaluation.verdicts]
    found = [decode_mask(mask or b"", colors=colors, size=SIZE) for mask in masks]
    assert found[0] == {}
    assert list(found[1]) == ["hole"]


def test_a_classification_model_gives_none(classifying_bundle: Path) -> None:
    evaluation = evaluated(Detector.load(read_bundle(classifying_bundle), threads=1), NORMAL)

    assert {verdict.mask_png for verdict in evaluation.verdicts} == {None}
    assert evaluation.anomaly_types is None


def test_a_test_set_of_normal_images_leaves_metrics_open_and_says_why(detector: Detector) -> None:
    evaluation = evaluated(detector, NORMAL)

    assert (evaluation.precision, evaluation.recall, evaluation.f1) == (None, None, None)
    assert (evaluation.roc_auc, evaluation.average_precision) == (None, None)
    assert evaluation.notes == (
        "Recall, average precision and the area under the ROC curve are not measurable: no test "
        "image is labelled as an anomaly.",
        "Precision is not measurable: no test image was found to be anomalous.",
    )


def test_a_test_set_of_anomalies_has_no_roc_curve(detector: Detector) -> None:
    evaluation = evaluated(detector, anomalous_images(3, "stain"))

    assert evaluation.f1 == 1
    assert evaluation.roc_auc is None
    assert evaluation.notes == (
        "The area under the ROC curve is not measurable: no test image is labelled as normal.",
    )


def test_a_type_that_no_mask_shows_is_said_to_be_open(detector: Detector) -> None:
    evaluation = evaluated(detector, [*NORMAL, *anomalous_images(2, "stain", masked=True)])

    assert evaluation.notes == (
        "Recall is not measurable for the anomaly label 'hole': no mask of the test images shows "
        "it.",
    )


def test_images_that_cannot_be_used_are_counted(detector: Detector) -> None:
    broken = replace(labeled(308), name="broken", read=lambda: b"")

    with pytest.raises(TrainingError, match=r"^broken: .*empty.* other: .*empty"):
        evaluated(detector, [*NORMAL, broken, replace(broken, name="other")])


def test_progress_counts_every_image(detector: Detector) -> None:
    steps: list[Progress] = []

    evaluate(detector, NORMAL, limits=LIMITS, mixed_sizes=False, progress=steps.append)

    assert steps == [Progress(step="evaluation", done=i, total=4) for i in (1, 2, 3, 4)]
