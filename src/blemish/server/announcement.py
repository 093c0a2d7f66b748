"""What `blemish serve` prints: its address, and how clients connect."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from urllib.parse import urlsplit

from blemish.server.aws_files import PROFILE, AwsFiles

CONSOLE = "/console"
"""Path of the pages for people."""


def announcement(
    endpoint: str,
    files: AwsFiles,
    *,
    console_endpoint: str,
    region: str,
    serves_s3: bool,
    on_terminal: bool,
    environment: Mapping[str, str],
) -> str:
    """Return the lines to print; only a terminal is shown the secret of the first key.

    Args:
        endpoint: URL of the server.
        files: the AWS files of the data directory.
        console_endpoint: URL of the port that the console has.
        region: what clients sign for.
        serves_s3: whether the buckets are in the data directory, and not in an S3 elsewhere.
        on_terminal: whether a person reads the lines.
        environment: the variables of this process; clients often have the same.
    """
    lines = [f"Blemish listens on {endpoint}", f"Console: {console_endpoint}{CONSOLE}"]
    if not files.credentials.exists():  # a backup was restored, or the first key was deleted
        lines += [f"AWS_CONFIG_FILE={files.config}", f"AWS_PROFILE={PROFILE}"]
    elif on_terminal:
        lines += _exports(endpoint, files, region=region, serves_s3=serves_s3)
    else:
        lines += [
            f"AWS_CONFIG_FILE={files.config}",
            f"AWS_SHARED_CREDENTIALS_FILE={files.credentials}",
            f"AWS_PROFILE={PROFILE}",
        ]
    return "\n".join([*lines, *proxy_advice(endpoint, environment)])


def _exports(endpoint: str, files: AwsFiles, *, region: str, serves_s3: bool) -> list[str]:
    """Return lines for a shell.

    The address is set for two services alone. AWS_ENDPOINT_URL would send the requests of every
    other AWS service here, too.
    """
    pair = files.read_key()
    variables = {
        "AWS_ACCESS_KEY_ID": pair.id,
        "AWS_SECRET_ACCESS_KEY": pair.secret,
        "AWS_DEFAULT_REGION": region,
        "AWS_ENDPOINT_URL_LOOKOUTVISION": endpoint,
    }
    if serves_s3:
        variables["AWS_ENDPOINT_URL_S3"] = endpoint
    if files.authorities.exists():
        variables["AWS_CA_BUNDLE"] = str(files.authorities)
    return [f"export {name}={shlex.quote(text)}" for name, text in variables.items()]


def proxy_advice(endpoint: str, environment: Mapping[str, str]) -> list[str]:
    """Return a line about NO_PROXY if a variable would send requests for `endpoint` to a proxy."""
    address = urlsplit(endpoint)
    host = address.hostname or ""
    names = [
        name
        for name in environment
        if name.lower() in {f"{address.scheme}_proxy", "all_proxy"} and environment[name]
    ]
    # boto3 reads the lower-case name first
    exceptions = environment.get("no_proxy") or environment.get("NO_PROXY") or ""
    if not names or _is_exempt(host, exceptions):
        return []
    no_proxy = ",".join(filter(None, (exceptions, host)))
    return [
        f"{' and '.join(sorted(names))} would send clients' requests to a proxy. For clients, set:",
        f"export NO_PROXY={shlex.quote(no_proxy)} no_proxy={shlex.quote(no_proxy)}",
    ]


def _is_exempt(host: str, exceptions: str) -> bool:
    """Tell whether the text of a NO_PROXY variable names a host, or a domain that it is in."""
    for entry in exceptions.split(","):
        name = entry.strip().lstrip(".").lower()
        if name == "*" or (name and (host == name or host.endswith(f".{name}"))):
            return True
    return False
