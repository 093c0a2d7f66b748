from __future__ import annotations

import pytest

from blemish.console.images.bucket_import import folder_of, import_summary
from blemish.console.images.folder_labels import ImportCandidate
from blemish.domain.entities import DatasetType, Label
from blemish.domain.errors import ValidationError


@pytest.mark.parametrize(
    ("address", "place"),
    [
        ("s3://images", ("images", "")),
        (" s3://images/ ", ("images", "")),
        ("s3://images/a b/c", ("images", "a b/c/")),
        ("s3://images/a/", ("images", "a/")),
    ],
)
def test_an_address_names_a_whole_folder(address: str, place: tuple[str, str]) -> None:
    assert folder_of(address) == place


@pytest.mark.parametrize("address", ["", "s3://", "images/a", "http://images/a", "s3:///a"])
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(ValidationError):
        folder_of(address)


def test_the_summary_counts_labels_and_places() -> None:
    candidates = [
        ImportCandidate(path=name, ref=name, kind=kind, label=label)
        for name, kind, label in (
            ("a", DatasetType.TRAIN, Label.NORMAL),
            ("b", DatasetType.TRAIN, None),
            ("c", DatasetType.TEST, Label.ANOMALY),
        )
    ]

    assert import_summary(candidates, others=1) == (
        "3 images: 1 anomaly, 1 normal, 1 without a label; 2 for the training set, "
        "1 for the test set. 1 other object left out."
    )
    assert import_summary([], others=0).startswith("There are no images")
