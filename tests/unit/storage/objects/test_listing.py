from __future__ import annotations

import tempfile
from itertools import islice
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blemish.storage.errors import BucketMissingError
from blemish.storage.objects import listing
from blemish.storage.objects.listing import ListedObject, Listing
from blemish.storage.objects.store import ObjectStore
from tests.unit.storage.samples import BUCKET

SEGMENT = st.text(st.sampled_from("ab-.é\U0001f642"), min_size=1, max_size=3).filter(
    lambda text: text not in {".", ".."}
)
KEYS = st.lists(SEGMENT, min_size=1, max_size=3).map("/".join)
PREFIXES = st.text(st.sampled_from("ab-/é"), max_size=4)


def put(store: ObjectStore, keys: set[str]) -> set[str]:
    """Put objects, as far as one does not need the name of another for a folder."""
    put = set()
    for key in sorted(keys):
        path = store.root / BUCKET / key
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"")
        except OSError:
            continue
        put.add(key)
    return put


def expected(keys: set[str], *, prefix: str, after: str, delimiter: str) -> list[str]:
    """Return what S3 lists of keys, by its definition."""
    listed = set()
    for key in keys:
        if not key.startswith(prefix):
            continue
        head, cut, _ = key[len(prefix) :].partition(delimiter or "\0")
        listed.add(f"{prefix}{head}{cut}" if cut else key)
    return sorted((each for each in listed if each > after), key=str.encode)


def walk(store: ObjectStore, **options: str) -> list[str]:
    found = Listing(store.paths).walk(BUCKET, **options)
    return [each.key if isinstance(each, ListedObject) else each for each in found]


@given(
    keys=st.sets(KEYS, max_size=12),
    prefix=PREFIXES,
    after=st.one_of(st.just(""), KEYS, KEYS.map(lambda key: f"{key}/")),
    delimiter=st.sampled_from(["", "/", "-", "a", "b/"]),
)
def test_a_listing_is_that_of_s3(keys: set[str], prefix: str, after: str, delimiter: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        store = ObjectStore(Path(folder))
        (store.root / BUCKET).mkdir()
        there = put(store, keys)

        found = walk(store, prefix=prefix, after=after, delimiter=delimiter)

        assert found == expected(there, prefix=prefix, after=after, delimiter=delimiter)


def test_a_folder_larger_than_a_batch_is_listed_whole(
    store: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing, "BATCH", 3)
    keys = put(store, {f"{a}{b}" for a in ("", "x/", "x/y/", "z") for b in range(10)})

    assert walk(store) == sorted(keys)
    assert walk(store, delimiter="/") == expected(keys, prefix="", after="", delimiter="/")


def test_folders_without_objects_and_what_is_no_object_are_not_listed(
    store: ObjectStore, tmp_path: Path
) -> None:
    bucket = store.root / BUCKET
    (bucket / "empty" / "below").mkdir(parents=True)
    (bucket / "links").mkdir()
    (bucket / "links" / "file").symlink_to(tmp_path / "x")
    (bucket / "linked").symlink_to(tmp_path)
    (tmp_path / "x").touch()
    (bucket / "no#1").touch()

    assert walk(store) == []
    assert walk(store, delimiter="/") == []
    for prefix in ("../", "/", "links/../", "linked/", "a//", "x\0"):
        assert walk(store, prefix=prefix) == []


def test_a_page_does_not_walk_the_folders_after_it(store: ObjectStore) -> None:
    put(store, {f"{folder}/{name}" for folder in "abc" for name in range(5)})
    seen: list[str] = []
    scan = store.paths.scan
    store.paths.scan = lambda bucket, folder: (  # type: ignore[method-assign]
        seen.append(folder) or scan(bucket, folder)  # type: ignore[func-returns-value]
    )

    page = list(islice(Listing(store.paths).walk(BUCKET), 7))

    assert len(page) == 7
    assert set(seen) == {"", "a", "b"}


def test_a_bucket_that_is_missing_has_no_listing(store: ObjectStore) -> None:
    with pytest.raises(BucketMissingError):
        Listing(store.paths).walk("absent")
