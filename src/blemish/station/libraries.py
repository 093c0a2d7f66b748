"""Libraries that only some stations need, of the extras `station` and `genicam`."""

from __future__ import annotations

from importlib.util import find_spec

from blemish.station.errors import ConfigError


def check_library(module: str, *, user: str, extra: str = "station") -> None:
    """Check that a library is installed, without importing it.

    Args:
        module: what is imported.
        user: the table that needs it, for the message.
        extra: the extra that has it.

    Raises:
        ConfigError: it is not installed.
    """
    if find_spec(module) is None:
        raise ConfigError(
            f"{user} needs the Python package {module}, which is not installed. "
            f"Install it: pip install 'blemish-edge[{extra}]'"
        )
