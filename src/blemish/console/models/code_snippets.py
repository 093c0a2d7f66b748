"""The code that calls a model of this server, ready to be pasted."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from blemish.console.language.messages import later, say

IMAGE = "image.jpg"
"""The name of the image in all of them."""


@dataclass(frozen=True, kw_only=True)
class Snippet:
    """An example of code."""

    #: what it does, in words for people
    title: str
    code: str


@dataclass(frozen=True, kw_only=True)
class SnippetTarget:
    """The model that the code calls."""

    #: such as `https://blemish.example:8080`
    endpoint: str
    region: str
    project: str
    version: str


NEEDS = later(
    "The access key is taken from AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY. A "
    "boto3 newer than 1.40.60, and the AWS CLI of its time, do not know the "
    "service: run `blemish sdk-model install` once where they are."
)
"""What the code needs to run."""


def snippets(target: SnippetTarget) -> Mapping[str, Sequence[Snippet]]:
    """Return what to paste: name of the tool -> examples of code."""
    return {
        "Python (boto3)": (Snippet(title=say("Detect anomalies"), code=_boto3(target)),),
        "AWS CLI": (
            Snippet(
                title=say("Start the model"),
                code=_cli(target, "start-model", {"min-inference-units": "1"}),
            ),
            Snippet(
                title=say("Detect anomalies"),
                code=_cli(
                    target, "detect-anomalies", {"content-type": "image/jpeg", "body": IMAGE}
                ),
            ),
            Snippet(title=say("Stop the model"), code=_cli(target, "stop-model", {})),
        ),
        "curl": (Snippet(title=say("Detect anomalies"), code=_curl(target)),),
    }


def _boto3(target: SnippetTarget) -> str:
    return f"""\
import boto3

client = boto3.client(
    "lookoutvision",
    endpoint_url={json.dumps(target.endpoint)},
    region_name={json.dumps(target.region)},
)
with open({json.dumps(IMAGE)}, "rb") as image:
    answer = client.detect_anomalies(
        ProjectName={json.dumps(target.project)},
        ModelVersion={json.dumps(target.version)},
        ContentType="image/jpeg",
        Body=image,
    )
result = answer["DetectAnomalyResult"]
print("anomaly" if result["IsAnomalous"] else "normal", result["Confidence"])
"""


def _cli(target: SnippetTarget, command: str, more: Mapping[str, str]) -> str:
    options = {
        "endpoint-url": target.endpoint,
        "region": target.region,
        "project-name": target.project,
        "model-version": target.version,
        **more,
    }
    lines = [f"aws lookoutvision {command}"]
    lines += [f"  --{name} {shlex.quote(value)}" for name, value in options.items()]
    return " \\\n".join(lines) + "\n"


def _curl(target: SnippetTarget) -> str:
    url = f"{target.endpoint}/2020-11-20/projects/{target.project}/models/{target.version}/detect"
    lines = (
        "curl",
        f"  --aws-sigv4 {shlex.quote(f'aws:amz:{target.region}:lookoutvision')}",
        '  --user "$AWS_ACCESS_KEY_ID:$AWS_SECRET_ACCESS_KEY"',
        "  --header 'Content-Type: image/jpeg'",
        f"  --data-binary @{IMAGE}",
        f"  {shlex.quote(url)}",
    )
    return " \\\n".join(lines) + "\n"
