"""The command line: `blemish users`, who signs in to the console by name and password."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from blemish.cli.exits import end, settings_of
from blemish.domain.access.roles import UserRole
from blemish.storage.errors import StorageError

if TYPE_CHECKING:
    from blemish.service.access.user_accounts import UserAccounts

users = typer.Typer(
    no_args_is_help=True,
    help="Who signs in to the console by name. What is changed counts at once.",
)

NameArgument = Annotated[str, typer.Argument(help="Name of the user.")]
RoleOption = Annotated[UserRole, typer.Option(help="What the user may do.")]
DataDirOption = Annotated[Path | None, typer.Option(help="Folder of the server's data.")]


@users.command()
def add(name: NameArgument, *, role: RoleOption, data_dir: DataDirOption = None) -> None:
    """Add a user. The password is asked for, or read from the first line of the input."""
    with _accounts(data_dir, "CreateUser", UserName=name, Role=role) as accounts:
        accounts.add(name, _password(), role=role)


@users.command("list")
def list_users(*, data_dir: DataDirOption = None) -> None:
    """List the users, with their roles."""
    with _accounts(data_dir, "ListUsers") as accounts:
        print("\n".join(_lines(accounts)))  # noqa: T201


@users.command("role")
def set_role(
    name: NameArgument,
    role: Annotated[UserRole, typer.Argument(help="What the user may do from now on.")],
    *,
    data_dir: DataDirOption = None,
) -> None:
    """Give a user another role."""
    with _accounts(data_dir, "UpdateUser", UserName=name, Change=f"role {role}") as accounts:
        accounts.set_role(name, role)


@users.command()
def password(name: NameArgument, *, data_dir: DataDirOption = None) -> None:
    """Replace a password, asked for or read as by `add`; sessions of the user end."""
    with _accounts(data_dir, "UpdateUser", UserName=name, Change="password") as accounts:
        accounts.set_password(name, _password())


@users.command("disable")
def disable_user(name: NameArgument, *, data_dir: DataDirOption = None) -> None:
    """Sign a user out, and refuse the user until enabled again."""
    with _accounts(data_dir, "UpdateUser", UserName=name, Change="disabled") as accounts:
        accounts.set_enabled(name, enabled=False)


@users.command("enable")
def enable_user(name: NameArgument, *, data_dir: DataDirOption = None) -> None:
    """Let a user sign in again who was disabled."""
    with _accounts(data_dir, "UpdateUser", UserName=name, Change="enabled") as accounts:
        accounts.set_enabled(name, enabled=True)


def _password() -> str:
    """Return a password that nobody else reads: no argument and no environment holds it."""
    if sys.stdin.isatty():
        return str(typer.prompt("Password", hide_input=True, confirmation_prompt=True, err=True))
    return sys.stdin.readline().rstrip("\r\n")


def _lines(accounts: UserAccounts) -> Iterator[str]:
    cells = [("NAME", "ROLE", "STATUS", "SIGNS IN BY", "CREATED")]
    cells += [
        (
            user.name,
            str(user.role),
            "enabled" if user.enabled else "disabled",
            "password" if user.identity is None else "identity provider",
            f"{user.created_at:%Y-%m-%dT%H:%M:%SZ}",
        )
        for user in accounts.all()
    ]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for row in cells:
        yield "  ".join(map(str.ljust, row, widths)).rstrip()


@contextmanager
def _accounts(data_dir: Path | None, event: str, **members: str) -> Iterator[UserAccounts]:
    import secrets
    from datetime import UTC, datetime

    from blemish.cli.audited import audited_command
    from blemish.service.access.passwords import PasswordError
    from blemish.service.access.user_accounts import UserAccounts, UserError
    from blemish.storage.data_directory import DataDirectory
    from blemish.storage.database.addresses import database_address
    from blemish.storage.database.database import Database

    try:
        settings = settings_of(data_dir=data_dir)
        with audited_command(settings, event, **members):
            directory = DataDirectory(settings.data_dir)
            database = Database.open_current(database_address(settings, directory))
            try:
                yield UserAccounts(
                    database, now=lambda: datetime.now(UTC), random_bytes=secrets.token_bytes
                )
            finally:
                database.close()
    except (UserError, PasswordError, StorageError) as error:
        end(str(error))
