"""`blemish sdk-model install`: the service model for AWS clients that no longer have it."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

SERVICE = "lookoutvision"
API_VERSION = "2020-11-20"


def install_model(folder: Path) -> Path:
    """Copy the model below `folder` as botocore wants it; return where it lies now.

    Source: botocore's loader: `<data path>/<service>/<api version>/service-2.json`.
    """
    target = folder / SERVICE / API_VERSION
    target.mkdir(parents=True, exist_ok=True)
    for source in files("blemish.api").iterdir():
        if source.name.endswith(".json"):
            (target / source.name).write_bytes(source.read_bytes())
    return target
