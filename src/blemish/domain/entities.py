"""What the service keeps: frozen values, as the rest of the house speaks of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from blemish.domain.access.roles import UserRole
from blemish.domain.detector_settings import DEFAULT_SETTINGS, DetectorSettings
from blemish.domain.line_notes import NO_NOTES, LineNotes
from blemish.domain.palette import BACKGROUND_CLASS


class Label(StrEnum):
    """What an image shows. An image without a label is not used for training."""

    NORMAL = "normal"
    ANOMALY = "anomaly"


class DatasetType(StrEnum):
    """Which of a project's (at most) two datasets."""

    TRAIN = "train"
    TEST = "test"


class DatasetStatus(StrEnum):
    """Where a dataset stands; `lifecycle.DATASET_MOVES` says what may follow."""

    CREATE_IN_PROGRESS = "CREATE_IN_PROGRESS"
    CREATE_COMPLETE = "CREATE_COMPLETE"
    CREATE_FAILED = "CREATE_FAILED"
    UPDATE_IN_PROGRESS = "UPDATE_IN_PROGRESS"
    UPDATE_COMPLETE = "UPDATE_COMPLETE"
    UPDATE_FAILED_ROLLBACK_IN_PROGRESS = "UPDATE_FAILED_ROLLBACK_IN_PROGRESS"
    UPDATE_FAILED_ROLLBACK_COMPLETE = "UPDATE_FAILED_ROLLBACK_COMPLETE"
    DELETE_IN_PROGRESS = "DELETE_IN_PROGRESS"
    DELETE_COMPLETE = "DELETE_COMPLETE"
    DELETE_FAILED = "DELETE_FAILED"


class ModelStatus(StrEnum):
    """Where a model stands; `lifecycle.MODEL_MOVES` says what may follow."""

    TRAINING = "TRAINING"
    TRAINED = "TRAINED"
    TRAINING_FAILED = "TRAINING_FAILED"
    STARTING_HOSTING = "STARTING_HOSTING"
    HOSTED = "HOSTED"
    HOSTING_FAILED = "HOSTING_FAILED"
    STOPPING_HOSTING = "STOPPING_HOSTING"
    SYSTEM_UPDATING = "SYSTEM_UPDATING"
    DELETING = "DELETING"


@dataclass(frozen=True, kw_only=True)
class ObjectRef:
    """An object by its bucket and key."""

    bucket: str
    key: str

    def __str__(self) -> str:
        return f"s3://{self.bucket}/{self.key}"


@dataclass(frozen=True, kw_only=True)
class Requester:
    """Who asked for a job, and how: facts with which the job checks rights later."""

    #: name of the access key
    key_name: str
    at: datetime
    #: None without a network
    source_ip: str | None
    #: whether the request came encrypted
    secure: bool


class MaskOrientation(StrEnum):
    """Which view of an image that EXIF turns its mask is drawn on."""

    STORED = "stored"
    UPRIGHT = "upright"


@dataclass(frozen=True, kw_only=True)
class MaskRef:
    """The anomaly mask of an image: a PNG whose colours name anomaly types."""

    ref: ObjectRef
    #: "#RRGGBB" (upper case) -> anomaly type, or `background`
    colors: Mapping[str, str]
    #: None where the line does not say
    orientation: MaskOrientation | None = None

    @property
    def anomaly_types(self) -> frozenset[str]:
        """What the mask may show besides the background."""
        return frozenset(self.colors.values()) - {BACKGROUND_CLASS}


@dataclass(frozen=True, kw_only=True)
class DatasetEntry:
    """One image with its label, from one JSON Line."""

    image: ObjectRef
    label: Label | None
    mask: MaskRef | None
    #: when the image was labelled, where the line says so in a form that can be read
    created_at: datetime | None
    #: the JSON Line as it came, without its line break
    line: str
    #: the parts of the line that are neither label nor mask
    notes: LineNotes = NO_NOTES
    #: the field of the metadata, such as failure-reason, for which the only mask is not used
    unusable_mask: str | None = None

    @property
    def anomaly_types(self) -> frozenset[str]:
        """The anomaly types that the mask may show."""
        return self.mask.anomaly_types if self.mask else frozenset()

    @property
    def refs(self) -> list[ObjectRef]:
        """The image, and the mask if there is one."""
        return [self.image, self.mask.ref] if self.mask else [self.image]


@dataclass(frozen=True, kw_only=True)
class ImageStats:
    """How many entries a dataset has, by label."""

    total: int
    labeled: int
    normal: int
    anomaly: int


@dataclass(frozen=True, kw_only=True)
class Project:
    """A product that is inspected: two datasets at most, models in versions."""

    id: int
    name: str
    created_at: datetime
    detector_settings: DetectorSettings = DEFAULT_SETTINGS


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """The training or the test images of a project."""

    id: int
    project: str
    type: DatasetType
    status: DatasetStatus
    status_message: str
    created_at: datetime
    updated_at: datetime
    #: the manifest it is made from; None for one that began empty
    manifest: ObjectRef | None
    #: which version of the manifest, where the client named one
    manifest_version: str | None
    #: the bucket that holds every image and mask of it; None while it has no entry
    image_bucket: str | None
    #: name of the kept file that holds the changes of an UPDATE_IN_PROGRESS
    changes: str | None
    attempt: int
    #: attempts that did not end by themselves; orderly stops of the server do not count
    interruptions: int = 0
    #: when the next attempt may begin; None for at once
    not_before: datetime | None = None
    #: of the change in progress; None if the server itself asked for it
    requester: Requester | None = None


