"""Floors on what the engine finds in real images: a change that loses quality fails here."""

from pathlib import Path

import pytest

from benchmarks.quality_plan import ALL, GIVEN, QUICK, REPEATED, Trial, plan
from benchmarks.quality_tables import of_trial
from benchmarks.quality_trial import try_engine

PRETRAINED = "weights/resnet18-layer1-3.onnx"


def trials(folder: Path, *, arm: str) -> dict[str, Trial]:
    """Return the trials of one arm, by their split."""
    return {trial.split: trial for trial in plan([folder], [""], [], QUICK) if trial.arm == arm}


def test_cookies_are_told_apart_with_at_most_two_mistakes(shared: Path) -> None:
    trial = trials(shared / "data/cookies", arm=ALL)[GIVEN]

    result = try_engine(trial, shared / PRETRAINED)

    assert (result["normals"], len(result["called"])) == (14, 22)
    wrong = [called != (place >= 14) for place, called in enumerate(result["called"])]
    assert sum(wrong) <= 2
    assert set(result["overlaps"]) == {"cracked"}


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    ("backbone", "floor"), [(PRETRAINED, 0.90), ("joined", 0.80), ("scattering", 0.80)]
)
def test_splits_of_all_cookies_reach_the_floor(shared: Path, backbone: str, floor: float) -> None:
    its = trials(shared / "data/cookies", arm=ALL)

    source = shared / backbone if backbone == PRETRAINED else backbone
    results = [try_engine(its[split], source) for split in REPEATED]

    f1 = [of_trial(result)["f1"] or 0.0 for result in results]
    assert sum(f1) / len(f1) >= floor
    assert max(result["peak_mib"] for result in results) < 2_048
