"""ARNs of projects, models and principals."""

from __future__ import annotations

import re
from dataclasses import dataclass

_MODEL = re.compile(
    r"arn:aws:lookoutvision:(?P<region>[a-z0-9-]+):(?P<account>[0-9]{12})"
    r":model/(?P<project>[a-zA-Z0-9][a-zA-Z0-9_-]{0,254})/(?P<version>[1-9][0-9]{0,9})"
)


@dataclass(frozen=True, kw_only=True)
class ArnScope:
    """The region and the account in the ARNs of this server."""

    region: str
    account: str

    def project(self, name: str) -> str:
        """Return the ARN of a project."""
        return f"arn:aws:lookoutvision:{self.region}:{self.account}:project/{name}"

    def model(self, project: str, version: int | str) -> str:
        """Return the ARN of a model version."""
        return f"arn:aws:lookoutvision:{self.region}:{self.account}:model/{project}/{version}"

    def line(self, name: str) -> str:
        """Return the ARN of a line."""
        return f"arn:aws:lookoutvision:{self.region}:{self.account}:line/{name}"

    def component_version(self, name: str, version: str) -> str:
        """Return the ARN of a version of a component of AWS IoT Greengrass."""
        return (
            f"arn:aws:greengrass:{self.region}:{self.account}:components:{name}:versions:{version}"
        )

    def kms(self, name: str) -> str:
        """Return the ARN of a sealing key; `name` is `key/ID` or `alias/NAME`."""
        return f"arn:aws:kms:{self.region}:{self.account}:{name}"

    def user(self, name: str) -> str:
        """Return the ARN of the holder of an access key, as of an IAM user."""
        return f"arn:aws:iam::{self.account}:user/{name}"


@dataclass(frozen=True, kw_only=True)
class ModelArn:
    """The parts of the ARN of a model, which need not exist."""

    scope: ArnScope
    project: str
    version: int


def parse_model_arn(text: str) -> ModelArn | None:
    """Parse the ARN of a model of any region and account; return None for other text."""
    match = _MODEL.fullmatch(text)
    if match is None:
        return None
    return ModelArn(
        scope=ArnScope(region=match["region"], account=match["account"]),
        project=match["project"],
        version=int(match["version"]),
    )
