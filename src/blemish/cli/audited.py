"""Records of commands in the audit log of a data directory: who ran what, and how it ended."""

from __future__ import annotations

import json
import os
import pwd
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import typer

from blemish.domain.arns import ArnScope
from blemish.monitoring.audit_files import append_command
from blemish.monitoring.audit_records import AuditRecords, MachineUser
from blemish.settings import Settings
from blemish.storage.data_directory import DataDirectory


@contextmanager
def audited_command(settings: Settings, event: str, **members: object) -> Iterator[None]:
    """Record a command at the end of the context, with its error if it fails.

    Nothing is recorded where there is no data directory. A command whose record cannot be written
    goes on, and says so.

    Args:
        settings: say where the data directory is.
        event: name of the event, that of the console's audit records if there is one.
        members: arguments of the command, no secrets; None is left out.
    """
    error: str | None = None
    try:
        yield
    except typer.Exit as ended:
        error = f"exit status {ended.exit_code}" if ended.exit_code else None
        raise
    except BaseException as failure:
        error = str(failure) or type(failure).__name__
        raise
    finally:
        texts = {name: str(value) for name, value in members.items() if value is not None}
        _write(settings, event, texts, error=error)


def _write(settings: Settings, event: str, members: dict[str, str], *, error: str | None) -> None:
    directory = DataDirectory(settings.data_dir)
    if not directory.database.exists():
        return
    records = AuditRecords(
        arns=ArnScope(region=settings.region, account=settings.account),
        new_id=lambda: str(uuid.uuid4()),
        now=lambda: datetime.now(UTC),
    )
    record = records.of_command(event, user=machine_user(), members=members, error=error)
    line = json.dumps(record, separators=(",", ":")) + "\n"
    try:
        append_command(directory.audit, line.encode(), today=records.now().date())
    except OSError as problem:
        print(  # noqa: T201
            f"blemish: the audit log cannot be written ({problem.strerror}).", file=sys.stderr
        )


def machine_user() -> MachineUser:
    """Return who runs this process: the user before `sudo`, and the address of an SSH session."""
    environment = os.environ
    uid = os.getuid()
    sudo_uid = environment.get("SUDO_UID", "")
    if uid == 0 and sudo_uid.isdecimal():
        uid = int(sudo_uid)
    try:
        name = pwd.getpwuid(uid).pw_name
    except KeyError:
        name = str(uid)
    address = environment.get("SSH_CONNECTION", "").partition(" ")[0] or None
    return MachineUser(uid=uid, name=name, address=address)
