from __future__ import annotations

import base64
import io
import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from blemish.domain.entities import Label, ObjectRef
from blemish.domain.limits import ORIGINAL, OURS, Limits
from blemish.engine.bundle import Bundle, bundle_files
from blemish.engine.errors import TrainingError
from blemish.engine.runtime import Detector
from blemish.engine.thresholds import threshold_effect
from blemish.engine.training.labeled_images import Progress
from blemish.runners.child_process import ORPHANED, Reporter
from blemish.runners.local import PROCESS, LocalTrainings
from blemish.runners.training_job import run_training
from blemish.runners.training_process import progress_text
from blemish.service.models.bundles import Bundles
from blemish.service.training.evaluation_files import evaluation_keys
from blemish.service.training.runner import (
    TrainingFailure,
    TrainingInterruptedError,
    TrainingResult,
    TrainingSpec,
)
from blemish.storage.encryption.encryption import Encryption
from blemish.storage.errors import KeyUnavailableError
from blemish.storage.objects.store import ObjectStore
from blemish.storage.stored_files import StoredFiles, stored_lines
from tests.products import COLORS, SIZE, draw, mask_png, png
from tests.unit.manifests import BUCKET, json_line, mask_fields, url
from tests.unit.storage.sealing import new_encryption, new_keyring

BUNDLE = "7-1"
TYPES = {name: color for color, name in COLORS.items()}


def quiet(_: Progress) -> None:
    """Let nobody hear of the progress."""


@dataclass(frozen=True)
class Workplace:
    """What a training is told of: a bucket, frozen entries and a folder for the attempt."""

    folder: Path
    backbone: Path
    encryption: Encryption

    @property
    def bucket(self) -> Path:
        return self.folder / "buckets" / BUCKET

    @property
    def attempt(self) -> Path:
        return self.folder / "attempt"

    def put(self, key: str, data: bytes) -> None:
        self.bucket.mkdir(parents=True, exist_ok=True)
        (self.bucket / key).write_bytes(data)

    def images(self, count: int, *types: str, first: int = 0, masked: bool = False) -> list[str]:
        """Draw so many images with defects of these types; return their JSON Lines."""
        lines = []
        for seed in range(first, first + count):
            drawing, key = draw(seed, *types), f"{'-'.join(types)}{seed}.png"
            self.put(key, png(drawing.pixels))
            fields: dict[str, Any] = {}
            if masked:
                self.put(f"mask-{key}", mask_png(drawing))
                fields = mask_fields(url(f"mask-{key}"), TYPES)
            label = Label.ANOMALY if types else Label.NORMAL
            lines.append(json_line(key, label, **fields))
        return lines

    def job(
        self, train: list[str], test: list[str] | None = None, *, limits: Limits = OURS
    ) -> TrainingSpec:
        """Freeze entries and return the job of training on them."""
        entries = [("train", line) for line in train] + [("test", line) for line in test or []]
        text = "".join(json.dumps({"dataset": of, "entry": line}) + "\n" for of, line in entries)
        kept = StoredFiles(self.folder, staging=self.folder / "staging", encryption=self.encryption)
        kept.write("entries.jsonl", text.encode())
        self.attempt.mkdir()
        return TrainingSpec(
            entries=str(self.folder / "entries.jsonl"),
            store_connection={"folder": str(self.folder / "buckets")},
            encryption_connection=self.encryption.connection,
            bundle=BUNDLE,
            kms_key_id=None,
            folder=str(self.attempt),
            project="plates",
            version=4,
            arn="arn:aws:lookoutvision:eu-west-1:123456789012:model/plates/4",
            output_bucket=BUCKET,
            output_prefix="out-",
            evaluation_keys=evaluation_keys("out-", "plates", version=4),
            limits=limits,
            mixed_sizes=False,
            mask_orientation=None,
            backbone=str(self.backbone),
            threads=1,
            attempt=1,
            log_format="json",
            log_level="info",
        )

    def opened(self) -> Bundle:
        """Return the bundle that was made."""
        (self.folder / "bundles").mkdir()
        bundles = Bundles(
            self.folder / "bundles",
            staging=self.folder / "staging",
            encryption=self.encryption,
        )
        bundles.publish(self.attempt / "bundle", BUNDLE)
        return bundles.read(BUNDLE)

    def detector(self) -> Detector:
        """Return the detector that was trained."""
        return Detector.load(self.opened(), threads=1)

    def tested(self) -> list[dict[str, Any]]:
        """Return the lines of the evaluation manifest."""
        return list(map(json.loads, (self.attempt / "manifest").read_text().splitlines()))

    def document(self, result: TrainingResult, name: str) -> Any:
        """Return the evaluation result that was written."""
        assert result.files[name].startswith("out-Evaluation")
        return json.loads((self.attempt / name).read_text(), parse_constant=pytest.fail)


