"""The command line: `blemish datasets`, labelled images from other tools and for them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from blemish.cli.server_options import (
    ProfileOption,
    S3ProfileOption,
    ServerDataDirOption,
    open_clients,
)

datasets = typer.Typer(no_args_is_help=True, help="Labelled images from other tools, and for them.")


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
    data_dir: ServerDataDirOption = None,
    profile: ProfileOption = None,
    s3_profile: S3ProfileOption = None,
) -> None:
    """Make datasets of labelled images: MVTec, COCO, VOC, CVAT, YOLO, LabelMe and others."""
    from blemish.cli.dataset_import import ImportTarget, import_dataset

    with open_clients(data_dir, profile, s3_profile) as clients:
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
    data_dir: ServerDataDirOption = None,
    profile: ProfileOption = None,
    s3_profile: S3ProfileOption = None,
) -> None:
    """Write the datasets of a project for other tools, as one ZIP archive."""
    from blemish.cli.dataset_export import export_dataset

    with open_clients(data_dir, profile, s3_profile) as clients:
        export_dataset(clients, project, to, format_name=format_name, console=Console())
