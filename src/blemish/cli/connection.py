"""Clients of a running server, found as every other client finds it.

On the server's machine its data directory has the address and a key. Elsewhere the environment or a
profile has them, as for the AWS CLI. A client never goes to Amazon by accident.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import botocore.session
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from blemish.server.aws_files import PROFILE
from blemish.settings import Settings

SERVICES = ("lookoutvision", "s3")

BUCKETS_ELSEWHERE = (
    "The server has its buckets in another S3. Name a profile of your AWS files that leads there "
    "with --s3-profile."
)

_OWN_SETTINGS = (
    "AWS_CONFIG_FILE",
    "AWS_PROFILE",
    "AWS_ENDPOINT_URL_LOOKOUTVISION",
)
"""Variables that say where the server is."""


class ServerSettingsError(Exception):
    """Nothing says where the server is; the message says what to do."""


@dataclass(frozen=True, kw_only=True)
class ServerClients:
    """Clients of one server."""

    lookoutvision: Any
    s3: Any
    region: str

    @property
    def console_bucket(self) -> str:
        """The bucket of the console, in which images go without another one."""
        return f"lookoutvision-{self.region}-console"


def server_clients(
    settings: Settings,
    *,
    profile: str | None,
    s3_profile: str | None = None,
    environment: Mapping[str, str] = os.environ,
) -> ServerClients:
    """Return clients of the server.

    A profile counts first, then a data directory that was named, then the environment, then the
    usual data directory.

    Args:
        settings: they have the data directory.
        profile: of the AWS files of this machine.
        s3_profile: a profile that leads to another S3, where the server has its buckets there.
        environment: the process's.

    Raises:
        ServerSettingsError: nothing says where the server is.
    """
    session = botocore.session.Session()
    endpoints: Mapping[str, str] = {}
    has_own_settings = any(environment.get(name) for name in _OWN_SETTINGS)
    if profile is not None:
        session.set_config_variable("profile", profile)
    elif "data_dir" in settings.model_fields_set or not has_own_settings:
        folder = settings.data_dir / "aws"
        if not (folder / "config").is_file():
            raise ServerSettingsError(
                f"{folder / 'config'} does not exist. Name the data directory of a server with "
                "--data-dir, or a profile of its AWS files with --profile."
            )
        endpoints = _use_files(session, folder)
    try:
        server, s3 = (_client(session, name, endpoints.get(name)) for name in SERVICES)
        _refuse_amazon(server)
        if s3_profile is None:
            _refuse_amazon(s3)
        else:
            s3 = _profile_s3_client(s3_profile)
    except BotoCoreError as error:
        raise ServerSettingsError(str(error)) from None
    return ServerClients(lookoutvision=server, s3=s3, region=server.meta.region_name)


def other_s3_client(*, profile: str | None, endpoint_url: str | None, threads: int) -> Any:
    """Return a client of another S3, Amazon's without an endpoint.

    Raises:
        ServerSettingsError: there is no such profile, or no region.
    """
    session = botocore.session.Session()
    if profile is not None:
        session.set_config_variable("profile", profile)
    addressing = {"addressing_style": "path"} if endpoint_url else {}
    config = Config(s3=addressing, max_pool_connections=threads, retries={"mode": "standard"})
    try:
        return session.create_client(
            "s3",
            endpoint_url=endpoint_url,
            region_name=session.get_config_variable("region") or "us-east-1",
            config=config,
        )
    except (BotoCoreError, ValueError) as error:
        raise ServerSettingsError(str(error)) from None


def make_missing_bucket(s3: Any, bucket: str) -> None:
    """Make a bucket unless the server has it.

    Raises:
        ClientError, BotoCoreError: it cannot be made.
    """
    try:
        s3.head_bucket(Bucket=bucket)
    except ClientError as error:
        if error.response["ResponseMetadata"]["HTTPStatusCode"] != 404:
            raise
        s3.create_bucket(Bucket=bucket)


def error_text(error: ClientError | BotoCoreError) -> str:
    """Return the message of a client's error, without the name of its operation."""
    if isinstance(error, ClientError):
        if error.response["ResponseMetadata"].get("HTTPStatusCode") == HTTPStatus.NOT_IMPLEMENTED:
            return BUCKETS_ELSEWHERE
        details = error.response.get("Error", {})
        return f"{details.get('Code', 'Error')}: {details.get('Message', '')}"
    return str(error)


def _use_files(session: Any, folder: Path) -> dict[str, str]:
    """Let a session read the files that a server writes; return the addresses in them.

    The environment may name other addresses, so these are given to the clients.
    """
    session.set_config_variable("config_file", str(folder / "config"))
    session.set_config_variable("credentials_file", str(folder / "credentials"))
    session.set_config_variable("profile", PROFILE)
    sections = session.full_config.get("services", {}).get(PROFILE, {})
    return {name: sections[name]["endpoint_url"] for name in SERVICES}


def _client(session: Any, service: str, endpoint: str | None) -> Any:
    host = urlsplit(endpoint or "").hostname
    proxies: dict[str, Any] = {"proxies": {}} if host in {"127.0.0.1", "localhost", "::1"} else {}
    config = Config(
        s3={"addressing_style": "path"},
        max_pool_connections=16,
        retries={"mode": "standard", "max_attempts": 5},
        **proxies,
    )
    return session.create_client(
        service,
        endpoint_url=endpoint,
        region_name=session.get_config_variable("region") or "us-east-1",
        verify=session.get_scoped_config().get("ca_bundle"),
        config=config,
    )


def _profile_s3_client(profile: str) -> Any:
    """Return a client of the S3 that a profile leads to.

    The environment may name this server's address for S3, and that would win over the profile.
    """
    session = botocore.session.Session()
    session.set_config_variable("profile", profile)
    section = session.get_scoped_config()
    services = session.full_config.get("services", {}).get(section.get("services"), {})
    endpoint = services.get("s3", {}).get("endpoint_url") or section.get("endpoint_url")
    return _client(session, "s3", endpoint)


def _refuse_amazon(client: Any) -> None:
    address = client.meta.endpoint_url
    if (urlsplit(address).hostname or "").endswith((".amazonaws.com", ".api.aws")):
        raise ServerSettingsError(
            f"The settings lead to {address}, which is Amazon and no server of Blemish. Name the "
            "data directory of a server with --data-dir, or a profile with --profile."
        )
