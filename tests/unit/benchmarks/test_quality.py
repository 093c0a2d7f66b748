from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from benchmarks.quality import SOURCES, Bench, append_record, digest, read_records, run_trials
from benchmarks.quality_plan import ALL, GIVEN, NORMALS, QUICK, Extent, Trial, plan
from benchmarks.splits import Part
from benchmarks.surroundings import ROOT
from blemish.engine.errors import TrainingError


def test_finished_trials_are_read_back(tmp_path: Path) -> None:
    results = tmp_path / "results.jsonl"

    append_record(results, {"split": "0"})
    append_record(results, {"split": "1"})

    assert read_records(results) == [{"split": "0"}, {"split": "1"}]


def test_a_line_that_was_cut_off_costs_no_other(tmp_path: Path) -> None:
    results = tmp_path / "results.jsonl"
    results.write_text('{"split": "0"}\n{"spl')

    append_record(results, {"split": "1"})

    assert read_records(results) == [{"split": "0"}, {"split": "1"}]


def test_nothing_is_finished_before_the_first_run(tmp_path: Path) -> None:
    assert read_records(tmp_path / "none.jsonl") == []


def test_the_version_changes_with_any_file(tmp_path: Path) -> None:
    one, other = tmp_path / "one.py", tmp_path / "other.py"
    one.write_text("1")

    before = digest([one, other])
    other.write_text("2")

    assert digest([one, other]) != before


def test_the_version_is_of_every_source_that_a_trial_loads() -> None:
    program = """
import sys, benchmarks.quality_trial
ours = [name for name in sys.modules if name.startswith(("benchmarks.", "blemish."))]
print(*(sys.modules[name].__file__ for name in ours))
"""

    loaded = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout.split()

    assert len(loaded) > 20
    assert {Path(its) for its in loaded} <= {*SOURCES}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A set of four images a label in each part; a training's anomalies have masks."""
    made = tmp_path / "parts"
    for place in ("train/normal", "train/anomaly", "test/normal", "test/anomaly", "masks/train"):
        (made / place).mkdir(parents=True)
        for number in range(4):
            (made / place / f"{number}.png").write_bytes(f"{place} {number}".encode())
    return made


def versions(
    folder: Path, *, libraries: Mapping[str, str] | None = None, extent: Extent = QUICK
) -> dict[str, str]:
    """Return the version of each trial of the given split, by its arm."""
    bench = Bench(
        backbones={"ours": "scattering"},
        peer_backbone=Path("none"),
        peer_weights=Path("none"),
        extent=extent.name,
        libraries=libraries or {},
    )
    keys = bench.keys(plan([folder], ["ours"], (), extent))
    return {its["arm"]: its["version"] for its in keys if its["split"] == GIVEN}


def test_what_nothing_has_changed_for_has_the_same_version(folder: Path) -> None:
    assert versions(folder) == versions(folder)


def test_the_version_changes_with_a_library(folder: Path) -> None:
    before = versions(folder, libraries={"numpy": "2.0"})

    after = versions(folder, libraries={"numpy": "2.1"})

    assert {arm for arm in before if before[arm] != after[arm]} == {NORMALS, ALL}


def test_the_version_changes_with_how_many_images_take_part(folder: Path) -> None:
    before = versions(folder)

    after = versions(folder, extent=replace(QUICK, train_anomaly=2))

    assert {arm for arm in before if before[arm] != after[arm]} == {ALL}


@pytest.mark.parametrize(
    ("changed", "arms"),
    [
        ("train/normal/0.png", {NORMALS, ALL}),
        ("train/anomaly/0.png", {ALL}),
        ("masks/train/0.png", {ALL}),
        ("test/normal/0.png", {NORMALS, ALL}),
    ],
)
def test_the_version_changes_with_a_image_or_mask_of_the_trial(
    folder: Path, changed: str, arms: set[str]
) -> None:
    before = versions(folder)

    (folder / changed).write_bytes(b"another")

    after = versions(folder)
    assert {arm for arm in before if before[arm] != after[arm]} == arms


def trial(split: str, *, version: str = "1") -> tuple[Trial, dict[str, Any]]:
    made = Trial(
        folder=Path("parts"),
        detector="ours",
        arm=NORMALS,
        split=split,
        draw=0,
        seed=0,
        train=("1.png",),
        test=Part(normal=("2.png",), anomaly=("3.png",)),
        content="",
    )
    return made, made.key(extent="quick", version=version)


class Runs:
    """Makes trials, and notes which."""

    def __init__(self, *, failing: str | None = None) -> None:
        self.made: list[str] = []
        self._failing = failing

    def __call__(self, made: Trial) -> dict[str, Any]:
        self.made.append(made.split)
        if made.split == self._failing:
            raise TrainingError("Too few images.")
        pixels = dict.fromkeys(("pixel_auroc", "aupro_30", "aupro_05"))
        numbers = {"normals": 1, "scores": [0.1, 0.9], "training_s": 1.0, "peak_mib": 1.0}
        return numbers | {"called": [0, 1], "pixels": pixels}


def test_a_run_goes_on_where_another_was_cut_off(tmp_path: Path) -> None:
    results, first, second = tmp_path / "results.jsonl", Runs(), Runs()
    run_trials([trial("0")], first, results, minutes=None)

    records, failed = run_trials([trial("0"), trial("1")], second, results, minutes=None)

    assert (first.made, second.made) == (["0"], ["1"])
    assert [record["split"] for record in records] == ["0", "1"]
    assert failed == 0


def test_what_an_earlier_engine_did_is_measured_again(tmp_path: Path) -> None:
    results, again = tmp_path / "results.jsonl", Runs()
    run_trials([trial("0", version="1")], Runs(), results, minutes=None)

    records, _ = run_trials([trial("0", version="2")], again, results, minutes=None)

    assert again.made == ["0"]
    assert [record["version"] for record in records] == ["2"]


def test_when_the_time_is_up_no_other_trial_is_begun(tmp_path: Path) -> None:
    runs = Runs()

    records, failed = run_trials([trial("0")], runs, tmp_path / "results.jsonl", minutes=-1)

    assert (runs.made, records, failed) == ([], [], 0)


def test_a_trial_that_fails_is_counted_and_the_others_are_made(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    its = [trial("0"), trial("1")]

    records, failed = run_trials(its, Runs(failing="0"), tmp_path / "r.jsonl", minutes=None)

    assert [record["split"] for record in records] == ["1"]
    assert failed == 1
    assert "Too few images." in capsys.readouterr().out
