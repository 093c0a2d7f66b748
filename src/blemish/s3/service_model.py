"""The service model of S3, which is botocore's own."""

from __future__ import annotations

from botocore.loaders import Loader
from botocore.model import ServiceModel


def s3_model() -> ServiceModel:
    """Return the model of S3."""
    return ServiceModel(Loader().load_service_model("s3", "service-2"), service_name="s3")
