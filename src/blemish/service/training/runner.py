"""Where trainings run: what one is told, what it answers, and how it may end.

A training process imports it; what needs the database is not here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol


class TrainingInterruptedError(Exception):
    """The process ended or fell silent before it had a result; it may be tried again."""


class AttemptLostError(Exception):
    """The row is no longer this attempt's; what it makes counts for nothing."""


@dataclass(frozen=True, kw_only=True)
class TrainingJob:
    """All that a training process is told; every value is JSON."""

    entries: str
    #: of the store of buckets; it may hold a secret
    reach: Mapping[str, Any] = field(repr=False)
    #: the `reach` of the encryption
    encryption: Mapping[str, Any]
    #: name that the bundle will have
    bundle: str
    #: of the key that seals it; None for the default one
    kms_key_id: str | None
    #: folder that the attempt writes to; exists and is empty
    folder: str
    project: str
    version: int
    arn: str
    output_bucket: str
    output_prefix: str
    limits: Mapping[str, Any]
    mixed_sizes: bool
    backbone: str | None
    threads: int
    attempt: int
    log_format: str
    log_level: str


@dataclass(frozen=True, kw_only=True)
class TrainingResult:
    """What a training process made: `bundle`, sealed, and files for the output location."""

    performance: Mapping[str, float]
    notes: tuple[str, ...]
    evaluation_ended_at: str
    #: file below the attempt's folder -> key in the output bucket
    files: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class TrainingFailure:
    """Why the data or the settings cannot be trained with; trying again would not help."""

    reason: str


class TrainingRunner(Protocol):
    """Where trainings run."""

    def train(
        self, job: TrainingJob, *, report: Callable[[str | None], None]
    ) -> TrainingResult | TrainingFailure:
        """Train to the end.

        Args:
            job: what to train.
            report: called at least every few seconds, with how far it has come or None; an
                AttemptLostError out of it ends the training.

        Raises:
            TrainingInterruptedError: there is no result, but there may be one next time.
        """
