"""`make release`: everything of a release, in ./dist; the same commit gives the same bytes."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tomllib
from datetime import UTC, datetime
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from release.components import ReleaseError, read_pins, runtime_components, runtime_lock
from release.licences import third_party_licences
from release.sbom import PACKAGE, bill_of_materials

ROOT = Path(__file__).parents[1]
EPOCH = "SOURCE_DATE_EPOCH"


def main(folder: Path) -> None:
    """Write the distributions, the locked requirements, the other documents and the checksums.

    Raises:
        ReleaseError: the tree has changes that no commit has, or a package is missing.
    """
    if changes := _git("status", "--porcelain", "--untracked-files=normal"):
        raise ReleaseError(
            f"A release is made from a commit. These changes are in none:\n{changes}"
        )
    epoch = os.environ.get(EPOCH) or _git("log", "-1", "--format=%ct")
    os.environ[EPOCH] = epoch  # hatchling takes the times in archives from it
    folder = folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.iterdir():
        old.unlink()
    for source, *targets in ((ROOT, "sdist", "wheel"), (ROOT / "deploy" / "edge", "wheel")):
        _build(source, folder, targets)
    _write_documents(folder, made_at=datetime.fromtimestamp(int(epoch), UTC))
    _write_checksums(folder)


def _build(source: Path, folder: Path, targets: list[str]) -> None:
    for target in targets:
        command = [sys.executable, "-m", "hatchling", "build", "-t", target, "-d", str(folder)]
        subprocess.run(command, cwd=source, check=True, stdout=subprocess.DEVNULL)


def _write_documents(folder: Path, *, made_at: datetime) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    version, requirements = project["version"], project["dependencies"]
    pins = read_pins(ROOT / "requirements.lock")
    components = runtime_components(requirements, pins)
    direct = sorted(canonicalize_name(Requirement(text).name) for text in requirements)
    bill = bill_of_materials(components, pins, direct=direct, version=version, made_at=made_at)
    stem = f"{PACKAGE}-{version}"
    (folder / f"{stem}.cdx.json").write_text(bill, encoding="utf-8")
    licences = third_party_licences(components)
    lock = runtime_lock(ROOT / "requirements.lock", components)
    (folder / f"{stem}-requirements.txt").write_text(lock, encoding="utf-8")
    (folder / f"{stem}-third-party-licences.txt").write_text(licences, encoding="utf-8")


def _write_checksums(folder: Path) -> None:
    lines = [
        f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n"
        for path in sorted(folder.iterdir())
    ]
    (folder / "SHA256SUMS").write_text("".join(lines), encoding="ascii")


def _git(*arguments: str) -> str:
    command = ["git", "-C", str(ROOT), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


if __name__ == "__main__":
    try:
        main(Path(sys.argv[1]))
    except ReleaseError as error:
        sys.exit(f"release: {error}")
