"""ARNs of projects, models and principals."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class ArnScope:
    """The region and the account that every ARN of this server carries."""

    region: str
    account: str

    def project(self, name: str) -> str:
        """Return the ARN of a project."""
        return f"arn:aws:lookoutvision:{self.region}:{self.account}:project/{name}"

    def model(self, project: str, version: int) -> str:
        """Return the ARN of a model version."""
        return f"arn:aws:lookoutvision:{self.region}:{self.account}:model/{project}/{version}"

    def user(self, name: str) -> str:
        """Return the ARN of the holder of an access key: that of a user of this name."""
        return f"arn:aws:iam::{self.account}:user/{name}"
