"""What `pip install blemish` installs besides Blemish, as requirements.lock pins it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

_PIN = re.compile(
    r"^(?P<name>[A-Za-z0-9][\w.-]*)==(?P<version>\S+)(?: ; (?P<marker>[^\\\n]+))?"
    r"(?P<rest>(?:.*\\\n)*.*)$",
    re.MULTILINE,
)
_SHA256 = re.compile(r"--hash=sha256:([0-9a-f]{64})")
_LICENCE_FILE = re.compile(r"(licen[cs]e|copying|notice|authors)", re.IGNORECASE)
_NO_LICENCE = "not stated"


class ReleaseError(Exception):
    """A release cannot be made; the message says why, and what to do."""


@dataclass(frozen=True, kw_only=True)
class Pin:
    """One line of a lock file."""

    version: str
    #: SHA-256 of the files of this version
    hashes: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Component:
    """An installed package that Blemish needs."""

    #: in the normal form
    name: str
    version: str
    summary: str
    #: an SPDX expression, or the name that the package gives
    licence: str
    #: whether `licence` is an SPDX expression
    is_spdx: bool
    #: the names of what it needs itself
    requires: tuple[str, ...]
    #: name of the file -> its text
    licence_texts: Mapping[str, str]


def read_pins(lock: Path) -> dict[str, Pin]:
    """Return the pins of a lock file that hold for this machine and Python, by normal name."""
    return {
        canonicalize_name(pin["name"]): Pin(
            version=pin["version"], hashes=tuple(_SHA256.findall(pin["rest"]))
        )
        for pin in _PIN.finditer(lock.read_text(encoding="utf-8"))
        if pin["marker"] is None or Marker(pin["marker"].strip()).evaluate()
    }


def runtime_lock(lock: Path, components: Iterable[Component]) -> str:
    """Return the blocks of a lock file that pin these components, for every machine and Python."""
    names = {component.name for component in components}
    blocks = re.split(r"\n(?=\S)", lock.read_text(encoding="utf-8").rstrip("\n"))
    return "".join(
        f"{block}\n" for block in blocks if canonicalize_name(block.partition("==")[0]) in names
    )


def runtime_components(requirements: Iterable[str], pins: Mapping[str, Pin]) -> list[Component]:
    """Return what these requirements need on this machine, sorted by name.

    Args:
        requirements: of Blemish, as pyproject.toml names them.
        pins: of the lock file.

    Raises:
        ReleaseError: a package is missing here, or has another version than the lock file.
    """
    components: dict[str, Component] = {}
    waiting = _names(requirements, extras=frozenset())
    while waiting:
        name, extras = waiting.pop()
        package = _installed(name)
        needs = _names(package.requires or [], extras=extras)
        if name not in components:
            if name not in pins or pins[name].version != package.version:
                raise ReleaseError(
                    f"{name} {package.version} is installed, and requirements.lock has "
                    f"{pins[name].version if name in pins else 'none'}. Run `make setup`."
                )
            components[name] = _component(package, needs)
            waiting += needs
        elif not {need for need, _ in needs} <= set(components[name].requires):  # by an extra
            components[name] = _component(package, needs)
            waiting += needs
    return [components[name] for name in sorted(components)]


def _component(package: Distribution, needs: list[tuple[str, frozenset[str]]]) -> Component:
    licence, is_spdx = _licence(package)
    return Component(
        name=canonicalize_name(package.name),
        version=package.version,
        summary=_field(package, "Summary"),
        licence=licence,
        is_spdx=is_spdx,
        requires=tuple(sorted({name for name, _ in needs})),
        licence_texts=dict(_licence_texts(package)),
    )


def _installed(name: str) -> Distribution:
    try:
        return distribution(name)
    except PackageNotFoundError:
        raise ReleaseError(f"{name} is not installed. Run `make setup`.") from None


def _names(
    requirements: Iterable[str], *, extras: frozenset[str]
) -> list[tuple[str, frozenset[str]]]:
    """Return normal name and extras of each requirement that holds here."""
    parsed = [Requirement(text) for text in requirements]
    return [
        (canonicalize_name(requirement.name), frozenset(requirement.extras))
        for requirement in parsed
        if requirement.marker is None
        or any(requirement.marker.evaluate({"extra": extra}) for extra in (extras or {""}))
    ]


def _licence(package: Distribution) -> tuple[str, bool]:
    """Return the licence that a package states, and whether it is an SPDX expression."""
    if expression := _field(package, "License-Expression"):
        return expression, True
    classifiers = [
        line.rpartition(" :: ")[2]
        for line in package.metadata.get_all("Classifier") or []
        if line.startswith("License :: ") and line != "License :: OSI Approved"
    ]
    if classifiers:
        return " and ".join(classifiers), False
    text = _field(package, "License").strip()
    return (text.splitlines()[0] if text else _NO_LICENCE), False


def _field(package: Distribution, name: str) -> str:
    values = package.metadata.get_all(name)
    return values[0] if values else ""


def _licence_texts(package: Distribution) -> Iterator[tuple[str, str]]:
    """Yield the files beside the metadata, or in the topmost folder of the package."""
    for file in sorted(package.files or [], key=str):
        in_metadata = file.parts[0].endswith(".dist-info")
        is_code = file.suffix in {".py", ".pyc", ".pyi", ".so"}
        if (
            (in_metadata or len(file.parts) == 2)
            and _LICENCE_FILE.search(file.name)
            and not is_code
        ):
            path = Path(str(package.locate_file(file)))
            yield file.name, path.read_text(encoding="utf-8", errors="replace")