class EvaluationMethod(StrEnum):
    """Which images a training measures the performance of its model on."""

    TEST_DATASET = "test-dataset"
    #: the part of a single dataset that the model is not trained on
    HELD_OUT = "held-out"
    #: all images of a single dataset, each by detectors that were not trained on it
    CROSS_VALIDATION = "cross-validation"


@dataclass(frozen=True, kw_only=True)
class Performance:
    """How a model did on its test images. Fractions."""

    f1_score: float
    recall: float
    precision: float
    #: None of models that are older than cross-validation
    method: EvaluationMethod | None = None


@dataclass(frozen=True, kw_only=True)
class InferenceUnits:
    """The capacity a model is hosted with; `maximum` is None without automatic scaling."""

    minimum: int
    maximum: int | None


@dataclass(frozen=True, kw_only=True)
class Model:
    """One version of what a project's images taught."""

    id: int
    project: str
    version: int
    description: str | None
    status: ModelStatus
    status_message: str
    created_at: datetime
    output_bucket: str
    output_prefix: str
    #: the key as CreateModel named it; None for the default one
    kms_key_id: str | None
    #: name of the kept file with the entries that CreateModel froze
    entries: str
    performance: Performance | None
    evaluation_manifest: ObjectRef | None
    evaluation_result: ObjectRef | None
    evaluation_ended_at: datetime | None
    #: name of the bundle's folder; None until the model is trained
    bundle: str | None
    units: InferenceUnits | None
    attempt: int
    #: attempts that did not end by themselves; orderly stops of the server do not count
    interruptions: int = 0
    #: when the next attempt may begin; None for at once
    not_before: datetime | None = None
    #: starts that failed since the last StartModel; tried again while `not_before` is set
    hosting_failures: int = 0
    #: as CreateModel froze them; None of models that are older than the settings
    detector_settings: DetectorSettings | None = None

    def takes_mixed_sizes(self, *, default: bool) -> bool:
        """Return whether images may have any size; `default` is the setting of the server."""
        return (self.detector_settings or DEFAULT_SETTINGS).takes_mixed_sizes(default=default)


@dataclass(frozen=True, kw_only=True)
class Tag:
    """What a user says of a model, under a key that the model has once."""

    key: str
    value: str


@dataclass(frozen=True, kw_only=True)
class KeyPair:
    """What a client signs its requests with: told once, when it is drawn."""

    id: str
    secret: str = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class AnsweredCall:
    """A change that was made for a client token, and what was answered."""

    operation: str
    token: str
    #: SHA-256 of the members of the request, in hexadecimal digits
    parameters: str
    #: the members of the answer, in JSON
    answer: str
    created_at: datetime
    #: the model that was started or stopped; None of other operations
    model_id: int | None


@dataclass(frozen=True, kw_only=True)
class AccessKey:
    """Who may sign requests, and what its holder may do."""

    id: str
    sealed_secret: str = field(repr=False)
    #: of its holder; stays when the key is rotated
    name: str
    #: a policy document, or the name of a built-in one
    policy: str = field(repr=False)
    #: of its holder, as policies may ask for them
    tags: Mapping[str, str]
    enabled: bool
    created_at: datetime


@dataclass(frozen=True, kw_only=True)
class TrashItem:
    """A project or a model that somebody deleted in the console, and that can be restored."""

    project: str
    project_id: int
    #: of the model; None for the whole project
    version: int | None
    #: of the model; 0 for the whole project
    model_id: int
    moved_by: str
    moved_at: datetime


@dataclass(frozen=True, kw_only=True)
class User:
    """Who signs in to the console by a name, and may do what a role allows."""

    name: str
    #: None for a user whom an identity provider signs in
    password_hash: str | None = field(repr=False)
    role: UserRole
    enabled: bool
    created_at: datetime
    #: issuer and subject at the identity provider; None for a user with a password
    identity: str | None = None


@dataclass(frozen=True, kw_only=True)
class KioskLink:
    """A link that opens the page of one line without signing in, until it is revoked."""

    #: of the token in the link, in hexadecimal digits
    token_sha256: str
    line: str
    #: what its creator wrote about the screen
    note: str
    created_by: str
    created_at: datetime


@dataclass(frozen=True, kw_only=True)
class Session:
    """Who is signed in to the console, in one browser."""

    #: of what the browser holds, in hexadecimal digits
    token_sha256: str
    #: or `user_holder_id` of a user
    access_key_id: str
    expires_at: datetime
    #: that somebody signed in from; None if an earlier version did not note it
    address: str | None = None
    #: up to a minute late; None if an earlier version did not note it
    last_used_at: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class DetectionCount:
    """How many images a model judged in one hour."""

    model_version: int
    #: when the hour began
    hour: datetime
    images: int
    #: of these, those that show an anomaly
    anomalies: int
