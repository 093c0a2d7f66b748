"""Checks of the installed packages: versions, ONNX Runtime and its providers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from importlib.metadata import PackageNotFoundError, distributions, version

from blemish.doctor.report import Finding, Level

_SHOWN = ("numpy", "onnxruntime", "onnx", "pillow", "sqlalchemy", "nicegui", "boto3", "botocore")
_TOPIC = "packages"


def package_findings(providers: Sequence[str]) -> Iterator[Finding]:
    """Yield the versions that matter, and packages that are missing or in each other's way.

    Args:
        providers: of the settings.
    """
    names = {distribution.name.lower().replace("_", "-") for distribution in distributions()}
    runtimes = sorted(name for name in names if name.startswith("onnxruntime"))
    shown = [*_SHOWN, *(name for name in runtimes if name not in _SHOWN)]
    versions = ", ".join(f"{name} {installed_version(name)}" for name in shown)
    yield Finding(topic=_TOPIC, level=Level.OK, message=versions)
    if {"blemish", "blemish-edge"} <= names:
        yield Finding(
            topic=_TOPIC,
            level=Level.PROBLEM,
            message="blemish and blemish-edge are both installed, and share files.",
            remedy="Uninstall both, and install one of them again.",
        )
    if len(runtimes) > 1:
        yield Finding(
            topic=_TOPIC,
            level=Level.WARNING,
            message=f"{' and '.join(runtimes)} are all installed, and share files.",
            remedy="Uninstall all of them, and install the one whose providers you use.",
        )
    yield _providers(providers)


def installed_version(name: str) -> str:
    """Return the version of an installed package, or `missing`."""
    try:
        return version(name)
    except PackageNotFoundError:
        return "missing"


def _providers(providers: Sequence[str]) -> Finding:
    topic = "providers"
    try:
        from blemish.engine.graph.sessions import (
            ProviderError,
            check_providers,
            installed_providers,
        )
    except ImportError as error:
        return Finding(
            topic=topic,
            level=Level.PROBLEM,
            message=f"ONNX Runtime cannot be loaded: {error}",
            remedy="Install Blemish again: pip install --force-reinstall blemish",
        )
    try:
        check_providers(providers)
    except ProviderError as error:
        return Finding(
            topic=topic,
            level=Level.PROBLEM,
            message=f"BLEMISH_PROVIDERS={','.join(providers)}: {error}.",
            remedy="Install the ONNX Runtime that has it, or leave it out of BLEMISH_PROVIDERS.",
        )
    message = f"used: {', '.join(providers)}; installed: {', '.join(installed_providers())}"
    return Finding(topic=topic, level=Level.OK, message=message)
