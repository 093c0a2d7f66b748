"""The service model as botocore reads it: our copy of the original's, and what we add to it.

What is ours stands in `service-2.sdk-extras.json`, in the form that botocore merges into a model
wherever it finds one: it adds operations, shapes and optional members, and changes nothing.
"""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files
from typing import Any

from botocore.model import ServiceModel
from botocore.utils import deep_merge


@cache
def service_model() -> ServiceModel:
    """Return the model of the API."""
    description = _read("service-2.json")
    deep_merge(description, _read("service-2.sdk-extras.json")["merge"])
    return ServiceModel(description, service_name="lookoutvision")


def _read(name: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((files(__package__) / name).read_text(encoding="utf-8"))
    return content