@pytest.fixture
def place(tmp_path: Path, backbone: Path) -> Workplace:
    encryption = new_encryption(new_keyring(tmp_path))
    return Workplace(folder=tmp_path, backbone=backbone, encryption=encryption)


def test_a_small_single_dataset_is_split_and_cross_validated(place: Workplace) -> None:
    """Performance is measured on all images, of which four fifths are trained on."""
    unlabelled = place.images(1, "hole", first=500)[0].replace('"anomaly"', '"unclear"')
    lines = [*place.images(15), *place.images(5, "stain", first=100)]
    steps: list[str] = []

    result = run_training(
        place.job([*lines, unlabelled]), progress=lambda found: steps.append(found.step)
    )

    document = place.document(result, "result")
    details = document["EvaluationDetails"]
    assert details["NumberOfTrainingImages"] == 10 + 4
    assert details["NumberOfTestingImages"] == 20
    assert details["EvaluationMethod"] == result.evaluation_method == "cross-validation"
    assert any("over 20 images, because only 6 images were held out" in n for n in result.notes)
    metrics = document["AggregatedEvaluationResults"]["Metrics"]
    assert all(isinstance(value, float) for value in metrics.values())
    assert result.performance == {
        "f1_score": metrics["F1Score"],
        "recall": metrics["Recall"],
        "precision": metrics["Precision"],
    }
    assert result.files == {
        "manifest": "out-EvaluationManifest-plates-4.json",
        "result": "out-EvaluationResult-plates-4.json",
    }
    tested = place.tested()
    assert {line["source-ref"] for line in tested} == {
        json.loads(line)["source-ref"] for line in lines
    }
    assert sum(line["anomaly-label"] for line in tested) == 5
    assert steps[0] == "reading images"
    assert steps[-1] == "evaluation"
    assert place.detector().names == ("background",)


def test_cross_validated_scores_give_the_verdicts_at_the_threshold_of_the_model(
    place: Workplace,
) -> None:
    copy = place.images(1, "stain", first=100)[0].replace("stain100", "copy")
    (place.bucket / "copy.png").write_bytes((place.bucket / "stain100.png").read_bytes())
    stains = place.images(11, "stain", first=100, masked=True)

    result = run_training(place.job([*place.images(15), *stains, copy]), progress=quiet)

    tested = place.tested()
    assert len(tested) == len({line["source-ref"] for line in tested}) == 27
    info = place.opened().info
    assert info.test_scores is not None
    effect = threshold_effect(info.test_scores, info.threshold)
    pairs = Counter((line["anomaly-label"], line["anomaly-label-detected"]) for line in tested)
    assert pairs == Counter(
        {
            (1, 1): effect.true_positives,
            (0, 1): effect.false_positives,
            (0, 0): effect.true_negatives,
            (1, 0): effect.false_negatives,
        }
    )
    assert result.performance["f1_score"] == effect.metrics.f1
    held_out = [line for line in tested if "anomaly-mask-ref-detected" in line]
    assert len(held_out) == len([name for name in result.files if name.endswith(".png")]) < 20
    metrics = place.document(result, "result")["AggregatedEvaluationResults"]["Metrics"]
    assert [found["ClassName"] for found in metrics["PixelAnomalyClassMetrics"]] == ["stain"]


