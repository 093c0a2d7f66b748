"""`blemish station sync`: one run over the records of a station."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path

from blemish.station.config import StationConfig
from blemish.station.config_table import SecretText, is_http_url
from blemish.station.errors import ConfigError, StationError
from blemish.station.lock import locked_directory
from blemish.station.records import Records
from blemish.station.sync.plan import PlanFile
from blemish.station.sync.server_client import Endpoint, ServerClient
from blemish.station.sync.signing import ServerKey
from blemish.station.sync.sync import Sync


def sync_station(
    config: StationConfig,
    *,
    say: Callable[[str], None],
    environment: Mapping[str, str] = os.environ,
) -> int:
    """Send what the records have and the server does not; return how many images.

    Raises:
        StationError: a setting is missing, another sync runs, or the server is away or refuses.
    """
    if config.sync is None:
        raise ConfigError("The file has no [sync]. Add one: it says which server gets the images.")
    endpoint = _endpoint(config, environment)
    with locked_directory(config.directory, work="sync"):
        records = Records(config.directory, rules=config.records)
        try:
            return Sync(
                config=config.sync,
                records=records,
                plans=PlanFile(config.directory),
                server=ServerClient(endpoint, now=lambda: datetime.now(UTC)),
                new_trial_name=lambda: f"station-{secrets.token_hex(6)}",
                say=say,
            ).run()
        finally:
            records.close()


def _endpoint(config: StationConfig, environment: Mapping[str, str]) -> Endpoint:
    assert config.sync is not None
    url = config.sync.endpoint or environment.get("AWS_ENDPOINT_URL")
    if not url:
        raise ConfigError("[sync] lacks the setting 'endpoint', and AWS_ENDPOINT_URL is not set.")
    if "@" in url:
        raise ConfigError("The server's address has a user or a password. Take it out.")
    if not is_http_url(url):
        raise ConfigError(
            f"The server has the address {url!r}; it must begin with https:// and name a host."
        )
    key_id, secret = (
        environment.get(name) for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
    )
    if not key_id or not secret:
        raise StationError(
            "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are not set. "
            "Set them to an access key of the server."
        )
    authorities = environment.get("AWS_CA_BUNDLE")
    return Endpoint(
        url=url,
        region=environment.get("AWS_REGION")
        or environment.get("AWS_DEFAULT_REGION")
        or "us-east-1",
        key=ServerKey(
            key_id=key_id,
            secret=SecretText(secret),
            session_token=environment.get("AWS_SESSION_TOKEN"),
        ),
        ca_file=Path(authorities) if authorities else None,
    )
