"""The environment of the demo: nothing in it leads requests to another server."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from blemish.server.aws_files import PROFILE, AwsFiles

_CLIENT_PREFIXES = ("AWS_", "BOTO_")
_CLIENT_NAMES = frozenset({"CURL_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "SSL_CERT_DIR", "SSL_CERT_FILE"})
_SERVER_PREFIXES = (
    *("BLEMISH_DATABASE_", "BLEMISH_FILES_", "BLEMISH_KMS_", "BLEMISH_OIDC_"),
    *("BLEMISH_RAY_", "BLEMISH_S3_", "BLEMISH_TLS_"),
)
_SERVER_NAMES = frozenset(
    {"BLEMISH_CONSOLE_PORT", "BLEMISH_HOST", "BLEMISH_HOSTING", "BLEMISH_INSECURE", "BLEMISH_PORT"}
)


def own_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that the demo and its server keep.

    The others name AWS accounts and endpoints, proxies, or another place for the server's rows,
    buckets, files, work, keys or address. The demo speaks to its own server on loopback alone.
    """
    return {name: text for name, text in environment.items() if not _leads_elsewhere(name)}


@contextmanager
def demo_environment(files: AwsFiles) -> Iterator[None]:
    """Have this process and its children find one server alone, by its two files."""
    before = dict(os.environ)
    os.environ.clear()
    os.environ.update(own_environment(before))
    os.environ.update(
        AWS_CONFIG_FILE=str(files.config),
        AWS_SHARED_CREDENTIALS_FILE=str(files.credentials),
        AWS_PROFILE=PROFILE,
    )
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def _leads_elsewhere(name: str) -> bool:
    return (
        name.startswith((*_CLIENT_PREFIXES, *_SERVER_PREFIXES))
        or name in _CLIENT_NAMES | _SERVER_NAMES
        or name.lower().endswith("_proxy")
    )
