from __future__ import annotations

from pathlib import Path

import pytest

from blemish.storage.errors import (
    BucketExistsError,
    BucketMissingError,
    BucketNameError,
    BucketNotEmptyError,
)
from blemish.storage.objects.buckets import Buckets
from blemish.storage.objects.store import ObjectStore
from tests.unit.storage.samples import BUCKET


@pytest.fixture
def buckets(store: ObjectStore) -> Buckets:
    return Buckets(store.paths)


def names(buckets: Buckets) -> list[str]:
    return [bucket.name for bucket in buckets.all()]


def test_a_bucket_is_a_folder_with_the_name_of_one(
    buckets: Buckets, store: ObjectStore, tmp_path: Path
) -> None:
    for other in ("Upper", ".staging", "a"):
        (store.root / other).mkdir()
    (store.root / "a-file").touch()
    (store.root / "linked").symlink_to(tmp_path)

    buckets.create("another")

    assert names(buckets) == ["another", BUCKET]
    assert store.has_bucket("another")


def test_a_bucket_is_made_once(buckets: Buckets, store: ObjectStore) -> None:
    (store.root / "a-file").touch()

    for name in (BUCKET, "a-file"):
        with pytest.raises(BucketExistsError, match=name):
            buckets.create(name)
    for name in ("Upper", "..", "a/b", "", "1.2.3.4"):
        with pytest.raises(BucketNameError):
            buckets.create(name)


def test_a_bucket_goes_with_its_empty_folders(buckets: Buckets, store: ObjectStore) -> None:
    (store.root / BUCKET / "a" / "b").mkdir(parents=True)

    buckets.delete(BUCKET)

    assert names(buckets) == []
    with pytest.raises(BucketMissingError):
        buckets.delete(BUCKET)


@pytest.mark.parametrize("kind", ["object", "no key", "link", "folder link"])
def test_nothing_that_a_user_put_there_is_deleted(
    buckets: Buckets, store: ObjectStore, tmp_path: Path, kind: str
) -> None:
    folder = store.root / BUCKET / "a"
    folder.mkdir()
    path = folder / ("x#1" if kind == "no key" else "x")
    match kind:
        case "link":
            path.symlink_to(tmp_path / "nothing")
        case "folder link":
            path.symlink_to(tmp_path)
        case _:
            path.touch()

    with pytest.raises(BucketNotEmptyError, match="a/x"):
        buckets.delete(BUCKET)

    assert path.is_symlink() or path.exists()
