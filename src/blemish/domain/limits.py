"""Every limit, in two profiles: those of Blemish and those of the original.

Source: Amazon Lookout for Vision, "Quotas" of the developer guide, for `ORIGINAL`; the maxima of
the service model (lengths, page sizes) hold in both and are checked by wire/.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from types import MappingProxyType

MIB = 1024 * 1024

MAX_LINE_LENGTH = 8_192
"""Longest JSON Line, in characters. Source: shape `DatasetEntry` of the service model."""

MOST_PIXELS = 100_000_000
"""Most pixels of an image; each takes three bytes when decoded."""


class Quota(StrEnum):
    """The names of the quotas; the code of a quota is derived from its name."""

    PROJECTS = "projects"
    MODELS = "models per project"
    TRAININGS = "concurrent trainings"
    HOSTED_MODELS = "hosted models"
    INFERENCE_UNITS = "inference units per model"
    TAGS = "tags per resource"
    REQUESTS = "requests per second and operation"
    DETECTIONS = "waiting detections per inference unit"


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Upper and lower limits, all inclusive."""

    #: of each operation, except those limited by inference units; None: no limit
    max_requests_per_s: int | None
    #: of the file of an image or a mask, sent or in a bucket
    detect_body_bytes: int
    image_min_side: int
    image_max_side: int
    image_max_pixels: int
    max_training_images: int
    max_test_images: int
    max_masked_training_images: int
    max_masked_test_images: int
    #: labelled images that CreateModel needs if a project has no test dataset
    single_min_normal: int
    single_min_anomaly: int
    #: labelled images that CreateModel needs if a project has a test dataset
    train_min_normal: int
    test_min_normal: int
    test_min_anomaly: int
    test_min_labeled: int
    #: an anomaly type with fewer masks is left out of the segmentation
    single_min_masks_per_type: int
    two_min_masks_per_type: int
    max_anomaly_types: int
    max_anomaly_types_per_mask: int
    #: further trainings are rejected; None: they wait
    max_concurrent_trainings: int | None
    max_inference_units: int
    max_projects: int
    max_models_per_project: int
    #: None: limited by memory only
    max_hosted_models: int | None
    max_manifest_bytes: int
    max_tags_per_model: int
    max_trial_images: int
    max_batch_images: int


OURS = Limits(
    max_requests_per_s=None,
    detect_body_bytes=32 * MIB,
    image_min_side=64,
    image_max_side=16_384,
    image_max_pixels=MOST_PIXELS,
    max_training_images=100_000,
    max_test_images=100_000,
    max_masked_training_images=100_000,
    max_masked_test_images=100_000,
    single_min_normal=15,
    single_min_anomaly=0,
    train_min_normal=10,
    test_min_normal=0,
    test_min_anomaly=0,
    test_min_labeled=1,
    single_min_masks_per_type=5,
    two_min_masks_per_type=5,
    max_anomaly_types=100,
    max_anomaly_types_per_mask=20,
    max_concurrent_trainings=None,
    max_inference_units=64,
    max_projects=10_000,
    max_models_per_project=1_000,
    max_hosted_models=None,
    max_manifest_bytes=1_000_000_000,
    max_tags_per_model=50,
    max_trial_images=2_000,
    max_batch_images=100_000,
)

ORIGINAL = Limits(
    max_requests_per_s=5,
    detect_body_bytes=8 * MIB,
    image_min_side=64,
    image_max_side=4_096,
    image_max_pixels=4_096 * 4_096,
    max_training_images=16_000,
    max_test_images=4_000,
    max_masked_training_images=8_000,
    max_masked_test_images=800,
    single_min_normal=20,
    single_min_anomaly=10,
    train_min_normal=10,
    test_min_normal=10,
    test_min_anomaly=10,
    test_min_labeled=20,
    single_min_masks_per_type=20,
    two_min_masks_per_type=10,
    max_anomaly_types=100,
    max_anomaly_types_per_mask=20,
    max_concurrent_trainings=2,
    max_inference_units=5,
    max_projects=100,
    max_models_per_project=100,
    max_hosted_models=5,
    max_manifest_bytes=1_000_000_000,
    max_tags_per_model=50,
    max_trial_images=2_000,
    max_batch_images=16_000,
)

PROFILES: Mapping[str, Limits] = MappingProxyType({"blemish": OURS, "original": ORIGINAL})


def with_longest_side(limits: Limits, side: int) -> Limits:
    """Return limits with another longest side of an image, and the matching number of pixels."""
    return replace(limits, image_max_side=side, image_max_pixels=min(side * side, MOST_PIXELS))
