"""Every setting, with its default and its unit; read from the environment as BLEMISH_<NAME>."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    model_validator,
)
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from blemish.domain.access.roles import UserRole
from blemish.domain.entities import MaskOrientation
from blemish.domain.limits import PROFILES, Limits, with_longest_side

_OF_KMS = {"kms_profile", "kms_endpoint"}
"""Settings that say nothing without `kms_region`."""

_OF_S3 = {"s3_region", "s3_profile", "s3_access_key_id", "s3_secret_access_key"}
"""Settings that say nothing without `s3_endpoint`."""

_OF_OIDC = {
    "oidc_client_id",
    "oidc_client_secret",
    "oidc_name",
    "oidc_roles",
    "oidc_roles_claim",
    "oidc_default_role",
}
"""Settings that say nothing without `oidc_issuer`."""

LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})
"""Hosts that may be asked without TLS."""


Provider = Literal["cpu", "openvino", "cuda", "tensorrt"]
"""What can run a hosted model; `engine.sessions` says what ONNX Runtime calls it."""


def _split(names: object) -> object:
    return [name.strip() for name in names.split(",")] if isinstance(names, str) else names


def _without_slash(url: str) -> str:
    return url.removesuffix("/")


class TrainingResources(BaseModel):
    """What a training of a project takes of a node of the Ray cluster; the others' where None."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    cpus: Annotated[int, Field(ge=1)] | None = None
    gpus: Annotated[float, Field(ge=0)] | None = None
    memory_mib: Annotated[int, Field(ge=1)] | None = None


