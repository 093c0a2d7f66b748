from __future__ import annotations

import os
import tempfile
import tracemalloc
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from blemish.domain.entities import ObjectRef
from blemish.domain.limits import MIB
from blemish.storage.errors import (
    BucketMissingError,
    KeyNotAllowedError,
    ObjectMissingError,
    ObjectReadError,
    ObjectTooLargeError,
)
from blemish.storage.objects.names import refusal
from blemish.storage.objects.store import FEW_OBJECTS, MAX_LINE_LENGTH, ObjectInfo, ObjectStore
from tests.unit.storage.samples import BUCKET, python

KEYS = st.lists(st.text(max_size=12), min_size=1, max_size=4).map("/".join)
USES: list[Callable[[ObjectStore, ObjectRef], object]] = [
    lambda store, ref: store.read(ref, max_bytes=100),
    ObjectStore.size,
    lambda store, ref: list(store.read_lines(ref, max_bytes=100)),
]


def ref(key: str, bucket: str = BUCKET) -> ObjectRef:
    return ObjectRef(bucket=bucket, key=key)


def put(store: ObjectStore, key: str, data: bytes = b"data", *, bucket: str = BUCKET) -> Path:
    path = store.root / bucket / key
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def overwrite(store: ObjectStore, ref: ObjectRef) -> None:
    store.write(ref, b"changed")


def keys(store: ObjectStore, prefix: str = "") -> set[str]:
    return {info.key for info in store.list(BUCKET, prefix)}


