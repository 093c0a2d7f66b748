"""What a model can be trained on: datasets at rest, with enough labelled images."""

from __future__ import annotations

from blemish.domain.entities import Dataset, DatasetType, ImageStats
from blemish.domain.errors import ConflictError, ResourceType, ValidationError
from blemish.domain.lifecycle import USABLE_DATASET
from blemish.domain.limits import Limits
from blemish.service.datasets import require_dataset
from blemish.storage.database import Rows


def trainable_datasets(rows: Rows, project: str, *, limits: Limits) -> list[Dataset]:
    """Return the datasets of a project to train and test on.

    Raises:
        ResourceNotFoundError: there is no such project, or it has no training dataset.
        ConflictError: a dataset is busy or could not be made.
        ValidationError: they hold too few labelled images.
    """
    train = require_dataset(rows, project, DatasetType.TRAIN)
    test = rows.datasets.find(project, DatasetType.TEST)
    datasets = [train, test] if test else [train]
    for dataset in datasets:
        if dataset.status not in USABLE_DATASET:
            raise ConflictError(
                f"The {dataset.type} dataset of project {project} is {dataset.status}; "
                "a model can be trained when it is complete.",
                resource_type=ResourceType.DATASET,
                resource_id=f"{project}/{dataset.type}",
            )
    _check_counts([rows.entries.stats(dataset.id) for dataset in datasets], limits)
    return datasets


def _check_counts(stats: list[ImageStats], limits: Limits) -> None:
    if len(stats) == 1:
        (train,) = stats
        needs = [
            ("training", "normal", train.normal, limits.single_min_normal),
            ("training", "anomaly", train.anomaly, limits.single_min_anomaly),
        ]
    else:
        train, test = stats
        needs = [
            ("training", "normal", train.normal, limits.train_min_normal),
            ("test", "normal", test.normal, limits.test_min_normal),
            ("test", "anomaly", test.anomaly, limits.test_min_anomaly),
            ("test", "labelled", test.labeled, limits.test_min_labeled),
        ]
    short = [
        f"the {kind} dataset has {found} {label} images and needs at least {least}"
        for kind, label, found, least in needs
        if found < least
    ]
    if short:
        raise ValidationError(f"Too few labelled images: {'; '.join(short)}.")
