"""Options of commands that are clients of a running server, and what they all do with errors."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from blemish.cli.exits import end, settings_of

if TYPE_CHECKING:
    from blemish.cli.connection import ServerClients

ServerDataDirOption = Annotated[
    Path | None, typer.Option(help="Folder of the server's data, which names its address and key.")
]
ProfileOption = Annotated[
    str | None, typer.Option(help="Profile of your AWS files that leads to the server.")
]

S3ProfileOption = Annotated[
    str | None,
    typer.Option(help="Profile of your AWS files for the S3 with the buckets, if it is another."),
]


@contextmanager
def open_clients(
    data_dir: Path | None, profile: str | None, s3_profile: str | None
) -> Iterator[ServerClients]:
    """Open clients of the server; end the command if something is refused."""
    from botocore.exceptions import BotoCoreError, ClientError

    from blemish.cli.connection import ServerSettingsError, error_text, server_clients
    from blemish.interchange.labelled import InterchangeError

    try:
        yield server_clients(settings_of(data_dir=data_dir), profile=profile, s3_profile=s3_profile)
    except (ServerSettingsError, InterchangeError, OSError) as error:
        end(str(error))
    except (BotoCoreError, ClientError) as error:
        end(error_text(error))
