"""Tables of a TOML file, read strictly: a setting that nobody reads is refused by its name."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from blemish.station.errors import ConfigError

HTTP_URL = "an address http://... or https://... without a password, with %20 for a space"


class SecretText:
    """A secret that appears in no log and no message."""

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """Return the secret, for the one who checks it."""
        return self._text

    def __repr__(self) -> str:
        return "SecretText(...)"


class ConfigTable:
    """One table; remembers which settings were read, for `finish`."""

    def __init__(
        self,
        values: Mapping[str, Any],
        *,
        name: str,
        environment: Mapping[str, str] = os.environ,
    ) -> None:
        """Take the table and how messages name it, like `[[sink]] "rejects"`."""
        self.name = name
        self._values = values
        self._environment = environment
        self._known: set[str] = set()

    def finish(self) -> None:
        """Refuse settings that were never read.

        Raises:
            ConfigError: there is one; the message names it and what is allowed.
        """
        if unknown := sorted(self._values.keys() - self._known):
            raise ConfigError(
                f"{self.name} has the setting {unknown[0]!r}, which does not exist; "
                f"there are {', '.join(sorted(self._known))}."
            )

    def text(self, key: str, default: str | None = None) -> str:
        """Return a text that is not empty; required without a default."""
        value = self._value(key, default)
        if not isinstance(value, str) or not value:
            raise self.wrong(key, "a text")
        return value

    def optional_text(self, key: str) -> str | None:
        """Return a text that is not empty, or None where there is none."""
        return self.text(key) if self.has(key) else None

    def host(self, key: str, default: str | None = None) -> str:
        """Return the name or the address of a host; required without a default."""
        host = self.text(key, default)
        try:
            host.encode("idna")
        except UnicodeError:  # a label between dots is empty or too long
            is_host = False
        else:
            is_host = host.isprintable() and not any(letter in host for letter in " /@")
        if not is_host:
            raise self.wrong(key, "the name or the address of a host")
        return host

    def url(self, key: str) -> str:
        """Return an address of HTTP; required. A message does not repeat a password."""
        url = self.text(key)
        if is_http_url(url):
            return url
        raise self.unwanted(key, f"must be {HTTP_URL}") if "@" in url else self.wrong(key, HTTP_URL)

    def texts(self, key: str, default: Sequence[str] | None = None) -> tuple[str, ...]:
        """Return a list of texts; required without a default."""
        value = self._value(key, default)
        if not isinstance(value, list | tuple) or not all(
            isinstance(text, str) and text for text in value
        ):
            raise self.wrong(key, "a list of texts")
        return tuple(value)

    def choice(self, key: str, choices: Collection[str], default: str | None = None) -> str:
        """Return one of some texts; required without a default."""
        value = self._value(key, default)
        if value not in choices:
            raise self.wrong(key, f"one of {', '.join(sorted(choices))}")
        assert isinstance(value, str)
        return value

    def integer(
        self, key: str, default: int | None = None, *, least: int, most: int | None = None
    ) -> int:
        """Return a whole number within bounds; required without a default."""
        value = self._value(key, default)
        if not isinstance(value, int) or isinstance(value, bool) or not _within(value, least, most):
            raise self.wrong(key, f"a whole number {_bounds(least, most)}")
        return value

    def number(
        self, key: str, default: float | None = None, *, least: float, most: float | None = None
    ) -> float:
        """Return a number within bounds; required without a default."""
        value = self._value(key, default)
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if not is_number or not _within(value, least, most):
            raise self.wrong(key, f"a number {_bounds(least, most)}")
        return float(value)

    def flag(self, key: str, *, default: bool) -> bool:
        """Return true or false."""
        value = self._value(key, default)
        if not isinstance(value, bool):
            raise self.wrong(key, "true or false")
        return value

    def path(self, key: str, default: Path | None = None) -> Path:
        """Return an absolute path; required without a default."""
        value = self._value(key, None if default is None else str(default))
        if not isinstance(value, str) or not Path(value).is_absolute() or "\0" in value:
            raise self.wrong(key, "an absolute path")
        return Path(value)

    def optional_path(self, key: str) -> Path | None:
        """Return an absolute path, or None where there is none."""
        return self.path(key) if self.has(key) else None

    def secret(self, key: str) -> SecretText | None:
        """Return the secret in the environment variable that the setting names, or None.

        The key ends in `_env`: the file names a variable and never holds a secret.

        Raises:
            ConfigError: the variable is not set, or empty.
        """
        name = self.optional_text(key)
        if name is None:
            return None
        secret = self._environment.get(name)
        if not secret:
            raise ConfigError(
                f"{self.name} {key} names the environment variable {name}, which is not set. "
                "Set it to the secret."
            )
        return SecretText(secret)

    def has(self, key: str) -> bool:
        """Return whether the table has a setting; it counts as read."""
        self._known.add(key)
        return key in self._values

    def table(self, key: str) -> ConfigTable:
        """Return a table below this one; required, and to be finished like any other."""
        value = self._value(key, None)
        if not isinstance(value, Mapping):
            raise self.wrong(key, "a table")
        return ConfigTable(value, name=f"{self.name} {key}", environment=self._environment)

    def unwanted(self, key: str, problem: str) -> ConfigError:
        """Return the error of a setting whose value must not be repeated."""
        return ConfigError(f"{self.name} {key} {problem}.")

    def wrong(self, key: str, wanted: str) -> ConfigError:
        """Return the error of a setting that is missing, or is not what it must be."""
        if key not in self._values:
            return ConfigError(f"{self.name} lacks the setting {key!r}; it must be {wanted}.")
        value = self._values[key]
        return ConfigError(f"{self.name} has {key} = {value!r}; it must be {wanted}.")

    def _value(self, key: str, default: Any) -> Any:
        self._known.add(key)
        return self._values.get(key, default)


def is_http_url(url: str) -> bool:
    """Return whether a text is an address of HTTP that has no password and can be requested."""
    try:
        parts = urlsplit(url)
        has_host = bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port, or brackets, that cannot be read
        return False
    is_encoded = url.isascii() and url.isprintable() and " " not in url
    return parts.scheme in {"http", "https"} and has_host and "@" not in parts.netloc and is_encoded


def _within(value: float, least: float, most: float | None) -> bool:
    return least <= value and (most is None or value <= most)


def _bounds(least: float, most: float | None) -> str:
    return f"of at least {least}" if most is None else f"from {least} to {most}"
