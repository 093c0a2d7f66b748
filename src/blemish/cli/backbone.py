"""The command line: `blemish backbone`, the networks that models are trained with."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from blemish.cli.exits import end, settings_of
from blemish.engine.errors import EngineError
from blemish.storage.errors import StorageError

if TYPE_CHECKING:
    from blemish.cli.backbone_files import BackboneDesk

backbone = typer.Typer(
    no_args_is_help=True,
    help="The networks that turn images into features, beside those in the package.",
)

DataDirOption = Annotated[Path | None, typer.Option(help="Folder of the server's data.")]


@backbone.command()
def pull(
    name: Annotated[str, typer.Argument(help="Name, as `blemish backbone list` shows it.")],
    *,
    data_dir: DataDirOption = None,
) -> None:
    """Fetch a backbone from the model hub; run again, it goes on where it was cut off."""
    with _desk(data_dir) as desk:
        desk.pull(name)


@backbone.command("import")
def import_file(
    file: Annotated[Path, typer.Argument(help="A .onnx, .safetensors or .pth file.")],
    *,
    name: Annotated[
        str | None, typer.Option(help="Name to give it; that of the file by default.")
    ] = None,
    licence: Annotated[
        str, typer.Option(help="Licence of its weights, to be shown in the list.")
    ] = "unknown",
    data_dir: DataDirOption = None,
) -> None:
    """Add a backbone from a file; what network it is, is seen from its weights."""
    with _desk(data_dir) as desk:
        desk.import_file(file, name=name, licence=licence)


@backbone.command("list")
def list_backbones(*, data_dir: DataDirOption = None) -> None:
    """List the backbones that are installed, added, or can be fetched."""
    with _desk(data_dir) as desk:
        desk.show()


@contextmanager
def _desk(data_dir: Path | None) -> Iterator[BackboneDesk]:
    from blemish.cli.backbone_files import BackboneDesk

    try:
        yield BackboneDesk(settings_of(data_dir=data_dir))
    except (EngineError, StorageError) as error:
        end(str(error))
