"""The labels, anomaly types and sets that names of folders and of classes say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from blemish.domain.entities import DatasetType, Label

LABEL_NAMES: Mapping[Label, Sequence[str]] = {
    Label.NORMAL: ("normal", "good", "ok", "io", "i.o.", "pass", "passed", "gut"),
    Label.ANOMALY: (
        *("anomaly", "anomalies", "anomalous", "bad", "defect", "defects", "defective"),
        *("fail", "failed", "ng", "nok", "n.o.k.", "nio", "n.i.o.", "not ok", "scrap", "reject"),
    ),
}
"""Label -> the names of folders and classes that say it, in lower case."""

SET_NAMES_OF_TOOLS: Mapping[str, str] = {
    "train": "train",
    "training": "train",
    "trainval": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "test": "test",
    "testing": "test",
}
"""Name of a folder, a file or a member -> `train`, `val` or `test`."""


def label_named(name: str) -> Label | None:
    """Return the label that a name says; None for the name of an anomaly type."""
    plain = name.strip().casefold()
    return next((label for label, names in LABEL_NAMES.items() if plain in names), None)


def label_in_path(path: str) -> Label | None:
    """Return the label that a folder of a path names, the innermost if several do."""
    labels = (label_named(folder) for folder in reversed(path.split("/")[:-1]))
    return next((label for label in labels if label), None)


def set_in_path(path: str) -> str | None:
    """Return the set that a folder of a path names, the innermost if several do."""
    names = (SET_NAMES_OF_TOOLS.get(folder.casefold()) for folder in reversed(path.split("/")[:-1]))
    return next((name for name in names if name), None)


def set_in_words(text: str) -> str | None:
    """Return the set that a word of a text names, such as `instances_val2017.json`."""
    plain = "".join(letter if letter.isalpha() else " " for letter in text.casefold())
    return next(
        (SET_NAMES_OF_TOOLS[part] for part in plain.split() if part in SET_NAMES_OF_TOOLS), None
    )


def dataset_of(set_name: str | None, *, has_test: bool) -> DatasetType:
    """Return the dataset for a set; `val` tests where there is no `test`, and trains otherwise."""
    if set_name == "test" or (set_name == "val" and not has_test):
        return DatasetType.TEST
    return DatasetType.TRAIN
