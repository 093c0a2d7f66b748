"""Every setting, with its default and its unit; read from the environment as BLEMISH_<NAME>."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from blemish.domain.limits import PROFILES, Limits


class Settings(BaseSettings):
    """What a server can be told; `blemish serve` takes the first three as options too."""

    model_config = SettingsConfigDict(env_prefix="BLEMISH_", frozen=True)

    data_dir: Path = Path("data")
    """Folder of the database, the keys, the buckets and the bundles."""

    host: str = "127.0.0.1"
    """Address to listen on."""

    port: Annotated[int, Field(ge=0, le=65_535)] = 8_000
    """Port to listen on; 0 takes a free one."""

    region: Annotated[str, Field(pattern=r"^[a-z]{2}(-[a-z]+)+-\d$")] = "us-east-1"
    """Region that ARNs carry. Requests signed for any region are accepted."""

    account: Annotated[str, Field(pattern=r"^\d{12}$")] = "000000000000"
    """Account that ARNs carry."""

    clock_skew_s: Annotated[int, Field(ge=0)] = 900
    """How far a client's clock may be from ours, in seconds."""

    limits: Literal["blemish", "original"] = "blemish"
    """Profile of limits: ours, or those of Amazon Lookout for Vision."""

    mixed_sizes: bool = False
    """Whether the pictures of a project may differ in size."""

    backbone: Path | None = None
    """ONNX file of a backbone with the outputs layer2 and layer3; without it, the built-in one."""

    training_threads: Annotated[int, Field(ge=1)] = os.cpu_count() or 1
    """Threads of one training process, which runs at low priority."""

    detection_threads: Annotated[int, Field(ge=1)] = os.cpu_count() or 1
    """Threads of one run of a hosted model."""

    concurrent_trainings: Annotated[int, Field(ge=1)] = max(1, (os.cpu_count() or 1) // 2)
    """Trainings at once; others wait their turn."""

    @property
    def limit_profile(self) -> Limits:
        """The limits that `limits` names."""
        return PROFILES[self.limits]
