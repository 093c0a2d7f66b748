"""What `make release` writes, and that it works where it is installed."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from tests.acceptance.registry import ROOT, kept_environment, run

pytestmark = [pytest.mark.acceptance, pytest.mark.slow, pytest.mark.timeout(900)]

URL = "https://code.example/blemish"
VALIDATE_BILL = """
import pathlib, sys
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
text = pathlib.Path(sys.argv[1]).read_text()
problem = JsonStrictValidator(SchemaVersion.V1_6).validate_str(text)
sys.exit(str(problem) if problem else 0)
"""


def clone(folder: Path) -> Path:
    """Return a clone of the last commit."""
    if subprocess.run(
        ["git", "-C", ROOT, "rev-parse"], capture_output=True, check=False
    ).returncode:
        pytest.skip("a release is made from a git repository, and this is none")
    run("git", "clone", "--quiet", "--depth=1", f"file://{ROOT}", folder)
    return folder


def release(sources: Path, *, umask: int) -> dict[str, bytes]:
    """Make a release; return its files."""
    environment = os.environ | {"BLEMISH_PROJECT_URL": URL, "PYTHONPATH": str(sources / "src")}
    environment.pop("SOURCE_DATE_EPOCH", None)
    subprocess.run(
        [sys.executable, "-m", "release", "dist"],
        cwd=sources,
        env=environment,
        umask=umask,
        check=True,
        timeout=300,
    )
    return {path.name: path.read_bytes() for path in (sources / "dist").iterdir()}


@pytest.fixture(scope="module")
def released(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    return release(clone(tmp_path_factory.mktemp("one") / "sources"), umask=0o022)


def test_a_release_has_the_same_bytes_wherever_it_is_made(
    released: dict[str, bytes], tmp_path: Path
) -> None:
    again = release(clone(tmp_path / "in" / "another" / "folder"), umask=0o077)

    assert {name: hashlib.sha256(data).hexdigest() for name, data in again.items()} == {
        name: hashlib.sha256(data).hexdigest() for name, data in released.items()
    }
    assert len(released) == 7


def test_the_sources_alone_give_the_same_wheel(released: dict[str, bytes], tmp_path: Path) -> None:
    (name,) = (name for name in released if name.endswith(".tar.gz"))
    (tmp_path / name).write_bytes(released[name])
    with tarfile.open(tmp_path / name) as archive:
        archive.extractall(tmp_path, filter="data")
    wheel = name.removesuffix(".tar.gz") + "-py3-none-any.whl"
    (folder,) = (path for path in tmp_path.iterdir() if path.is_dir())
    epoch = run("git", "-C", ROOT, "log", "-1", "--format=%ct").strip()

    run(
        *(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", tmp_path / "dist"),
        folder=folder,
        environment=os.environ | {"SOURCE_DATE_EPOCH": epoch},
    )

    assert (tmp_path / "dist" / wheel).read_bytes() == released[wheel]
    assert not (folder / "tests").exists()


def test_changes_that_are_in_no_commit_are_refused(tmp_path: Path) -> None:
    sources = clone(tmp_path / "sources")
    (sources / "src" / "blemish" / "left_behind.py").touch()

    ended = subprocess.run(
        [sys.executable, "-m", "release", "dist"],
        cwd=sources,
        capture_output=True,
        text=True,
        check=False,
    )

    assert ended.returncode == 1
    assert "left_behind.py" in ended.stderr
    shutil.rmtree(sources)


def test_an_index_shows_the_description_and_the_bill_is_valid(
    released: dict[str, bytes], tmp_path: Path
) -> None:
    python = kept_environment(ROOT / "requirements-release.lock", folder=".venv-release")
    for name, data in released.items():
        (tmp_path / name).write_bytes(data)

    distributions = [path for path in tmp_path.iterdir() if path.suffix in {".whl", ".gz"}]
    printed = run(python, "-m", "twine", "check", "--strict", *distributions)
    (bill,) = tmp_path.glob("*.cdx.json")
    run(python, "-c", VALIDATE_BILL, bill)

    assert printed.count("PASSED") == 3