def test_two_datasets_with_masks_give_a_segmentation_model(place: Workplace) -> None:
    train = [*place.images(10), *place.images(5, "stain", first=100, masked=True)]
    test = [
        *place.images(2, first=200),
        *place.images(2, "stain", first=300, masked=True),
    ]

    result = run_training(place.job(train, test), progress=quiet)

    metrics = place.document(result, "result")["AggregatedEvaluationResults"]["Metrics"]
    assert [found["ClassName"] for found in metrics["PixelAnomalyClassMetrics"]] == ["stain"]
    tested = list(map(json.loads, (place.attempt / "manifest").read_text().splitlines()))
    assert [line["source-ref"] for line in tested] == [
        json.loads(line)["source-ref"] for line in test
    ]
    for row, line in enumerate(tested):
        key = f"out-EvaluationMasks-plates-4/{row}.png"
        assert line["anomaly-mask-ref-detected"] == url(key)
        assert result.files[f"{row}.png"] == key
        with Image.open(place.attempt / f"{row}.png") as mask:
            assert (mask.mode, mask.size) == ("RGB", SIZE)


def test_what_the_bundle_says_of_thresholds_is_what_the_evaluation_measured(
    place: Workplace,
) -> None:
    train = [*place.images(10), *place.images(3, "stain", first=100)]
    test = [*place.images(4, first=200), *place.images(3, "stain", first=300)]

    result = run_training(place.job(train, test), progress=quiet)

    info = place.opened().info
    assert info.test_scores is not None
    effect = threshold_effect(info.test_scores, info.threshold)
    assert (len(info.test_scores.normal), len(info.test_scores.anomaly)) == (4, 3)
    assert result.performance == {
        "f1_score": effect.metrics.f1 or 0.0,
        "recall": effect.metrics.recall or 0.0,
        "precision": effect.metrics.precision or 0.0,
    }


def test_a_type_of_a_single_dataset_needs_as_many_masks_as_the_profile_says(
    place: Workplace,
) -> None:
    """Of 14 masks 11 are trained on: enough for two datasets, too few for one."""
    lines = [*place.images(12), *place.images(14, "stain", first=100, masked=True)]

    with pytest.raises(
        TrainingError, match=r"at least 20 training images .* 'stain' in 11"
    ) as error:
        run_training(place.job(lines, limits=ORIGINAL), progress=quiet)

    assert "3 of your 14 masked images are held out for the test. Add" in str(error.value)


def test_a_training_whose_masks_all_cannot_be_used_says_why_it_has_none(place: Workplace) -> None:
    failed = {"type": "groundtruth/semantic-segmentation", "failure-reason": "ClientError"}
    machine = {"type": "groundtruth/semantic-segmentation", "human-annotated": "no"}
    lines = [
        json.dumps(json.loads(line) | {"mask-ref": url("mask.png"), "mask-ref-metadata": metadata})
        for line, metadata in zip(
            place.images(3, "stain", first=100), (failed, failed, machine), strict=True
        )
    ]

    result = run_training(
        place.job([*place.images(12), *lines], place.images(2, first=200)), progress=quiet
    )

    assert result.notes[0] == (
        "The model is a classification model, because no mask is used: the metadata of the masks "
        "exclude 2 by 'failure-reason' and 1 by 'human-annotated'."
    )


def test_the_bundle_is_nowhere_in_plain(place: Workplace) -> None:
    run_training(place.job(place.images(12), place.images(2, first=200)), progress=quiet)

    assert sorted(path.name for path in (place.attempt / "bundle").iterdir()) == [
        "SHA256SUMS.sealed",
        "bundle.json.sealed",
        "model.onnx.sealed",
    ]
    plain = bundle_files(place.opened())
    marks = (plain["model.onnx"][:16], b"graph", plain["SHA256SUMS"][:64])
    written = [path.read_bytes() for path in place.folder.rglob("*") if path.is_file()]
    assert [mark for mark in marks for data in written if mark in data] == []


