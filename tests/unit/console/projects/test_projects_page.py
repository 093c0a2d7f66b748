from __future__ import annotations

from typing import Any

import pytest

from blemish.console.projects.delete_project import losses
from blemish.console.projects.overview_page import next_step
from blemish.console.projects.project_summary import ProjectSummary
from blemish.console.settings.settings_page import limit_facts, size_text
from blemish.domain.limits import ORIGINAL, OURS


def summary(*models: str, total: int = 20, labeled: int = 20) -> ProjectSummary:
    """A project with a training set, and models of these statuses, newest first."""
    stats = {"Total": total, "Labeled": labeled, "Normal": labeled, "Anomaly": 0}
    told: list[dict[str, Any]] = [
        {
            "ModelVersion": str(len(models) - place),
            "Status": status,
            "Performance": None if status.startswith("TRAINING") else {"F1Score": 0.9},
        }
        for place, status in enumerate(models)
    ]
    return ProjectSummary(
        name="plates",
        datasets={"train": {"ImageStats": stats}} if total else {},
        image=None,
        models=tuple(told),
        more_models=False,
    )


@pytest.mark.parametrize(
    ("project", "path"),
    [
        (summary(total=0), "/add"),
        (summary(labeled=3), "/images"),
        (summary(), "/train"),
        (summary("TRAINING"), "/train"),
        (summary("TRAINING_FAILED"), "/train"),
        (summary("TRAINED"), "/try"),
        (summary("HOSTED"), None),
        (summary("TRAINING_FAILED", "HOSTED"), None),
    ],
)
def test_the_overview_tells_the_next_step(project: ProjectSummary, path: str | None) -> None:
    step = next_step(project)

    assert (step and step[2]) == path


def test_a_deletion_tells_what_goes() -> None:
    assert losses(summary("TRAINING", "HOSTED", "TRAINED")) == [
        "Training set: 20 entries, 20 of them labelled.",
        "Models: 3, and all that they learned.",
        "Running now, and stopped at once: version 2.",
        "In training, and cancelled after the day: version 3.",
        "The counts of its dashboard.",
    ]


def test_limits_are_told_in_words() -> None:
    assert limit_facts(OURS)["Running models"] == "As many as fit into memory"
    assert limit_facts(ORIGINAL)["Running models"] == "5"


@pytest.mark.parametrize(
    ("size", "told"), [(5, "5 bytes"), (2_048, "2 KiB"), (1_600_000, "1.5 MiB"), (2**42, "4.0 TiB")]
)
def test_sizes_are_told_in_few_digits(size: int, told: str) -> None:
    assert size_text(size) == told
