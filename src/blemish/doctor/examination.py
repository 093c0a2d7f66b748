"""Runs all checks of `blemish doctor`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from blemish.doctor.address_checks import address_findings
from blemish.doctor.client_checks import client_findings
from blemish.doctor.cluster_checks import cluster_findings
from blemish.doctor.data_checks import data_findings
from blemish.doctor.machine_checks import machine_findings
from blemish.doctor.package_checks import installed_version, package_findings
from blemish.doctor.report import Diagnosis, Finding, Level
from blemish.doctor.settings_checks import read_settings
from blemish.doctor.shared_checks import shared_findings
from blemish.storage.data_directory import DataDirectory


def examine(
    options: Mapping[str, Any], *, environment: Mapping[str, str], now: datetime
) -> Diagnosis:
    """Look at everything; nothing is changed, but an object of an S3 is written and deleted.

    Args:
        options: settings of the command line.
        environment: the variables of this process.
        now: the time, with its zone.
    """
    settings, findings = read_settings(options, environment)
    directory = DataDirectory(settings.data_dir)
    mounts = Path("/proc/self/mounts")
    checks: dict[str, Callable[[], Iterable[Finding]]] = {
        "machine": lambda: machine_findings(now=now),
        "packages": lambda: package_findings(settings.providers),
        "data": lambda: data_findings(settings, directory, now=now, mounts=mounts.read_text()),
        "shared": lambda: shared_findings(settings, directory),
        "server": lambda: address_findings(settings, directory, environment=environment, now=now),
        "ray": lambda: cluster_findings(settings.ray_address),
        "clients": lambda: client_findings(environment),
    }
    for topic, check in checks.items():
        findings += _complete(topic, check)
    return Diagnosis(version=installed_version("blemish"), findings=findings)


def _complete(topic: str, check: Callable[[], Iterable[Finding]]) -> Iterator[Finding]:
    """Yield the findings of a check; one that breaks off is a finding too."""
    try:
        yield from check()
    except Exception as error:  # noqa: BLE001 - the other checks matter all the more
        yield Finding(
            topic=topic,
            level=Level.PROBLEM,
            message=f"This check broke off: {type(error).__name__}: {error}",
            remedy="Please report it.",
        )
