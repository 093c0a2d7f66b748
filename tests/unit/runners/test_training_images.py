from pathlib import Path

import pytest

from blemish.domain.entities import DatasetEntry, Label, MaskRef, ObjectRef
from blemish.engine.images.formats import ImageError
from blemish.runners import training_images
from blemish.runners.training_images import open_training_images
from blemish.storage.errors import StoreUnavailableError
from blemish.storage.objects.store import ObjectStore

IMAGE = ObjectRef(bucket="images", key="1.png")
MASK = ObjectRef(bucket="images", key="1-mask.png")
ENTRY = DatasetEntry(
    image=IMAGE,
    label=Label.ANOMALY,
    mask=MaskRef(ref=MASK, colors={"#23A436": "stain"}),
    created_at=None,
    line="{}",
)


class Store(ObjectStore):
    """A store in a folder that counts reads, and may be away."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.reads = 0
        self.is_away = False

    def read(self, ref: ObjectRef, *, max_bytes: int) -> bytes:
        self.reads += 1
        if self.is_away:
            raise StoreUnavailableError("The store does not answer.")
        return super().read(ref, max_bytes=max_bytes)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    folder = tmp_path / "buckets" / "images"
    folder.mkdir(parents=True)
    (folder / "1.png").write_bytes(b"image")
    (folder / "1-mask.png").write_bytes(b"mask")
    return Store(tmp_path / "buckets")


def test_a_file_is_fetched_once_and_read_as_often_as_needed(store: Store, tmp_path: Path) -> None:
    with open_training_images(store, max_bytes=100, folder=tmp_path) as images:
        image = images.labeled(ENTRY)
        again = images.labeled(ENTRY)
        assert image.mask is not None

        read = [image.read(), image.mask.read(), image.read(), again.read(), image.mask.read()]

    assert read == [b"image", b"mask", b"image", b"image", b"mask"]
    assert store.reads == 2


def test_the_spool_has_no_name_in_the_folder(store: Store, tmp_path: Path) -> None:
    folder = tmp_path / "attempt"
    folder.mkdir()

    with open_training_images(store, max_bytes=100, folder=folder) as images:
        images.labeled(ENTRY).read()

        assert list(folder.iterdir()) == []


def test_a_disk_without_room_has_files_fetched_again(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training_images, "RESERVE_BYTES", 1 << 60)

    with open_training_images(store, max_bytes=100, folder=tmp_path) as images:
        image = images.labeled(ENTRY)

        assert [image.read(), image.read()] == [b"image", b"image"]

    assert store.reads == 2


def test_a_missing_or_large_file_is_a_problem_of_its_image(store: Store, tmp_path: Path) -> None:
    (tmp_path / "buckets/images/1-mask.png").unlink()

    with open_training_images(store, max_bytes=4, folder=tmp_path) as images:
        image = images.labeled(ENTRY)
        assert image.mask is not None
        with pytest.raises(ImageError, match=r"^The image has 5 bytes; at most 4 are allowed"):
            image.read()
        with pytest.raises(ImageError, match=r"^The mask cannot be read: .*1-mask\.png"):
            image.mask.read()


def test_a_store_that_is_away_is_no_problem_of_an_image(store: Store, tmp_path: Path) -> None:
    store.is_away = True

    with (
        open_training_images(store, max_bytes=100, folder=tmp_path) as images,
        pytest.raises(StoreUnavailableError),
    ):
        images.labeled(ENTRY).read()
