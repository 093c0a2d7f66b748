from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.quality_plan import (
    ALL,
    FIVE,
    FOLD,
    FULL,
    GIVEN,
    NORMALS,
    QUICK,
    REPEATED,
    TEN,
    find_sets,
    plan,
)

PEER = "anomalib patchcore"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A set of 48 normal images and 32 anomalies, each a byte of its own."""
    made = tmp_path / "data" / "parts"
    for part in ("train", "test"):
        for label, count in (("normal", 24), ("anomaly", 16)):
            (made / part / label).mkdir(parents=True)
            for number in range(count):
                path = made / part / label / f"{part}{number:02}.png"
                path.write_bytes(f"{label}{path.name}".encode())
    return made


def test_every_arm_has_every_repeated_split_and_the_same_test_images(folder: Path) -> None:
    trials = plan([folder], ["ours"], [PEER], QUICK)

    for split in REPEATED:
        its = [trial for trial in trials if trial.split == split]
        assert {(trial.arm, trial.detector) for trial in its} == {
            (NORMALS, "ours"),
            (NORMALS, PEER),
            (ALL, "ours"),
            (TEN, "ours"),
            (FIVE, "ours"),
        }
        assert len({trial.test for trial in its}) == 1
        assert not any({*t.train} & {*t.test.normal, *t.test.anomaly} for t in its)


def test_the_peer_sees_the_normal_images_that_ours_sees(folder: Path) -> None:
    trials = plan([folder], ["ours"], [PEER], QUICK)

    seen = {
        trial.detector: trial.train
        for trial in trials
        if (trial.arm, trial.split) == (NORMALS, REPEATED[0])
    }

    assert seen["ours"] == seen[PEER]
    assert all("/normal/" in name for name in seen[PEER])


def test_a_full_run_draws_few_labels_ten_times_for_each_of_three_seeds(folder: Path) -> None:
    trials = plan([folder], ["ours"], [], FULL)

    its = [trial for trial in trials if (trial.arm, trial.split) == (FIVE, REPEATED[0])]
    drawn = {trial.draw: frozenset(n for n in trial.train if "/anomaly/" in n) for trial in its}
    assert len(its) == 30
    assert {len(names) for names in drawn.values()} == {5}
    assert len(set(drawn.values())) > 5
    assert len([t for t in trials if (t.arm, t.split) == (ALL, REPEATED[0])]) == 3


def test_all_arms_of_one_split_come_before_any_of_the_next(folder: Path) -> None:
    trials = plan([folder], ["ours"], [], QUICK)

    order = list(dict.fromkeys(trial.split for trial in trials))
    assert order == [REPEATED[0], GIVEN, *REPEATED[1:]]


def test_an_arm_of_more_labels_than_there_are_is_left_out(folder: Path) -> None:
    for path in sorted((folder / "train" / "anomaly").iterdir()):
        path.unlink()

    arms = {trial.arm for trial in plan([folder], ["ours"], [], QUICK)}

    assert arms == {NORMALS, FIVE, ALL}


def test_the_images_that_a_manifest_names_are_also_tried_in_folds(folder: Path) -> None:
    lines = [
        {
            "source-ref": str(path.relative_to(folder)),
            "anomaly-label-metadata": {"class-name": path.parent.name},
        }
        for path in (folder / "train").glob("*/*")
    ]
    (folder / "manifests").mkdir()
    manifest = folder / "manifests" / "template.manifest"
    manifest.write_text("\n".join(json.dumps(line) for line in lines))

    folds = [t for t in plan([folder], ["ours"], [], QUICK) if t.split.startswith(FOLD)]

    held_out = [name for trial in folds for name in (*trial.test.normal, *trial.test.anomaly)]
    assert sorted(held_out) == sorted(str(line["source-ref"]) for line in lines)


def test_sets_are_found_in_a_folder_and_in_its_folders(folder: Path) -> None:
    for name in ("paper/one", "paper/two"):
        (folder.parent / name / "train").mkdir(parents=True)

    assert [found.name for found in find_sets(folder.parent)] == ["one", "two", "parts"]