def test_a_key_that_is_lost_meanwhile_is_the_reason(place: Workplace) -> None:
    job = place.job(place.images(12), place.images(2, first=200))
    (key,) = (place.folder / "keyring").iterdir()

    def lose(found: Progress) -> None:
        if found.step == "writing the bundle":
            key.unlink(missing_ok=True)

    with pytest.raises(KeyUnavailableError, match="alias/default is missing"):
        run_training(job, progress=lose)


def test_a_training_process_tells_why_a_key_cannot_be_used(place: Workplace) -> None:
    job = place.job(place.images(12), place.images(2, first=200))
    (key,) = (place.folder / "keyring").iterdir()
    key.unlink()

    result = LocalTrainings(silence_s=60).train(job, report=lambda _: None)

    assert isinstance(result, TrainingFailure)
    assert key.stem in result.reason


def test_what_the_test_set_does_not_give_is_null_there_and_zero_here(place: Workplace) -> None:
    result = run_training(place.job(place.images(12), place.images(2, first=200)), progress=quiet)

    metrics = place.document(result, "result")["AggregatedEvaluationResults"]["Metrics"]
    assert metrics["ROCAUC"] is metrics["Recall"] is None
    assert result.performance["recall"] == 0.0
    assert any(note.startswith("Recall, ") for note in result.notes)


def break_one(place: Workplace) -> None:
    (place.bucket / "3.png").write_bytes(b"no image")


def remove_one(place: Workplace) -> None:
    (place.bucket / "3.png").unlink()


@pytest.mark.parametrize("harm", [break_one, remove_one])
@pytest.mark.parametrize("single", [True, False])
def test_an_image_that_cannot_be_used_is_named(
    place: Workplace, harm: Callable[[Workplace], None], *, single: bool
) -> None:
    lines = place.images(15)
    job = place.job(lines, None if single else lines[:2])
    harm(place)

    with pytest.raises(TrainingError, match=r"s3://images/3\.png"):
        run_training(job, progress=quiet)


@pytest.mark.parametrize("single", [True, False])
@pytest.mark.parametrize("what", ["image", "mask"])
def test_what_is_too_large_is_counted_among_the_problems(
    place: Workplace, what: str, *, single: bool
) -> None:
    lines = [*place.images(12), *place.images(15, "stain", first=100, masked=True)]
    job = place.job(lines, None if single else lines[:2])
    for key in ("stain102.png", "stain104.png", "stain106.png", "stain108.png"):
        path = place.bucket / (key if what == "image" else f"mask-{key}")
        os.truncate(path, OURS.detect_body_bytes + 1)

    with pytest.raises(TrainingError) as caught:
        run_training(job, progress=quiet)

    assert list(caught.value.problems) == [
        f"s3://images/stain{number}.png: The {what} has 33554433 bytes; at most 33554432 are "
        "allowed."
        for number in (102, 104, 106, 108)
    ]


def test_identical_images_with_both_labels_and_in_both_sets_are_in_the_notes(
    place: Workplace,
) -> None:
    train = [*place.images(12), *place.images(4, "stain", first=100)]
    place.put("again.png", (place.bucket / "stain100.png").read_bytes())
    place.put("tested.png", (place.bucket / "3.png").read_bytes())
    test = [json_line("tested.png", Label.NORMAL), json_line("again.png", Label.NORMAL)]

    result = run_training(place.job(train, test), progress=quiet)

    assert result.notes[0] == (
        "1 image is labelled as normal and as anomaly in identical files: "
        "s3://images/stain100.png = s3://images/again.png."
    )
    assert result.notes[1].startswith("2 images are in the training dataset and in the test ")


