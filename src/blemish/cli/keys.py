"""The command line: `blemish keys`, who may use a server."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from blemish.cli.exits import end, settings_of
from blemish.storage.errors import StorageError

if TYPE_CHECKING:
    from blemish.cli.access_keys import KeyDesk

keys = typer.Typer(
    no_args_is_help=True,
    help="Who may use a server. What is changed counts at once, also while it runs.",
)

NameArgument = Annotated[str, typer.Argument(help="Name of the key's holder.")]
DataDirOption = Annotated[Path | None, typer.Option(help="Folder of the server's data.")]
POLICY_HELP = "What its holder may do: a file with an IAM policy, ReadOnly or FullAccess."


@keys.command()
def create(
    name: NameArgument,
    *,
    policy: Annotated[str, typer.Option(help=POLICY_HELP)],
    tag: Annotated[
        list[str] | None, typer.Option(help="KEY=VALUE of the holder; may be given repeatedly.")
    ] = None,
    data_dir: DataDirOption = None,
) -> None:
    """Make a key, and print it this once as a section of an AWS credentials file."""
    with _desk(data_dir, "CreateAccessKey", UserName=name) as desk:
        print(desk.create(name, policy=policy, tags=tag or []), end="")  # noqa: T201


@keys.command("list")
def list_keys(*, data_dir: DataDirOption = None) -> None:
    """List the keys, without their secrets."""
    with _desk(data_dir, "ListAccessKeys") as desk:
        print(desk.table())  # noqa: T201


@keys.command("policy")
def show_or_set_policy(
    name: NameArgument,
    *,
    policy: Annotated[str | None, typer.Option(help=POLICY_HELP)] = None,
    data_dir: DataDirOption = None,
) -> None:
    """Print what the holder of a key may do; with --policy, change it."""
    if policy is None:
        with _desk(data_dir, "GetAccessKeyPolicy", UserName=name) as desk:
            print(desk.policy(name))  # noqa: T201
        return
    with _desk(data_dir, "UpdateAccessKey", UserName=name, Change="policy") as desk:
        desk.set_policy(name, policy)


@keys.command()
def rotate(name: NameArgument, *, data_dir: DataDirOption = None) -> None:
    """Give a key another id and secret, printed this once; the old ones end at once."""
    with _desk(data_dir, "UpdateAccessKey", UserName=name, Change="rotated") as desk:
        print(desk.rotate(name), end="")  # noqa: T201


@keys.command()
def disable(name: NameArgument, *, data_dir: DataDirOption = None) -> None:
    """Refuse a key until it is enabled again."""
    with _desk(data_dir, "UpdateAccessKey", UserName=name, Change="disabled") as desk:
        desk.set_enabled(name, enabled=False)


@keys.command()
def enable(name: NameArgument, *, data_dir: DataDirOption = None) -> None:
    """Accept a key that was disabled."""
    with _desk(data_dir, "UpdateAccessKey", UserName=name, Change="enabled") as desk:
        desk.set_enabled(name, enabled=True)


@keys.command()
def delete(name: NameArgument, *, data_dir: DataDirOption = None) -> None:
    """Delete a key for good."""
    with _desk(data_dir, "DeleteAccessKey", UserName=name) as desk:
        desk.delete(name)


@contextmanager
def _desk(data_dir: Path | None, event: str, **members: str) -> Iterator[KeyDesk]:
    from blemish.cli.access_keys import key_desk
    from blemish.cli.audited import audited_command
    from blemish.domain.access.policies import PolicyError
    from blemish.service.access.access_keys import AccessKeyError

    try:
        settings = settings_of(data_dir=data_dir)
        with audited_command(settings, event, **members), key_desk(settings) as desk:
            yield desk
    except (AccessKeyError, PolicyError, StorageError) as error:
        end(str(error))
