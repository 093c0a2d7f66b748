"""Sessions of botocore that read its models once in a process: a tenth of a second each."""

from __future__ import annotations

from functools import cache

from botocore.loaders import Loader, create_loader
from botocore.session import Session


def new_session(models: str | None = None) -> Session:
    """Return a session with botocore's own models, or before them those in the folder `models`."""
    session = Session()
    session.register_component("data_loader", _loader(models))
    return session


@cache
def _loader(models: str | None) -> Loader:
    return create_loader(models)
