"""Checks of the clients on this machine: boto3, botocore and the AWS CLI."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from importlib.resources import files
from pathlib import Path

from blemish.api.service_model import service_model
from blemish.doctor.package_checks import installed_version
from blemish.doctor.report import Finding, Level

LAST_WITH_SERVICE = (1, 40, 60)
"""The last botocore whose own models have the service."""

FIRST_WITH_ADDRESS = (1, 31, 0)
"""The first botocore that reads an address from its environment (boto3 1.28)."""

PATIENCE_S = 20
_TOPIC = "clients"
_MODEL = "`blemish sdk-model install` gives it the model of the service."
_VERSIONS = "import boto3, botocore; print(boto3.__version__, botocore.__version__)"


def client_findings(environment: Mapping[str, str]) -> Iterator[Finding]:
    """Yield the clients that the path leads to, and what keeps them from this server."""
    own = f"boto3 {installed_version('boto3')}, botocore {installed_version('botocore')}"
    yield Finding(topic=_TOPIC, level=Level.OK, message=f"{own} in the environment of Blemish")
    model = model_finding(environment)
    if model is not None:
        yield model
    has_model = model is not None
    path = environment.get("PATH", os.defpath)
    python = shutil.which("python3", path=path)
    if python and Path(python).resolve() != Path(sys.executable).resolve():
        versions = _output([python, "-c", _VERSIONS]).split()
        if len(versions) == 2:
            name = f"boto3 {versions[0]}, botocore {versions[1]} of {python}"
            yield client_finding(name, botocore=versions[1], has_model=has_model)
    if aws := shutil.which("aws", path=path):
        yield aws_cli_finding(_output([aws, "--version"]), has_model=has_model)
    if environment.get("AWS_ENDPOINT_URL"):
        yield Finding(
            topic=_TOPIC,
            level=Level.WARNING,
            message="AWS_ENDPOINT_URL sends the requests of every AWS service to one address.",
            remedy="Set AWS_ENDPOINT_URL_LOOKOUTVISION and AWS_ENDPOINT_URL_S3 instead.",
        )


def model_finding(environment: Mapping[str, str]) -> Finding | None:
    """Return whether the installed model of the service is this version's; None without one."""
    folders = [Path(environment.get("HOME", "~")).expanduser() / ".aws" / "models"]
    folders += [
        Path(part) for part in environment.get("AWS_DATA_PATH", "").split(os.pathsep) if part
    ]
    model = service_model()
    installed = [folder / model.service_name / model.api_version for folder in folders]
    installed = [folder for folder in installed if (folder / "service-2.json").is_file()]
    if not installed:
        return None
    for source in files("blemish.api").iterdir():
        if source.name.endswith(".json"):
            copy = installed[0] / source.name
            if not copy.is_file() or copy.read_bytes() != source.read_bytes():
                return Finding(
                    topic=_TOPIC,
                    level=Level.WARNING,
                    message=f"{installed[0]} has the model of another version of Blemish.",
                    remedy="Run `blemish sdk-model install` again, with the same --to.",
                )
    message = f"The model of the service is installed in {installed[0]}."
    return Finding(topic=_TOPIC, level=Level.OK, message=message)


def client_finding(name: str, *, botocore: str, has_model: bool) -> Finding:
    """Return whether a client that is built on this botocore can call the service."""
    number = tuple(int(part) for part in re.findall(r"\d+", botocore)[:3])
    if number > LAST_WITH_SERVICE and not has_model:
        return Finding(
            topic=_TOPIC,
            level=Level.WARNING,
            message=f"{name}: does not know lookoutvision any more.",
            remedy=_MODEL,
        )
    if number < FIRST_WITH_ADDRESS:
        return Finding(
            topic=_TOPIC,
            level=Level.WARNING,
            message=f"{name}: reads no address from its environment.",
            remedy="Give it endpoint_url in code: docs/guide/clients.md",
        )
    return Finding(topic=_TOPIC, level=Level.OK, message=f"{name}: knows lookoutvision.")


def aws_cli_finding(printed: str, *, has_model: bool) -> Finding:
    """Return whether the AWS CLI can call the service, by what `aws --version` prints."""
    version = re.search(r"aws-cli/(\S+)", printed)
    botocore = re.search(r"botocore/(\d\S*)", printed)
    name = f"AWS CLI {version[1] if version else 'of unknown version'}"
    if botocore and not botocore[1].startswith("2."):
        return client_finding(name, botocore=botocore[1], has_model=has_model)
    if has_model:
        message = f"{name}: reads the installed model."
        return Finding(topic=_TOPIC, level=Level.OK, message=message)
    message = f"{name}: versions after October 2025 do not know lookoutvision."
    return Finding(topic=_TOPIC, level=Level.NOTE, message=message, remedy=_MODEL)


def _output(command: list[str]) -> str:
    try:
        ended = subprocess.run(  # noqa: S603 - programs of the user's own path
            command, capture_output=True, text=True, timeout=PATIENCE_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return ended.stdout or ended.stderr
