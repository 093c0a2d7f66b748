"""The command line: `blemish datasets`, labelled images from other tools and for them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from blemish.cli.exits import end, settings_of

if TYPE_CHECKING:
    from blemish.cli.connection import ServerClients

datasets = typer.Typer(no_args_is_help=True, help="Labelled images from other tools, and for them.")

DataDirOption = Annotated[
    Path | None, typer.Option(help="Folder of the server's data, which names its address and key.")
]
ProfileOption = Annotated[
    str | None, typer.Option(help="Profile of your AWS files that leads to the server.")
]


@datasets.command(name="import")
def import_(
    source: Annotated[Path, typer.Argument(help="Folder or ZIP archive.", exists=True)],
    project: Annotated[str, typer.Argument(help="Name of the project; made if it is missing.")],
    *,
    format_name: Annotated[
        str | None, typer.Option("--format", help="Name of the format, instead of recognising it.")
    ] = None,
    bucket: Annotated[
        str | None, typer.Option(help="Bucket for the images; the console's by default.")
    ] = None,
    prefix: Annotated[
        str | None, typer.Option(help="Folder in the bucket; PROJECT/ by default.")
    ] = None,
    data_dir: DataDirOption = None,
    profile: ProfileOption = None,
) -> None:
    """Make datasets of labelled images: MVTec, COCO, VOC, CVAT, YOLO, LabelMe and others."""
    from blemish.cli.dataset_import import ImportTarget, import_dataset

    with _clients(data_dir, profile) as clients:
        folder = f"{(prefix or project).strip('/')}/"
        target = ImportTarget(
            project=project, bucket=bucket or clients.console_bucket, prefix=folder
        )
        import_dataset(clients, source, target, format_name=format_name, console=Console())


@datasets.command(name="export")
def export_(
    project: Annotated[str, typer.Argument(help="Name of the project.")],
    *,
    to: Annotated[Path, typer.Option(help="ZIP archive to make.")],
    format_name: Annotated[
        str, typer.Option("--format", help="Name of the format; `all` has the images once.")
    ] = "all",
    data_dir: DataDirOption = None,
    profile: ProfileOption = None,
) -> None:
    """Write the datasets of a project for other tools, as one ZIP archive."""
    from blemish.cli.dataset_export import export_dataset

    with _clients(data_dir, profile) as clients:
        export_dataset(clients, project, to, format_name=format_name, console=Console())


@contextmanager
def _clients(data_dir: Path | None, profile: str | None) -> Iterator[ServerClients]:
    """Open clients of the server; end the command if something is refused."""
    from botocore.exceptions import BotoCoreError, ClientError

    from blemish.cli.connection import ServerSettingsError, error_text, server_clients
    from blemish.interchange.labelled import InterchangeError

    try:
        yield server_clients(settings_of(data_dir=data_dir), profile=profile)
    except (ServerSettingsError, InterchangeError, OSError) as error:
        end(str(error))
    except (BotoCoreError, ClientError) as error:
        end(error_text(error))
