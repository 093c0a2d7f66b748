"""Which trials `benchmarks.quality` makes, in which order: each is one training and its test."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from itertools import product
from pathlib import Path
from typing import Any

from benchmarks.folders import MANIFEST, read_folder
from benchmarks.public_sets import find_categories, reader_of
from benchmarks.splits import (
    LabeledDigest,
    Part,
    Split,
    groups_of,
    part_of,
    shuffled,
    split_by_group,
)
from blemish.domain.entities import Label
from blemish.engine.training.folds import assign_folds
from blemish.engine.training.labeled_images import LabeledImage, TrainingMask

SPLITS = 5
FOLDS = 5
NORMALS, FIVE, TEN, ALL = "normals only", "5 anomalies", "10 anomalies", "all anomalies"
ANOMALIES = {NORMALS: 0, FIVE: 5, TEN: 10, ALL: None}
"""Arm to the number of labelled anomalies in training; None is all of them."""

_ORDER = (NORMALS, ALL, TEN, FIVE)

GIVEN, FOLD = "given", "fold "
REPEATED = tuple(str(number) for number in range(SPLITS))


@dataclass(frozen=True, kw_only=True)
class Extent:
    """How much is measured; caps are of images a label."""

    name: str
    train_normal: int | None
    train_anomaly: int | None
    test: int | None
    #: random draws of the labels in the arms with few of them
    draws: int
    seeds: int


QUICK = Extent(name="quick", train_normal=80, train_anomaly=40, test=60, draws=1, seeds=1)
PUBLIC = Extent(name="public", train_normal=None, train_anomaly=None, test=None, draws=1, seeds=1)
"""Of a public benchmark: its own split, whole, as the field's tables have it."""

FULL = Extent(name="full", train_normal=80, train_anomaly=None, test=100, draws=10, seeds=3)


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One training of one detector and the images it is tested on, by their names."""

    folder: Path
    detector: str
    arm: str
    #: a number of a repeated split, `given`, or `fold ` and its number
    split: str
    draw: int
    seed: int
    train: tuple[str, ...]
    test: Part
    #: hash of what these images, their labels and their masks hold, in this order
    content: str

    @property
    def set_name(self) -> str:
        """The name of the set; of a category of a public benchmark, with the benchmark's folder."""
        if is_public(self.folder):
            return f"{self.folder.parent.name}/{self.folder.name}"
        return self.folder.name

    def key(self, *, extent: str, version: str) -> dict[str, Any]:
        """Return what tells this trial from all others, in every run."""
        return {
            "set": self.set_name,
            "detector": self.detector,
            "arm": self.arm,
            "split": self.split,
            "draw": self.draw,
            "seed": self.seed,
            "extent": extent,
            "version": version,
        }


def is_public(folder: Path) -> bool:
    """Tell whether a folder is a category of a public benchmark."""
    return reader_of(folder) is not None


def expanded(folders: Sequence[Path]) -> list[Path]:
    """Return folders of labelled images, given such folders or those of public benchmarks."""
    return [category for folder in folders for category in (find_categories(folder) or [folder])]


def find_sets(data: Path) -> list[Path]:
    """Return the folders of labelled images in a folder and in its folders."""
    found = []
    for folder in sorted(path for path in data.iterdir() if path.is_dir()):
        if (folder / "train").is_dir() or (folder / MANIFEST).is_file():
            found.append(folder)
        else:
            found += [path for path in sorted(folder.iterdir()) if (path / "train").is_dir()]
    return found


