"""The command line: `blemish models`, what trainings made of their images."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from blemish.cli.exits import end, settings_of
from blemish.domain.errors import ServiceError
from blemish.engine.errors import EngineError
from blemish.storage.errors import StorageError

models = typer.Typer(no_args_is_help=True, help="What trainings made of their images.")


@models.command()
def show(
    project: Annotated[str, typer.Argument(help="Name of the project.")],
    version: Annotated[str, typer.Argument(help="Version of the model, or `latest`.")],
    *,
    data_dir: Annotated[Path | None, typer.Option(help="Folder of the server's data.")] = None,
) -> None:
    """Show how a model came to be: what was chosen, and how all candidates did."""
    from blemish.cli.export import ExportError, trained_bundle
    from blemish.cli.model_page import print_model

    try:
        bundle = trained_bundle(settings_of(data_dir=data_dir), project, version)
    except (ExportError, ServiceError, EngineError, StorageError, OSError) as error:
        end(str(error))
    print_model(bundle.info)