@given(key=KEYS)
@example(key="a%20b/%2e%2e/c%")
@example(key="a#1/b#2.png")
@example(key="~/..a/b../.../ x ")
@example(key="e\u0301/é")
@example(key='\\|"<>[]{}^`?*;&=+@:')
def test_a_key_names_exactly_one_file_or_is_refused(key: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        (root / BUCKET).mkdir()
        store = ObjectStore(root)

        try:
            store.write(ref(key), key.encode(errors="replace"))
        except KeyNotAllowedError:
            files = [path for path in root.rglob("*") if path.is_file()]
            assert files == []
            assert refusal(key) is not None
        else:
            assert Path(os.path.join(folder, BUCKET, key)).read_bytes() == key.encode()  # noqa: PTH118
            assert store.read(ref(key), max_bytes=MIB) == key.encode()
            assert list(store.read_lines(ref(key), max_bytes=100)) == [key]
            assert store.existing([ref(key)]) == {ref(key)}
            assert keys(store) == {key}


@given(name=st.text(st.characters(exclude_characters="\0/", codec="utf-8"), min_size=1))
def test_a_file_put_by_hand_is_found_by_all_or_by_none(name: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        store = ObjectStore(Path(folder))
        bucket = Path(folder, BUCKET)
        bucket.mkdir()
        if name in {".", ".."} or len(name.encode()) > 255:
            return
        (bucket / name).write_bytes(b"data")

        if refusal(name) is None:
            assert store.read(ref(name), max_bytes=MIB) == b"data"
            assert keys(store) == {name}
            assert store.existing([ref(name)]) == {ref(name)}
        else:
            with pytest.raises(KeyNotAllowedError):
                store.read(ref(name), max_bytes=MIB)
            assert keys(store) == set()
            assert store.existing([ref(name)]) == set()


def test_a_folder_is_a_bucket_if_it_has_the_name_of_one(store: ObjectStore) -> None:
    (store.root / "Upper").mkdir()
    (store.root / "a-file").touch()

    assert store.has_bucket(BUCKET)
    for bucket in ("absent", "Upper", "a-file", ".", "..", "", "a\0b"):
        assert not store.has_bucket(bucket)


def test_without_a_bucket_there_is_nothing(store: ObjectStore) -> None:
    for use in USES:
        with pytest.raises(BucketMissingError, match=r"no bucket 'absent'"):
            use(store, ref("a", "absent"))
    with pytest.raises(BucketMissingError):
        store.write(ref("a", "absent"), b"")
    with pytest.raises(BucketMissingError):
        store.check_key("absent", "a")
    with pytest.raises(BucketMissingError):
        next(store.list("absent"))
    assert store.existing([ref("a", "absent")]) == set()
    assert [path.name for path in store.root.iterdir()] == [BUCKET]


def test_an_object_that_is_missing_is_named(store: ObjectStore) -> None:
    for use in USES:
        with pytest.raises(ObjectMissingError, match=r"no object s3://images/a/b\."):
            use(store, ref("a/b"))


def test_an_empty_object_is_an_object(store: ObjectStore) -> None:
    store.write(ref("empty"), b"")

    assert store.size(ref("empty")) == 0
    assert store.read(ref("empty"), max_bytes=MIB) == b""
    assert list(store.read_lines(ref("empty"), max_bytes=0)) == []


def test_of_an_object_that_is_too_large_nothing_is_read(store: ObjectStore) -> None:
    os.truncate(put(store, "large"), MIB + 1)

    with pytest.raises(ObjectTooLargeError) as caught:
        store.read(ref("large"), max_bytes=MIB)

    assert str(caught.value) == (
        "s3://images/large has 1048577 bytes; at most 1048576 are allowed."
    )


def test_a_key_cannot_be_a_folder_or_lie_below_a_file(store: ObjectStore) -> None:
    put(store, "folder/file")
    os.mkfifo(store.root / BUCKET / "pipe")

    for key, reason in {
        "folder": "it is the name of a folder",
        "folder/file/x": "'file' in it is a file, not a folder",
        "pipe": "it is the name of a special file",
        "pipe/x": "'pipe' in it is a special file",
    }.items():
        for use in (*USES, overwrite):
            with pytest.raises(KeyNotAllowedError, match=reason):
                use(store, ref(key))
        assert store.existing([ref(key)]) == set()
    assert keys(store) == {"folder/file"}


def test_no_link_is_followed(store: ObjectStore, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_bytes(b"secret")
    inside = put(store, "folder/file").parent
    bucket = store.root / BUCKET
    (bucket / "to-file").symlink_to(outside / "secret")
    (bucket / "to-folder").symlink_to(outside)
    (bucket / "to-inside").symlink_to(inside)
    (bucket / "to-nothing").symlink_to(tmp_path / "nothing")
    (inside / "loop").symlink_to(bucket)

    for key in (
        "to-file",
        "to-folder/secret",
        "to-folder/new",
        "to-inside/file",
        "to-nothing",
        "folder/loop/folder/file",
    ):
        for use in (*USES, overwrite):
            with pytest.raises(KeyNotAllowedError, match="symbolic link"):
                use(store, ref(key))
        with pytest.raises(KeyNotAllowedError, match="symbolic link"):
            store.check_key(BUCKET, key)
        assert store.existing([ref(key)]) == set()
        assert keys(store, key) == set()
    assert keys(store) == {"folder/file"}
    assert {path.name: path.read_bytes() for path in outside.iterdir()} == {"secret": b"secret"}


def test_a_link_is_no_bucket(store: ObjectStore, tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (store.root / "linked").symlink_to(tmp_path / "outside")

    assert not store.has_bucket("linked")
    with pytest.raises(BucketMissingError):
        store.write(ref("a", "linked"), b"")


def test_no_key_leaves_its_bucket(store: ObjectStore) -> None:
    put(store, "file", bucket="another")

    for key in ("../another/file", "a/../../another/file", "/file", "..", "./../another/file"):
        for use in (*USES, overwrite):
            with pytest.raises(KeyNotAllowedError):
                use(store, ref(key))
        assert store.existing([ref(key)]) == set()
        assert keys(store, key) == set()
    assert (store.root / "another" / "file").read_bytes() == b"data"


def test_a_listing_shows_what_begins_with_the_prefix(store: ObjectStore) -> None:
    for key in ("a", "ab/c", "ab/cd/e", "abc", "b/a"):
        put(store, key)

    assert keys(store) == {"a", "ab/c", "ab/cd/e", "abc", "b/a"}
    assert keys(store, "ab") == {"ab/c", "ab/cd/e", "abc"}
    assert keys(store, "ab/") == {"ab/c", "ab/cd/e"}
    assert keys(store, "ab/c") == {"ab/c", "ab/cd/e"}
    assert keys(store, "ab/cd/e") == {"ab/cd/e"}
    for nothing in ("c", "ab//", "/", "./", "../", "ab/../", "A", "a/", "x\0/"):
        assert keys(store, nothing) == set()


def test_a_listing_tells_size_and_time(store: ObjectStore) -> None:
    time = datetime(2024, 5, 1, 12, 0, tzinfo=UTC)
    path = put(store, "a", b"12345")
    os.utime(path, (time.timestamp(), time.timestamp()))

    assert list(store.list(BUCKET)) == [ObjectInfo(key="a", size_bytes=5, modified_at=time)]


def test_a_name_that_no_key_can_have_hides_nothing_else(store: ObjectStore) -> None:
    bucket = store.root / BUCKET
    put(store, "a")
    for name in (b"Icon\r", b"\xff\xfe", b"x#1"):
        Path(os.fsdecode(os.fsencode(bucket) + b"/" + name)).touch()

    assert keys(store) == {"a"}
    assert store.existing([ref("a"), ref("Icon\r"), ref("\udcff\udcfe")]) == {ref("a")}


def test_existing_finds_keys_over_folders_and_buckets(store: ObjectStore) -> None:
    there = {ref("a"), ref("x/a"), ref("x/y/b")}
    for each in there:
        put(store, each.key)
    put(store, "a", bucket="another")

    absent = [ref("b"), ref("x"), ref("z/a"), ref("A"), ref("x/../a"), ref("a", "no-bucket")]

    found = store.existing([*there, *absent, ref("a", "another")])

    assert found == there | {ref("a", "another")}


@pytest.mark.parametrize("count", [FEW_OBJECTS, FEW_OBJECTS + 1])
def test_existing_finds_few_and_many_keys_of_a_folder(store: ObjectStore, count: int) -> None:
    there = {ref(f"x/{number}") for number in range(0, count, 2)}
    for each in there:
        put(store, each.key)
    (store.root / BUCKET / "x" / "1").mkdir()

    found = store.existing(
        [ref(f"{folder}/{number}") for folder in "xy" for number in range(count)]
    )

    assert found == there


@given(text=st.text(st.sampled_from("aä🙂\n\r\u2028"), max_size=200))
def test_lines_are_what_lies_between_line_feeds(text: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        store = ObjectStore(Path(folder))
        put(store, "text", text.encode())
        lines = text.split("\n")

        read = list(store.read_lines(ref("text"), max_bytes=1000))

        assert read == (lines[:-1] if lines[-1] == "" else lines)


def test_lines_of_a_long_text_take_little_memory(store: ObjectStore) -> None:
    line = "ä" * 61  # so that chunks end within lines, and within characters
    put(store, "text", f"{line}\n".encode() * 100_000)
    tracemalloc.start()

    count = sum(1 for read in store.read_lines(ref("text"), max_bytes=10**8) if read == line)

    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == 100_000
    assert peak < 8_000_000


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"12345", r"has 5 bytes; at most 4 are allowed"),
        (b"a\xff", r"is not UTF-8 text \(invalid start byte\)"),
        (b"\xc3", r"is not UTF-8 text \(unexpected end of data\)"),
    ],
)
def test_a_text_that_is_none_is_refused(store: ObjectStore, data: bytes, reason: str) -> None:
    put(store, "text", data)

    with pytest.raises(ObjectReadError, match=f"s3://images/text {reason}"):
        list(store.read_lines(ref("text"), max_bytes=4))


def test_a_line_without_an_end_is_refused(store: ObjectStore) -> None:
    put(store, "text", b"short\n" + b"x" * (2 * MAX_LINE_LENGTH))

    with pytest.raises(ObjectReadError, match="line of more than 1048576 characters"):
        list(store.read_lines(ref("text"), max_bytes=10**8))


def test_a_text_that_is_deleted_while_it_is_read_is_read_to_its_end(store: ObjectStore) -> None:
    path = put(store, "text", b"a line\n" * 400_000)
    lines = store.read_lines(ref("text"), max_bytes=10**8)
    first = next(lines)

    path.unlink()

    assert [first, *lines] == ["a line"] * 400_000


@pytest.mark.parametrize(
    "change",
    [
        lambda path: os.truncate(path, 10),
        lambda path: path.write_bytes(b"others\n" * 400_000),
    ],
    ids=["shorter", "other"],
)
def test_a_text_that_changes_while_it_is_read_is_refused(
    store: ObjectStore, change: Callable[[Path], None]
) -> None:
    path = put(store, "text", b"a line\n" * 400_000)
    lines = store.read_lines(ref("text"), max_bytes=10**8)
    next(lines)

    change(path)

    with pytest.raises((ObjectReadError, ObjectMissingError), match="s3://images/text"):
        list(lines)


def test_an_object_that_cannot_be_opened_is_named(store: ObjectStore) -> None:
    put(store, "text", b"a line")
    code = """
import resource, sys
from pathlib import Path
from blemish.domain.entities import ObjectRef
from blemish.storage.errors import ObjectReadError
from blemish.storage.objects.store import ObjectStore
store, text = ObjectStore(Path(sys.argv[1])), ObjectRef(bucket="images", key="text")
store.read(text, max_bytes=9)
resource.setrlimit(resource.RLIMIT_NOFILE, (0, 0))
for use in (store.read, lambda *its, **most: list(store.read_lines(*its, **most))):
    try:
        use(text, max_bytes=9)
    except ObjectReadError as error:
        print(error)
"""

    said, _ = python(code, store.root).communicate()

    assert said == "s3://images/text cannot be read (Too many open files).\n" * 2


def test_staging_is_no_part_of_a_bucket(store: ObjectStore) -> None:
    store.write(ref("a/b"), b"data")
    remains = store.root / ".staging" / "remains"
    remains.write_bytes(b"half")

    store.clear_staging()

    assert not remains.exists()
    assert keys(store) == {"a/b"}


def test_an_object_that_has_no_room_is_named(store: ObjectStore) -> None:
    store.write(ref("old"), b"old")
    code = """
import resource, sys
from pathlib import Path
from blemish.domain.entities import ObjectRef
from blemish.storage.errors import StoreFullError
from blemish.storage.objects.store import ObjectStore
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, resource.RLIM_INFINITY))
for key in ("old", "new/object"):
    try:
        ObjectStore(Path(sys.argv[1])).write(ObjectRef(bucket="images", key=key), b"x" * 1500)
    except StoreFullError as error:
        print(error)
"""

    said, _ = python(code, store.root).communicate()

    assert said.splitlines() == [
        "There is no room to write s3://images/old (File too large).",
        "There is no room to write s3://images/new/object (File too large).",
    ]
    assert store.read(ref("old"), max_bytes=MIB) == b"old"
    assert sorted(path.name for path in store.root.rglob("*")) == [".staging", BUCKET, "old"]