def plan(
    folders: Sequence[Path], detectors: Sequence[str], peers: Sequence[str], extent: Extent
) -> list[Trial]:
    """Return all trials; what a run that is cut off has made is comparable among itself.

    Seeds, draws, splits and arms change slowest, in this order, so that every set and arm has one
    trial before any has a second. Peers see normal images alone.
    """
    trials = []
    for folder in folders:
        public = is_public(folder)
        images = read_folder(folder)
        parts = [[_digest(image) for image in part] for part in images]
        contents = {
            labeled.name: _content(labeled, image.mask)
            for digests, part in zip(parts, images, strict=True)
            for labeled, image in zip(digests, part, strict=True)
        }
        for name, split in named_splits(folder, *parts):
            if public and name != GIVEN:
                continue
            arms = [(ALL, detectors)] if name.startswith(FOLD) else _arms(detectors, peers)
            if public:
                arms = arms[:1]
            trials += [
                trial
                for arm, its in arms
                for detector in its
                for trial in _trials_of(
                    (folder, name),
                    arm,
                    detector,
                    split,
                    PUBLIC if public else extent,
                    contents=contents,
                )
            ]
    order = [REPEATED[0], GIVEN, *(f"{FOLD}{k}" for k in range(FOLDS)), *REPEATED[1:]]

    def place(its: Trial) -> tuple[int, ...]:
        return its.seed, its.draw, order.index(its.split), _ORDER.index(its.arm)

    return sorted(trials, key=place)


def named_splits(
    folder: Path, train: Sequence[LabeledDigest], test: Sequence[LabeledDigest]
) -> Iterator[tuple[str, Split]]:
    """Yield the repeated splits by group, the given one, and folds of what a manifest names."""
    images = [*train, *test]
    groups = groups_of(folder.name, images)
    for seed, name in enumerate(REPEATED):
        yield name, split_by_group(images, groups, seed=seed)
    yield GIVEN, Split(train=part_of(train, seed=0), test=part_of(test, seed=0))
    if not (folder / MANIFEST).is_file():
        return
    folds = assign_folds([p.digest for p in train], [p.label for p in train], folds=FOLDS).tolist()
    for fold in range(FOLDS):
        inside = [p for p, its_fold in zip(train, folds, strict=True) if its_fold != fold]
        outside = [p for p, its_fold in zip(train, folds, strict=True) if its_fold == fold]
        split = Split(train=part_of(inside, seed=0), test=part_of(outside, seed=0))
        yield f"{FOLD}{fold}", split


def _digest(image: LabeledImage) -> LabeledDigest:
    return LabeledDigest(image.name, Label(image.label), sha256(image.read()).digest())


def _content(image: LabeledDigest, mask: TrainingMask | None) -> str:
    """Return what a trial depends on of an image, whatever its name is."""
    its = f"{image.label} {image.digest.hex()}"
    if mask is None:
        return its
    return f"{its} {sha256(mask.read()).hexdigest()} {[*mask.colors.items()]}"


def _arms(detectors: Sequence[str], peers: Sequence[str]) -> list[tuple[str, Sequence[str]]]:
    return [(NORMALS, [*detectors, *peers]), *((arm, detectors) for arm in (ALL, TEN, FIVE))]


def _trials_of(
    named: tuple[Path, str],
    arm: str,
    detector: str,
    split: Split,
    extent: Extent,
    *,
    contents: Mapping[str, str],
) -> Iterator[Trial]:
    """Yield the trials of one arm on one split, for each draw of labels and each seed."""
    folder, name = named
    train = split.train.capped(extent.train_normal, extent.train_anomaly)
    test = split.test.capped(extent.test, extent.test)
    few = arm in {FIVE, TEN}
    if few and (len(train.anomaly) <= (ANOMALIES[arm] or 0) or name == GIVEN):
        return
    for draw, seed in product(range(extent.draws if few else 1), range(extent.seeds)):
        anomalies = shuffled(train.anomaly, seed=draw) if few else train.anomaly
        taught = train.normal + anomalies[: ANOMALIES[arm]]
        its = [[contents[n] for n in names] for names in (taught, test.normal, test.anomaly)]
        yield Trial(
            folder=folder,
            detector=detector,
            arm=arm,
            split=name,
            draw=draw,
            seed=seed,
            train=taught,
            test=test,
            content=sha256(repr(its).encode()).hexdigest(),
        )
