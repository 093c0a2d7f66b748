"""DIR/aws: an AWS config and credentials file, so that any AWS client finds this server."""

from __future__ import annotations

import configparser
from dataclasses import replace
from pathlib import Path

from blemish.domain.entities import AccessKey
from blemish.storage.files import write_durably

PROFILE = "blemish"
FIRST_KEY = "first"


class AwsFiles:
    """The two files for AWS_CONFIG_FILE and AWS_SHARED_CREDENTIALS_FILE."""

    def __init__(self, folder: Path, *, staging: Path) -> None:
        self.config = folder / "config"
        self.credentials = folder / "credentials"
        #: what a client has to trust, where nobody else vouches for the server's certificate
        self.authorities = folder / "ca.pem"
        self._staging = staging

    def write_config(self, *, endpoint: str, region: str, authorities: bytes = b"") -> None:
        """Write the config, at every start: the endpoint may be another.

        Args:
            endpoint: URL of the server.
            region: what requests are signed for.
            authorities: PEM of the certificates to trust, instead of those that a client knows.
        """
        if authorities:
            write_durably(self.authorities, authorities, staging=self._staging)
        trust = f"ca_bundle = {self.authorities}\n" if authorities else ""
        text = (
            f"[profile {PROFILE}]\n"
            f"region = {region}\n"
            f"{trust}"
            f"services = {PROFILE}\n"
            "s3 =\n"
            "  addressing_style = path\n"  # no name leads to `bucket.host`
            "  signature_version = s3v4\n"  # boto3 presigns by version 2 otherwise
            "\n"
            f"[services {PROFILE}]\n"
            "lookoutvision =\n"
            f"  endpoint_url = {endpoint}\n"
            "s3 =\n"
            f"  endpoint_url = {endpoint}\n"
        )
        write_durably(self.config, text.encode(), staging=self._staging)
        if not authorities:
            self.authorities.unlink(missing_ok=True)

    def settled_key(self, key: AccessKey) -> AccessKey:
        """Return the key that the credentials file holds; write `key` if there is no such file.

        A start that was cut off between this file and the database is taken up here: the file is
        never written twice.
        """
        if not self.credentials.exists():
            text = (
                f"[{PROFILE}]\naws_access_key_id = {key.id}\naws_secret_access_key = {key.secret}\n"
            )
            write_durably(self.credentials, text.encode(), staging=self._staging)
            return key
        held = self.read_key()
        return replace(key, id=held[0], secret=held[1])

    def read_key(self) -> tuple[str, str]:
        """Return the id and the secret of the key in the credentials file.

        Raises:
            ValueError: the file holds no key of the profile.
        """
        parser = configparser.ConfigParser(interpolation=None)
        parser.read(self.credentials, encoding="utf-8")
        try:
            profile = parser[PROFILE]
            return profile["aws_access_key_id"], profile["aws_secret_access_key"]
        except KeyError as error:
            raise ValueError(f"{self.credentials} lacks {error}. Restore or remove it.") from None
