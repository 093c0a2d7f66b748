from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from release.audit import is_affected, main, pinned

RANGE = {
    "ranges": [
        {
            "type": "ECOSYSTEM",
            "events": [
                {"introduced": "2.0"},
                {"fixed": "2.4.1"},
                {"introduced": "0"},
                {"last_affected": "1.2"},
            ],
        }
    ]
}


def record(**changes: Any) -> dict[str, Any]:
    affected = {"package": {"ecosystem": "PyPI", "name": "Some_Thing"}, "versions": ["1.0"]}
    return {"id": "PYSEC-1", "aliases": ["CVE-1"], "affected": [affected]} | changes


@pytest.fixture
def lock(tmp_path: Path) -> Path:
    path = tmp_path / "requirements.lock"
    path.write_text("some-thing==1.0 ; python_version < '3'\\\n    --hash=sha256:0\nother==2\n")
    return path


def audit(folder: Path, lock: Path, *records: dict[str, Any]) -> int:
    with zipfile.ZipFile(folder / "all.zip", "w") as archive:
        for number, entry in enumerate(records):
            archive.writestr(f"{number}.json", json.dumps(entry))
    return main(str(folder / "all.zip"), [str(lock)])


@pytest.mark.parametrize(
    ("version", "affected"),
    [
        *(("0.1", True), ("1.2", True), ("1.2.1", False), ("1.10", False)),
        *(("2.0rc1", False), ("2.0", True), ("2.4.0", True), ("2.4.1", False), ("3", False)),
    ],
)
def test_a_range_begins_with_its_first_version_and_ends_before_the_fixed_one(
    version: str, affected: bool
) -> None:
    assert is_affected(RANGE, version) is affected


def test_a_pin_counts_for_every_python(lock: Path) -> None:
    assert pinned([lock]) == {
        ("some-thing", "1.0"): {"requirements.lock"},
        ("other", "2"): {"requirements.lock"},
    }


def test_a_known_vulnerability_is_named_and_fails_the_audit(
    tmp_path: Path, lock: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status = audit(tmp_path, lock, record(summary="It leaks."))

    assert status == 1
    printed = capsys.readouterr().out
    assert "some-thing 1.0 (requirements.lock): PYSEC-1, CVE-1\n    It leaks." in printed
    assert "1 known vulnerabilities in 2 versions; 1 records." in printed


@pytest.mark.parametrize(
    "harmless",
    [
        record(withdrawn="2024-01-01T00:00:00Z"),
        record(affected=[{"package": {"ecosystem": "npm", "name": "some-thing"}}]),
        record(affected=[{"package": {"ecosystem": "PyPI", "name": "x"}, "versions": ["1.0"]}]),
    ],
)
def test_withdrawn_records_and_other_packages_do_not_count(
    tmp_path: Path, lock: Path, harmless: dict[str, Any]
) -> None:
    assert audit(tmp_path, lock, harmless) == 0


def test_an_empty_database_fails_the_audit(tmp_path: Path, lock: Path) -> None:
    assert audit(tmp_path, lock) == 1


def test_without_a_database_the_audit_says_what_to_give(
    lock: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main("", [str(lock)]) == 2
    assert "make audit OSV=all.zip" in capsys.readouterr().err
