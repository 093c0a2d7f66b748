"""`make audit`: known vulnerabilities of what the lock files pin, without a network.

The database is OSV's export for PyPI, a zip with a JSON record for each vulnerability. Its terms
allow to copy it to machines without a network.

Source: OSV schema 1.7, "Evaluation" for the fields `versions` and `ranges`.
"""

from __future__ import annotations

import json
import re
import sys
import zipfile
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

ECOSYSTEM = "PyPI"
NO_DATABASE = """\
audit: name the database, a file that you can copy from any machine: make audit OSV=all.zip
It is the export for PyPI that OSV (Open Source Vulnerabilities) publishes; its documentation says
where, under "Data dumps"."""

_PIN = re.compile(r"^([A-Za-z0-9][\w.-]*)==(\S+)", re.MULTILINE)

Pins = Mapping[tuple[str, str], frozenset[str]]
"""(normal name, version) -> the names of the lock files that pin it."""


@dataclass(frozen=True, kw_only=True)
class Vulnerability:
    """A known vulnerability of a pinned version."""

    id: str
    #: other names, such as CVE numbers
    aliases: tuple[str, ...]
    summary: str
    package: str
    version: str
    lock_files: frozenset[str]

    def __str__(self) -> str:
        names = ", ".join((self.id, *self.aliases))
        locks = ", ".join(sorted(self.lock_files))
        return f"{self.package} {self.version} ({locks}): {names}\n    {self.summary}"


def pinned(locks: Iterable[Path]) -> Pins:
    """Return all pins of lock files, for whatever machine and Python."""
    lock_files = defaultdict(set)
    for lock in locks:
        for name, version in _PIN.findall(lock.read_text(encoding="utf-8")):
            lock_files[canonicalize_name(name), version].add(lock.name)
    return {pin: frozenset(names) for pin, names in lock_files.items()}


def vulnerabilities(records: Iterable[Mapping[str, Any]], pins: Pins) -> Iterator[Vulnerability]:
    """Yield the records of OSV that concern a pin."""
    versions = defaultdict(list)
    for name, version in pins:
        versions[name].append(version)
    for record in records:
        if "withdrawn" in record:
            continue
        for affected in record.get("affected", ()):
            package = affected.get("package", {})
            if package.get("ecosystem") != ECOSYSTEM:
                continue
            name = canonicalize_name(package["name"])
            for version in versions.get(name, ()):
                if is_affected(affected, version):
                    yield Vulnerability(
                        id=record["id"],
                        aliases=tuple(record.get("aliases", ())),
                        summary=record.get("summary") or "no summary",
                        package=name,
                        version=version,
                        lock_files=pins[name, version],
                    )


def is_affected(affected: Mapping[str, Any], version: str) -> bool:
    """Tell whether a version is one of those that a record lists, or in one of its ranges."""
    if version in affected.get("versions", ()):
        return True
    return any(
        _in_range(entry["events"], Version(version))
        for entry in affected.get("ranges", ())
        if entry["type"] == "ECOSYSTEM"
    )


def _in_range(events: Iterable[Mapping[str, str]], version: Version) -> bool:
    """Go through the events in the order of their versions, as OSV's evaluation does."""
    changes = [(kind, text) for event in events for kind, text in event.items()]
    is_in = False
    for kind, text in sorted(changes, key=lambda change: _number(change[1])):
        number = _number(text)
        if kind == "introduced" and version >= number:
            is_in = True
        elif (kind == "fixed" and version >= number) or (
            kind == "last_affected" and version > number
        ):
            is_in = False
    return is_in


def _number(text: str) -> Version:
    try:
        return Version(text)
    except InvalidVersion:  # of a project from before PEP 440
        return Version("0")


def read_records(database: Path) -> Iterator[dict[str, Any]]:
    """Yield the records of an export."""
    with zipfile.ZipFile(database) as archive:
        for name in archive.namelist():
            if name.endswith(".json"):
                yield json.loads(archive.read(name))


def main(database: str, locks: list[str]) -> int:
    """Print what is known; return 1 if something is, 2 without a database."""
    if not database:
        print(NO_DATABASE, file=sys.stderr)
        return 2
    pins = pinned(map(Path, locks))
    count = 0
    known: list[Vulnerability] = []
    for record in read_records(Path(database)):
        count += 1
        known += vulnerabilities([record], pins)
    for vulnerability in sorted(known, key=str):
        print(vulnerability)
    print(f"{len(known)} known vulnerabilities in {len(pins)} versions; {count} records.")
    return 1 if known or not count else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