class CountingStore(ObjectStore):
    """A store that counts the reads of every object."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.reads: Counter[str] = Counter()

    def read(self, ref: ObjectRef, *, max_bytes: int) -> bytes:
        self.reads[ref.key] += 1
        return super().read(ref, max_bytes=max_bytes)


@pytest.mark.parametrize("single", [True, False])
def test_a_training_reads_every_image_and_every_mask_once(
    place: Workplace, *, single: bool
) -> None:
    lines = [*place.images(15), *place.images(15, "stain", first=100, masked=True)]
    tested = place.images(3, first=200)
    store = CountingStore(place.folder / "buckets")

    run_training(
        place.job(lines + tested if single else lines, None if single else tested),
        progress=quiet,
        open_objects=lambda _: store,
    )

    assert set(store.reads) == {path.name for path in place.bucket.iterdir()}
    assert set(store.reads.values()) == {1}


def test_a_process_says_that_there_is_no_room(place: Workplace) -> None:
    limited = ("bash", "-c", 'ulimit -f 8; exec "$0" "$@"', *PROCESS)
    job = place.job(place.images(15))
    reports: list[str | None] = []

    with pytest.raises(TrainingInterruptedError, match="File too large") as caught:
        LocalTrainings(silence_s=60, command=limited).train(job, report=reports.append)

    assert not caught.value.counts
    assert reports
    assert all(text is None or text.endswith("%") for text in reports)


def test_a_process_that_fails_says_in_the_log_which_training_it_was(
    place: Workplace, capfd: pytest.CaptureFixture[str]
) -> None:
    job = replace(place.job([]), encryption_connection={"half": "told"}, attempt=3)

    with pytest.raises(TrainingInterruptedError):
        LocalTrainings(silence_s=60).train(job, report=lambda _: None)

    line = json.loads(capfd.readouterr().err)
    assert (line["project"], line["version"], line["attempt"]) == ("plates", 4, 3)
    assert "KeyError: 'keyring'" in line["exception"]


@pytest.mark.parametrize(
    ("done", "total", "share"), [(0, 3, "0%"), (1, 3, "33%"), (3, 3, "100%"), (0, 0, "100%")]
)
def test_progress_is_told_as_a_share(done: int, total: int, share: str) -> None:
    progress = Progress(step="reading", done=done, total=total)

    assert progress_text(progress) == f"reading, {share}"


def test_a_message_is_one_line() -> None:
    output = io.StringIO()

    Reporter(output).send({"failed": "one\ntwo ä"})

    assert output.getvalue().count("\n") == 1
    assert json.loads(output.getvalue()) == {"failed": "one\ntwo ä"}


@pytest.mark.parametrize("line", [b"", b"{}\n"])
def test_a_process_whose_server_is_gone_ends_without_a_word(line: bytes) -> None:
    process = subprocess.Popen(
        PROCESS, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    process.stdin.write(line)
    process.stdin.flush()
    if not line:
        process.stdin.close()

    said = process.stderr.read()

    assert (process.wait(), said) == (ORPHANED, b"")
    process.stdin.close()
    process.stderr.close()


def test_a_training_on_a_folder_loads_no_database_and_no_botocore() -> None:
    heavy = "{'alembic', 'botocore', 'sqlalchemy'}"
    program = f"import sys, blemish.runners.training_job; print({heavy} & set(sys.modules))"

    printed = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )

    assert printed.stdout.strip() == "set()"


def test_frozen_regions_are_part_of_the_model(place: Workplace) -> None:
    lines = [*place.images(15), *place.images(5, "stain", first=100)]
    job = place.job(lines)
    mask = np.full((64, 96, 3), 255, dtype=np.uint8)
    mask[:, 60:] = 0
    png_text = base64.b64encode(png(mask)).decode()
    regions = {"kind": "ignored", "url": "s3://images/mask.png"}
    frozen = Path(job.entries)
    opened = "".join(stored_lines(frozen, encryption=place.encryption))
    first = json.dumps({"regions": regions, "png": png_text}) + "\n"
    frozen.write_text(first + opened, encoding="utf-8")

    run_training(job, progress=lambda _: None)

    known = place.detector().info.regions
    assert known is not None
    assert known.mask_size == (96, 64)
    assert 0.5 < known.inspected_share < 0.65
