from __future__ import annotations

import hashlib
from pathlib import Path

from blemish.storage.shared.file_cache import IN_USE_S, FileCache

KIB = 1024


class Clock:
    time = 1_000_000.0

    def __call__(self) -> float:
        return self.time


def test_the_least_recently_used_files_make_room(tmp_path: Path) -> None:
    clock = Clock()
    cache = FileCache(
        tmp_path / "cache", staging=tmp_path / "staging", max_bytes=10 * KIB, clock=clock
    )
    digest = hashlib.sha256(bytes(3 * KIB)).hexdigest()
    for name in "abc":
        cache.write(f"bundles/{name}/model", bytes(3 * KIB))
        clock.time += 1
    clock.time += IN_USE_S
    assert cache.intact("bundles/a/model", sha256=digest)
    assert cache.intact("bundles/a/model", sha256="another") is None

    cache.write("bundles/d/model", bytes(3 * KIB))

    assert cache.names("bundles") == ["a", "c", "d"]


def test_files_in_use_stay_though_they_are_too_many(tmp_path: Path) -> None:
    cache = FileCache(
        tmp_path / "cache", staging=tmp_path / "staging", max_bytes=KIB, clock=Clock()
    )

    for name in "abc":
        cache.write(f"bundles/{name}/model", bytes(3 * KIB))

    assert cache.names("bundles") == ["a", "b", "c"]


def test_a_folder_whose_copies_were_used_of_late_stays(tmp_path: Path) -> None:
    clock = Clock()
    cache = FileCache(
        tmp_path / "cache", staging=tmp_path / "staging", max_bytes=10 * KIB, clock=clock
    )
    for name in "ab":
        cache.write(f"bundles/{name}/model", bytes(KIB))
        cache.write(f"bundles/{name}/folder.json", b"{}")
    assert not cache.remove_unused("bundles/a")  # just fetched, and no row names it yet
    clock.time += IN_USE_S
    assert cache.intact("bundles/a/model", sha256=hashlib.sha256(bytes(KIB)).hexdigest())

    assert not cache.remove_unused("bundles/a")
    assert cache.remove_unused("bundles/b")
    assert cache.remove_unused("bundles/b")  # by another server's housekeeping

    assert cache.names("bundles") == ["a"]
