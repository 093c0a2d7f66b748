"""Floors on what the engine finds in real pictures: a change that loses quality fails here."""

from pathlib import Path

import pytest

from benchmarks.folders import read_folder
from benchmarks.quality import Row, measure, try_out

PRETRAINED = "weights/resnet18-layer1-3.onnx"


def test_cookies_are_told_apart_with_at_most_two_mistakes(shared: Path) -> None:
    train_part, test_part = read_folder(shared / "data/cookies")

    trial = try_out(train_part, test_part, shared / PRETRAINED)

    verdicts = trial.evaluation.verdicts
    assert len(verdicts) == 22
    wrong = [each.name for each in verdicts if each.is_anomalous != (each.label == "anomaly")]
    assert len(wrong) <= 2
    found = [each for each in verdicts if each.label == "anomaly"]
    named = {area.name for each in found for area in each.anomalies or ()}
    assert named == {"background", "cracked"}


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize(("backbone", "floor"), [(PRETRAINED, 0.90), (None, 0.80)])
def test_five_outer_folds_of_all_cookies_reach_the_floor(
    shared: Path, backbone: str | None, floor: float
) -> None:
    row: Row = measure(shared / "data/cookies", shared / backbone if backbone else None)

    assert row.images == 85
    assert row.folds_f1 >= floor
    assert row.peak_mib < 2_048
    assert row.training_s < 60
