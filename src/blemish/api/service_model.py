"""The service model as botocore reads it: our copy, found beside this module."""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files

from botocore.model import ServiceModel


@cache
def service_model() -> ServiceModel:
    """Return the model of the API."""
    text = (files(__package__) / "service-2.json").read_text(encoding="utf-8")
    return ServiceModel(json.loads(text), service_name="lookoutvision")