class Settings(BaseSettings):
    """What a server can be told; `blemish serve` takes the first six as options too."""

    model_config = SettingsConfigDict(env_prefix="BLEMISH_", frozen=True)

    data_dir: Path = Path("data")
    """Folder of the database, the keys, the buckets and the bundles."""

    host: str = "127.0.0.1"
    """Address to listen on."""

    port: Annotated[int, Field(ge=0, le=65_535)] = 8_000
    """Port to listen on; 0 takes a free one."""

    console_port: Annotated[int, Field(ge=0, le=65_535)] | None = None
    """Port of the console; without it, the one after `port`; 0 lets both have the same."""

    tls_cert: Path | None = None
    """PEM file of the certificate to show, followed by those that vouch for it."""

    tls_key: Path | None = None
    """PEM file of its key."""

    insecure: bool = False
    """Whether other machines may be answered without TLS."""

    region: Annotated[str, Field(pattern=r"^[a-z]{2}(-[a-z]+)+-\d$")] = "us-east-1"
    """Region that ARNs carry. Requests signed for any region are accepted."""

    list_own_region: bool = False
    """Whether listings are empty for requests that are signed for another region."""

    account: Annotated[str, Field(pattern=r"^\d{12}$")] = "000000000000"
    """Account that ARNs carry."""

    clock_skew_s: Annotated[int, Field(ge=0)] = 900
    """How far a client's clock may be from ours, in seconds."""

    limits: Literal["blemish", "original"] = "blemish"
    """Profile of limits: ours, or those of Amazon Lookout for Vision."""

    detect_body_bytes: Annotated[int, Field(ge=1)] | None = None
    """Bytes of an image or a mask, sent or in a bucket, instead of the profile's."""

    image_max_side: Annotated[int, Field(ge=64, le=65_535)] | None = None
    """Pixels of the longest side of an image, instead of the profile's."""

    inference_units: Annotated[int, Field(ge=1)] | None = None
    """The most inference units of a model, instead of the profile's."""

    concurrent_trainings: Annotated[int, Field(ge=1)] | None = None
    """Trainings at once, instead of the profile's; whether others wait is the profile's."""

    mixed_sizes: bool = False
    """Whether the images of a project may differ in size."""

    mask_orientation: MaskOrientation | None = None
    """`stored` or `upright`: how masks lie on images that EXIF turns, where both ways fit."""

    backbone: str | None = None
    """Name of a backbone, or path of one; without it, `joined` where its weights are installed."""

    project_backbones: dict[str, str] | None = None
    """JSON object of projects, each with a backbone of its own."""

    resolution: Annotated[int, Field(ge=64, le=4_096)] | None = None
    """Long side in pixels at which detectors see images; without it, trainings select it."""

    hub_endpoint: Annotated[
        str, Field(pattern=r"^https?://[^/?#@\s]+/?$"), AfterValidator(_without_slash)
    ] = "https://huggingface.co"
    """URL of the model hub that `blemish backbone pull` asks."""

    training_threads: Annotated[int, Field(ge=1)] = os.cpu_count() or 1
    """Threads of one training process, which runs at low priority."""

    ray_address: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.:\[\]-]+:\d{1,5}$")] | None = None
    """HOST:PORT of the head of a Ray cluster, on whose nodes trainings, batches and trials run."""

    ray_training_gpus: Annotated[float, Field(ge=0)] = 0.0
    """GPUs that a training takes of a node of the Ray cluster."""

    ray_training_memory_mib: Annotated[int, Field(ge=1)] = 2_048
    """Memory that a training takes of a node of the Ray cluster, in MiB."""

    ray_project_trainings: dict[str, TrainingResources] | None = None
    """JSON object of projects, each with `cpus`, `gpus` or `memory_mib` of a node of its own."""

    ray_detection_cpus: Annotated[int, Field(ge=1)] = 1
    """CPUs that a shard of a batch or a trial takes of a node of the Ray cluster."""

    ray_detection_gpus: Annotated[float, Field(ge=0)] = 0.0
    """GPUs that a shard of a batch or a trial takes of a node; 0.25 lets four share one."""

    hosting: Literal["local", "ray"] = "local"
    """Where hosted models judge images: in this server, or on the nodes of the Ray cluster."""

    ray_hosting_cpus: Annotated[float, Field(gt=0)] = 1.0
    """CPUs that an inference unit of a hosted model takes of a node of the Ray cluster."""

    ray_hosting_gpus: Annotated[float, Field(ge=0)] = 0.0
    """GPUs that an inference unit takes of a node; 0.25 lets four share one."""

    @model_validator(mode="after")
    def _check_hosting(self) -> Self:
        """Allow hosting on a cluster where there is one; its models take no memory here."""
        if self.hosting == "local":
            return self
        if self.ray_address is None:
            raise ValueError("BLEMISH_HOSTING is ray: set BLEMISH_RAY_ADDRESS too")
        if self.model_memory_mib is not None:
            raise ValueError(
                "BLEMISH_HOSTING is ray: hosted models take no memory of this server, so do not "
                "set BLEMISH_MODEL_MEMORY_MIB"
            )
        return self

    detection_threads: Annotated[int, Field(ge=1)] = os.cpu_count() or 1
    """Threads of one run of a hosted model."""

    model_memory_mib: Annotated[int, Field(ge=1)] | None = None
    """Memory of loaded models in MiB; without it, half of the machine's. Others load on demand."""

    providers: Annotated[
        tuple[Provider, ...], NoDecode, BeforeValidator(_split), Field(min_length=1)
    ] = ("cpu",)
    """What runs hosted models and detection jobs, the preferred first; trainings run on the CPU."""

    log_format: Literal["auto", "console", "json"] = "auto"
    """Form of the log: `console`, `json`, or `auto`, which is `console` on a terminal alone."""

    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """Least level that is logged."""

    metrics_token: SecretStr | None = None
    """What opens the metrics, from anywhere; without it, they are for this machine alone."""

    audit_s3_objects: bool = False
    """Whether requests about objects in S3 go into the audit log, too."""

    audit_max_age_days: Annotated[int, Field(ge=1)] = 90
    """Days that the audit log is kept."""

    audit_max_size_mib: Annotated[int, Field(ge=16)] = 10_240
    """Size that the audit log may have; the oldest of it goes first."""

    upload_max_age_days: Annotated[int, Field(ge=1)] = 7
    """Days after which an upload in parts that nothing is added to is given up."""

    database_copies: Annotated[int, Field(ge=1)] = 2
    """Copies of the database from before updates that are kept."""

    database_url: SecretStr | None = None
    """URL of a PostgreSQL database for the rows; without it, they are in the data directory."""

    @model_validator(mode="after")
    def _check_database_url(self) -> Self:
        """Allow PostgreSQL; the message leaves the URL out, which may hold a password."""
        url = self.database_url.get_secret_value() if self.database_url else "postgresql://"
        if not url.startswith(("postgresql://", "postgres://")):
            raise ValueError("BLEMISH_DATABASE_URL: it must begin with postgresql://")
        return self

    s3_endpoint: (
        Annotated[str, Field(pattern=r"^https?://[^/?#@\s]+/?$"), AfterValidator(_without_slash)]
        | None
    ) = None
    """URL of an S3 that the buckets are in; without it, they are in the data directory."""

    s3_region: str = "us-east-1"
    """Region that requests to this S3 are signed for."""

    s3_profile: str | None = None
    """Profile of the AWS files whose credentials open this S3."""

    s3_access_key_id: str | None = None
    """Access key that opens this S3, where no profile does."""

    s3_secret_access_key: SecretStr | None = None
    """The secret of this access key."""

    files_url: (
        Annotated[
            str,
            Field(pattern=r"^s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/[A-Za-z0-9._-]+)*/?$"),
            AfterValidator(_without_slash),
        ]
        | None
    ) = None
    """s3://BUCKET/PREFIX in this S3 for the files that several servers on one database share."""

    files_cache_mib: Annotated[int, Field(ge=16)] = 10_240
    """Size of the copies of shared files on the disk of this server, in MiB."""

    @model_validator(mode="after")
    def _check_tls(self) -> Self:
        """Allow a certificate with its key, or neither."""
        if (self.tls_cert is None) != (self.tls_key is None):
            raise ValueError(
                "--tls-cert and --tls-key (BLEMISH_TLS_CERT and BLEMISH_TLS_KEY): "
                "give both or neither"
            )
        return self

    kms_region: Annotated[str, Field(pattern=r"^[a-z]{2}(-[a-z]+)+-\d$")] | None = None
    """Region whose AWS KMS may be asked for keys; without it, none is."""

    kms_profile: str | None = None
    """Profile of the AWS files whose credentials open AWS KMS; without it, those of any client."""

    kms_endpoint: Annotated[str, Field(pattern=r"^https?://[^/?#@\s]+/?$")] | None = None
    """URL of AWS KMS; without it, AWS's own for the region."""

    @model_validator(mode="after")
    def _check_kms(self) -> Self:
        names = sorted(
            f"BLEMISH_{name.upper()}" for name in self.model_fields_set if name in _OF_KMS
        )
        if names and self.kms_region is None:
            raise ValueError(f"{' and '.join(names)}: set BLEMISH_KMS_REGION too")
        return self

    @model_validator(mode="after")
    def _check_s3(self) -> Self:
        """Allow an S3 with a profile or a whole key, and neither without an S3."""
        names = sorted(
            f"BLEMISH_{name.upper()}" for name in self.model_fields_set if name in _OF_S3
        )
        if self.s3_endpoint is None:
            if names:
                raise ValueError(f"{' and '.join(names)}: set BLEMISH_S3_ENDPOINT too")
            return self
        key = (self.s3_access_key_id, self.s3_secret_access_key)
        if (key[0] is None) != (key[1] is None):
            raise ValueError(
                "BLEMISH_S3_ACCESS_KEY_ID and BLEMISH_S3_SECRET_ACCESS_KEY: set both or neither"
            )
        if (self.s3_profile is None) == (key[0] is None):
            raise ValueError(
                "BLEMISH_S3_ENDPOINT: set either BLEMISH_S3_PROFILE, or "
                "BLEMISH_S3_ACCESS_KEY_ID and BLEMISH_S3_SECRET_ACCESS_KEY"
            )
        return self

    @model_validator(mode="after")
    def _check_files_url(self) -> Self:
        """Allow shared files where rows and buckets are shared, too."""
        if self.files_url is not None and (self.database_url is None or self.s3_endpoint is None):
            raise ValueError(
                "BLEMISH_FILES_URL: set BLEMISH_DATABASE_URL and BLEMISH_S3_ENDPOINT too"
            )
        return self

    oidc_issuer: Annotated[str, Field(pattern=r"^https?://[^/?#@\s]+(/[^?#@\s]*)?$")] | None = None
    """Issuer URL of an OpenID Connect provider that signs people in to the console."""

    oidc_client_id: Annotated[str, Field(min_length=1)] | None = None
    """Id by which the provider knows this console."""

    oidc_client_secret: Annotated[SecretStr, Field(min_length=1)] | None = None
    """The secret of this client."""

    oidc_name: Annotated[str, Field(min_length=1, max_length=64)] | None = None
    """What the form calls the provider; without it, the host of the issuer."""

    oidc_roles: dict[str, UserRole] | None = None
    """JSON object: the value of a claim, such as a group, and the role that it gives."""

    oidc_roles_claim: Annotated[str, Field(min_length=1)] = "groups"
    """Claim that holds these values; dots lead into objects, as in `realm_access.roles`."""

    oidc_default_role: UserRole | None = None
    """Role of people whose claim gives none; without it, they are refused."""

    @model_validator(mode="after")
    def _check_oidc(self) -> Self:
        """Allow a whole provider or none; the provider itself is asked at the first sign-in."""
        names = sorted(
            f"BLEMISH_{name.upper()}" for name in self.model_fields_set if name in _OF_OIDC
        )
        if self.oidc_issuer is None:
            if names:
                raise ValueError(f"{' and '.join(names)}: set BLEMISH_OIDC_ISSUER too")
            return self
        issuer = urlsplit(self.oidc_issuer)
        if issuer.scheme == "http" and issuer.hostname not in LOOPBACK_NAMES:
            raise ValueError(
                f"BLEMISH_OIDC_ISSUER: {self.oidc_issuer} must begin with https://; http:// is "
                "for a provider on this machine alone"
            )
        if self.oidc_client_id is None or self.oidc_client_secret is None:
            raise ValueError(
                "BLEMISH_OIDC_ISSUER: set BLEMISH_OIDC_CLIENT_ID and BLEMISH_OIDC_CLIENT_SECRET too"
            )
        if not self.oidc_roles and self.oidc_default_role is None:
            raise ValueError(
                "BLEMISH_OIDC_ISSUER: set BLEMISH_OIDC_ROLES or BLEMISH_OIDC_DEFAULT_ROLE too, "
                "because nobody would have a role"
            )
        return self

    @property
    def limit_profile(self) -> Limits:
        """The limits that `limits` names, with those that have settings of their own."""
        limits = PROFILES[self.limits]
        if self.detect_body_bytes is not None:
            limits = replace(limits, detect_body_bytes=self.detect_body_bytes)
        if self.image_max_side is not None:
            limits = with_longest_side(limits, self.image_max_side)
        if self.inference_units is not None:
            limits = replace(limits, max_inference_units=self.inference_units)
        if limits.max_concurrent_trainings is not None and self.concurrent_trainings is not None:
            limits = replace(limits, max_concurrent_trainings=self.concurrent_trainings)
        return limits

    @property
    def trainings_at_once(self) -> int:
        """How many trainings run; in ours, one for every two cores."""
        of_profile = PROFILES[self.limits].max_concurrent_trainings
        return self.concurrent_trainings or of_profile or max(1, (os.cpu_count() or 1) // 2)


SECRET_VARIABLES = frozenset(
    f"BLEMISH_{name.upper()}"
    for name, setting in Settings.model_fields.items()
    if SecretStr.__name__ in repr(setting.annotation)
)
"""Environment variables that hold a secret, which no child of the server needs."""
