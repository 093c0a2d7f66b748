"""Where trainings run: the spec of a training, its result, and how it may end.

A training process imports this module, so it needs no database.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, Self

from blemish.domain.detector_settings import DEFAULT_SETTINGS, DetectorSettings
from blemish.domain.limits import Limits
from blemish.service.training.evaluation_files import EvaluationKeys


class TrainingInterruptedError(Exception):
    """The process ended or fell silent before it had a result; it may be tried again."""

    def __init__(self, reason: str, *, counts: bool = True, waits: bool = True) -> None:
        super().__init__(reason)
        #: False for an orderly stop, and for a machine that is out of something
        self.counts = counts
        #: False for an orderly stop: another server may begin at once
        self.waits = waits


class AttemptLostError(Exception):
    """The row belongs to another attempt now; the results of this one are discarded."""


@dataclass(frozen=True, kw_only=True)
class TrainingSpec:
    """Everything that a training process needs to know."""

    #: file of the frozen entries
    entries: str
    #: to the store of buckets; it may hold a secret
    store_connection: Mapping[str, Any] = field(repr=False)
    #: to the keyring or the key service
    encryption_connection: Mapping[str, Any]
    #: name of the new bundle
    bundle: str
    #: of the key that seals the bundle; None for the default one
    kms_key_id: str | None
    #: folder that the attempt writes to; exists and is empty
    folder: str
    project: str
    version: int
    arn: str
    output_bucket: str
    output_prefix: str
    #: of the files in the output location
    evaluation_keys: EvaluationKeys
    limits: Limits
    mixed_sizes: bool
    #: how masks are drawn where the manifest does not say; None: as stored, with a note
    mask_orientation: str | None
    backbone: str | None
    threads: int
    attempt: int
    log_format: str
    log_level: str
    #: of detectors whose settings have none; None: the training selects it
    resolution: int | None = None
    detector_settings: DetectorSettings = DEFAULT_SETTINGS

    @classmethod
    def of_json(cls, document: Mapping[str, Any]) -> Self:
        """Return the spec that `dataclasses.asdict` turned into JSON."""
        limits = Limits(**document["limits"])
        keys = EvaluationKeys(**document["evaluation_keys"])
        settings = DetectorSettings.of_document(document["detector_settings"])
        parts = {"limits": limits, "evaluation_keys": keys, "detector_settings": settings}
        return cls(**{**document, **parts})


@dataclass(frozen=True, kw_only=True)
class TrainingResult:
    """The result of a training process: a sealed bundle, and files for the output location."""

    performance: Mapping[str, float]
    notes: tuple[str, ...]
    evaluation_ended_at: str
    #: file below the attempt's folder -> key in the output bucket
    files: Mapping[str, str]
    #: an `EvaluationMethod`; None where it is not known
    evaluation_method: str | None = None


@dataclass(frozen=True, kw_only=True)
class TrainingFailure:
    """Why the data or the settings cannot be trained with; trying again would not help."""

    reason: str
    #: every problem of the images, a sentence each; empty if no single image is the reason
    problems: tuple[str, ...] = ()


class TrainingRunner(Protocol):
    """Where trainings run."""

    def train(
        self, spec: TrainingSpec, *, report: Callable[[str | None], None]
    ) -> TrainingResult | TrainingFailure:
        """Train to the end.

        Args:
            spec: the training.
            report: called at least every few seconds, with the progress or None; an
                AttemptLostError from it ends the training.

        Raises:
            TrainingInterruptedError: there is no result, but the next attempt may have one.
        """
