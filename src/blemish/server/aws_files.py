"""DIR/aws: an AWS config and credentials file, so that any AWS client finds this server."""

from __future__ import annotations

import configparser
from pathlib import Path

from blemish.domain.access.builtin_policies import FULL_ACCESS
from blemish.domain.entities import KeyPair
from blemish.service.access.access_keys import FIRST_KEY, AccessKeyError, AccessKeys
from blemish.storage.files import sync_folder, write_durably

PROFILE = "blemish"


class AwsFiles:
    """The two files for AWS_CONFIG_FILE and AWS_SHARED_CREDENTIALS_FILE."""

    def __init__(self, folder: Path, *, staging: Path) -> None:
        self.config = folder / "config"
        self.credentials = folder / "credentials"
        #: certificates that clients must trust, if no public authority signed the server's
        self.authorities = folder / "ca.pem"
        self._staging = staging

    def write_config(self, *, endpoint: str, region: str, authorities: bytes = b"") -> None:
        """Write the config; the endpoint may change with every start.

        Args:
            endpoint: URL of the server.
            region: that requests are signed for.
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
            "  addressing_style = path\n"  # DNS knows no `bucket.host`
            "  signature_version = s3v4\n"  # boto3 presigns by version 2 otherwise
            "\n"
            f"[services {PROFILE}]\n"
            "lookoutvision =\n"
            f"  endpoint_url = {endpoint}\n"
            "s3 =\n"
            f"  endpoint_url = {endpoint}\n"
            "sts =\n"
            f"  endpoint_url = {endpoint}\n"
        )
        write_durably(self.config, text.encode(), staging=self._staging)
        if not authorities:
            self.authorities.unlink(missing_ok=True)

    def write_key(self, pair: KeyPair) -> None:
        """Write the credentials."""
        text = credentials_text(PROFILE, pair)
        write_durably(self.credentials, text.encode(), staging=self._staging)

    def remove_key(self) -> None:
        """Remove the credentials."""
        self.credentials.unlink(missing_ok=True)
        sync_folder(self.credentials.parent)

    def read_key(self) -> KeyPair:
        """Return the key in the credentials file.

        Raises:
            ValueError: the file holds no key of the profile.
        """
        parser = configparser.ConfigParser(interpolation=None)
        parser.read(self.credentials, encoding="utf-8")
        try:
            profile = parser[PROFILE]
            return KeyPair(id=profile["aws_access_key_id"], secret=profile["aws_secret_access_key"])
        except KeyError as error:
            raise ValueError(f"{self.credentials} lacks {error}. Restore or remove it.") from None


def credentials_text(profile: str, pair: KeyPair) -> str:
    """Return the section of an AWS credentials file for a key."""
    return f"[{profile}]\naws_access_key_id = {pair.id}\naws_secret_access_key = {pair.secret}\n"


def settle_first_key(keys: AccessKeys, files: AwsFiles) -> None:
    """Create the first key, or make the credentials file and the database agree on it.

    The file is written before the key is created, so a start after a crash between the two goes on
    here. Of servers that share a database, the quickest has the file. If the encryption key of the
    first secret is lost, the secret of the file is sealed again.

    Raises:
        EncryptionError: no secret can be sealed.
        ValueError: the credentials file holds no key.
    """
    first_key = next((key for key in keys.all() if key.name == FIRST_KEY), None)
    if not keys.any():
        if not files.credentials.exists():
            files.write_key(keys.draw())
        try:
            keys.create(FIRST_KEY, files.read_key(), policy=FULL_ACCESS, tags={})
        except AccessKeyError:  # another server of the database was quicker
            files.remove_key()
    elif first_key and files.credentials.exists() and keys.is_lost(first_key):
        keys.rotate(FIRST_KEY, files.read_key())
