"""What a model can be trained on: datasets at rest, with enough labelled images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from blemish.domain.entities import Dataset, DatasetType, ImageStats
from blemish.domain.errors import ConflictError, ResourceType, ValidationError
from blemish.domain.lifecycle import DATASET_USABLE
from blemish.domain.limits import Limits
from blemish.service.datasets.datasets import require_dataset
from blemish.storage.rows.all_rows import Rows


@dataclass(frozen=True, kw_only=True)
class Need:
    """How many images of one kind a training needs."""

    #: training or test
    dataset: str
    #: normal, anomaly, or labelled as either
    label: str
    count: int
    least: int

    @property
    def missing(self) -> int:
        """How many are still to be labelled."""
        return max(0, self.least - self.count)


def trainable_datasets(rows: Rows, project: str, *, limits: Limits) -> list[Dataset]:
    """Return the datasets of a project to train and test on.

    Raises:
        ResourceNotFoundError: the project does not exist, or it has no training dataset.
        ConflictError: a dataset is busy or could not be made.
        ValidationError: they hold too few labelled images.
    """
    train = require_dataset(rows, project, DatasetType.TRAIN)
    test = rows.datasets.find(project, DatasetType.TEST)
    datasets = [train, test] if test else [train]
    for dataset in datasets:
        if dataset.status not in DATASET_USABLE:
            raise ConflictError(
                f"The {dataset.type} dataset of project {project} is {dataset.status}; "
                "a model can be trained when it is complete.",
                resource_type=ResourceType.DATASET,
                resource_id=f"{project}/{dataset.type}",
            )
    _check_counts([rows.entries.stats(dataset.id) for dataset in datasets], limits)
    return datasets


def image_needs(stats: Sequence[ImageStats], limits: Limits) -> list[Need]:
    """Return how many labelled images a training needs of each kind, and how many there are.

    Args:
        stats: of the training dataset, and of the test dataset where there is one.
        limits: with the least numbers.
    """
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
    return [
        Need(dataset=dataset, label=label, count=count, least=least)
        for dataset, label, count, least in needs
    ]


def _check_counts(stats: Sequence[ImageStats], limits: Limits) -> None:
    short = [
        f"the {need.dataset} dataset has {need.count} {need.label} "
        f"image{'' if need.count == 1 else 's'} and needs at least {need.least}"
        for need in image_needs(stats, limits)
        if need.missing
    ]
    if short:
        raise ValidationError(f"Too few labelled images: {'; '.join(short)}.")
