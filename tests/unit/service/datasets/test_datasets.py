from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from blemish.domain.access.builtin_policies import FULL_ACCESS
from blemish.domain.entities import (
    Dataset,
    DatasetStatus,
    DatasetType,
    ImageStats,
    Label,
    ObjectRef,
)
from blemish.domain.errors import (
    ConflictError,
    ResourceNotFoundError,
    ResourceType,
    ServiceError,
    ValidationError,
)
from blemish.domain.lifecycle import DATASET_MOVES, DATASET_USABLE
from blemish.service.datasets.datasets import DatasetService, EntryFilter
from blemish.service.datasets.line_checks import LineChecks
from blemish.service.next_tokens import next_token
from blemish.storage.objects.store import ObjectStore
from tests.unit.house import House
from tests.unit.manifests import json_line, label_fields, masked_line, url
from tests.unit.principals import allow, document

TRAIN, TEST = DatasetType.TRAIN, DatasetType.TEST
MANIFEST = ObjectRef(bucket="images", key="the.manifest")
ALL = EntryFilter()
CHANGES = json_line("a.png").encode()

Operation = Callable[[House], object]
ON_A_DATASET: dict[str, Operation] = {
    "describe": lambda house: house.datasets.describe("circuits", TEST),
    "entries": lambda house: house.datasets.entries("circuits", TEST, wanted=ALL, token=None),
    "update": lambda house: house.datasets.update("circuits", TEST, changes=CHANGES),
    "delete": lambda house: house.datasets.delete("circuits", TEST),
}


def put_into(house: House, status: DatasetStatus) -> Dataset:
    """Make a dataset and put it into a status, by whatever way."""
    house.project()
    dataset = house.datasets.create("circuits", TRAIN, manifest=None)
    with house.database.writing() as rows:
        rows.datasets.move(
            dataset.id,
            sources=list(DatasetStatus),
            target=status,
            status_message="",
            now=house.clock.time,
        )
    return dataset


def listed(house: House, wanted: EntryFilter = ALL) -> list[str]:
    """Return the keys of the images that pass a filter."""
    lines, token = house.datasets.entries("circuits", TRAIN, wanted=wanted, token=None)
    assert token is None
    return [json.loads(line)["source-ref"].removeprefix(url("")) for line in lines]


def test_a_dataset_without_a_source_is_complete_at_once(house: House) -> None:
    house.project()

    dataset = house.datasets.create("circuits", TRAIN, manifest=None)

    assert dataset.status is DatasetStatus.CREATE_COMPLETE
    assert dataset.status_message == "The dataset was created successfully."
    assert house.datasets.describe("circuits", TRAIN) == (
        dataset,
        ImageStats(total=0, labeled=0, normal=0, anomaly=0),
    )


def test_a_dataset_with_a_manifest_is_work_for_later(house: House) -> None:
    house.project()

    dataset = house.datasets.create("circuits", TEST, manifest=MANIFEST)

    assert dataset.status is DatasetStatus.CREATE_IN_PROGRESS
    assert dataset.status_message == "The dataset is creating."
    assert dataset.manifest == MANIFEST
    assert (dataset.created_at, dataset.updated_at) == (house.clock.time, house.clock.time)
    assert house.wakes == 1


def test_a_project_has_one_dataset_of_a_type(house: House) -> None:
    house.project()
    house.datasets.create("circuits", TRAIN, manifest=None)
    house.datasets.create("circuits", TEST, manifest=None)

    with pytest.raises(ConflictError) as caught:
        house.datasets.create("circuits", TRAIN, manifest=MANIFEST)

    assert caught.value.message == (
        "Project circuits has a train dataset already, which is CREATE_COMPLETE. Delete it first."
    )
    assert caught.value.resource_type is ResourceType.DATASET
    assert caught.value.resource_id == "circuits/train"


def test_a_dataset_that_could_not_be_made_must_be_deleted_first(house: House) -> None:
    put_into(house, DatasetStatus.CREATE_FAILED)

    with pytest.raises(ConflictError):
        house.datasets.create("circuits", TRAIN, manifest=None)


@pytest.mark.parametrize("is_claimed", [False, True])
def test_a_dataset_that_is_being_deleted_makes_way_for_another(
    house: House, is_claimed: bool
) -> None:
    house.project()
    house.images(normal=2)
    house.datasets.delete("circuits", TRAIN)
    if is_claimed:
        deleted, attempt = house.claim_dataset()

    dataset = house.datasets.create("circuits", TRAIN, manifest=None)

    if is_claimed:
        house.dataset_work.carry_out(deleted, attempt=attempt)
    assert house.datasets.describe("circuits", TRAIN) == (
        dataset,
        ImageStats(total=0, labeled=0, normal=0, anomaly=0),
    )


def test_a_dataset_that_could_not_be_deleted_is_still_there(house: House) -> None:
    put_into(house, DatasetStatus.DELETE_FAILED)

    with pytest.raises(ConflictError, match="which is DELETE_FAILED"):
        house.datasets.create("circuits", TRAIN, manifest=None)


def test_a_dataset_needs_a_project(house: House) -> None:
    with pytest.raises(ResourceNotFoundError) as caught:
        house.datasets.create("circuits", TRAIN, manifest=None)

    assert caught.value.resource_type is ResourceType.PROJECT


@pytest.mark.parametrize("name", ON_A_DATASET)
def test_the_test_dataset_of_a_single_dataset_project_is_not_found(house: House, name: str) -> None:
    house.project()
    house.datasets.create("circuits", TRAIN, manifest=None)

    with pytest.raises(ResourceNotFoundError) as caught:
        ON_A_DATASET[name](house)

    assert caught.value.message == "Project circuits has no test dataset."
    assert caught.value.resource_type is ResourceType.DATASET
    assert caught.value.resource_id == "circuits/test"


@pytest.mark.parametrize("name", ON_A_DATASET)
def test_a_dataset_of_an_unknown_project_is_not_found(house: House, name: str) -> None:
    with pytest.raises(ResourceNotFoundError) as caught:
        ON_A_DATASET[name](house)

    assert caught.value.message == "Project circuits does not exist."
    assert caught.value.resource_type is ResourceType.PROJECT


def test_changes_are_kept_and_applied_later(house: House) -> None:
    house.project()
    house.datasets.create("circuits", TRAIN, manifest=None)
    house.clock.advance(60)

    status = house.datasets.update("circuits", TRAIN, changes=CHANGES)

    dataset, _ = house.datasets.describe("circuits", TRAIN)
    assert status is dataset.status is DatasetStatus.UPDATE_IN_PROGRESS
    assert dataset.status_message == "The dataset is updating."
    assert dataset.updated_at == house.clock.time
    assert dataset.changes is not None
    assert "".join(house.stored_files.lines(dataset.changes)).encode() == CHANGES
    assert house.wakes == 2


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (b'{"source-ref": "\xff"}', "Changes must be JSON Lines in UTF-8; byte 16 is not."),
        (b"", "Changes must hold at least one JSON Line."),
        (b" \n\r\n ", "Changes must hold at least one JSON Line."),
    ],
)
def test_changes_that_are_no_text_are_refused_at_once(
    house: House, changes: bytes, message: str
) -> None:
    house.project()
    house.datasets.create("circuits", TRAIN, manifest=None)

    with pytest.raises(ValidationError) as caught:
        house.datasets.update("circuits", TRAIN, changes=changes)

    assert caught.value.message == message
    assert house.datasets.describe("circuits", TRAIN)[0].status is DatasetStatus.CREATE_COMPLETE


@pytest.mark.parametrize("status", DatasetStatus)
def test_a_dataset_is_changed_only_at_rest(house: House, status: DatasetStatus) -> None:
    put_into(house, status)
    if status in DATASET_USABLE:
        assert house.datasets.update("circuits", TRAIN, changes=CHANGES)
        return

    with pytest.raises(ConflictError) as caught:
        house.datasets.update("circuits", TRAIN, changes=CHANGES)

    assert f"Dataset circuits/train is {status}:" in caught.value.message
    assert house.stored_names() == set()


def test_of_two_changes_at_once_the_later_is_refused_and_not_kept(house: House) -> None:
    dataset = put_into(house, DatasetStatus.CREATE_COMPLETE)

    def overtaken() -> str:
        with house.database.writing() as rows:
            rows.datasets.move(
                dataset.id,
                sources=list(DatasetStatus),
                target=DatasetStatus.UPDATE_IN_PROGRESS,
                status_message="",
                now=house.clock.time,
                changes="of the first",
            )
        return "of-the-second"

    service = DatasetService(
        house.database,
        stored_files=house.stored_files,
        checks=LineChecks(objects=house.objects, limits=house.limits),
        now=house.clock,
        new_name=overtaken,
        wake=lambda: None,
    )

    with pytest.raises(ConflictError):
        service.update("circuits", TRAIN, changes=CHANGES)

    assert house.datasets.describe("circuits", TRAIN)[0].changes == "of the first"
    assert house.stored_names() == set()


def test_a_few_lines_are_applied_at_once(house: House) -> None:
    house.project()
    lines = house.lines(Label.NORMAL, 2)
    house.dataset(lines)
    house.put("new.png")
    changed = [json_line("normal-1.png", "anomaly"), json_line("new.png", **label_fields("good"))]
    wakes = house.wakes
    house.clock.advance(60)

    before, _ = house.datasets.describe("circuits", TRAIN)
    applied = house.datasets.update_now("circuits", TRAIN, changes="\n".join(changed).encode())

    dataset, stats = applied.after, applied.stats
    assert applied.before == before
    assert [entry.line for entry in applied.entries] == changed
    assert (dataset, stats) == house.datasets.describe("circuits", TRAIN)
    assert dataset.status is DatasetStatus.UPDATE_COMPLETE
    assert dataset.updated_at == house.clock.time
    assert dataset.status_message == (
        "The dataset was updated successfully. 1 line has a class that is neither normal nor "
        'anomaly, which is no label: "good" (1).'
    )
    assert stats == ImageStats(total=3, labeled=2, normal=1, anomaly=1)
    assert house.entry_lines() == [lines[0], *changed]
    assert (house.wakes, house.stored_names()) == (wakes, set())


def test_an_empty_dataset_takes_its_first_lines_at_once(house: House) -> None:
    house.project()
    house.datasets.create("circuits", TRAIN, manifest=None)
    house.put("a.png")

    applied = house.datasets.update_now("circuits", TRAIN, changes=CHANGES)

    assert applied.after.image_bucket == "images"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (b"\xff", "Changes must be JSON Lines in UTF-8; byte 0 is not."),
        (b"\n", "Changes must hold at least one JSON Line."),
        (
            b"{}\n[]",
            "The dataset was not updated: line 1: 'source-ref' is missing; "
            "line 2: it must be a JSON object, not a list.",
        ),
        (
            json_line("none.png").encode(),
            "The dataset was not updated: line 1: s3://images/none.png does not exist.",
        ),
        (
            masked_line("normal-0.png", "dent", "crack").encode(),
            "The dataset was not updated: the project would have 2 anomaly types; "
            "at most 1 are allowed.",
        ),
    ],
)
def test_lines_that_cannot_be_applied_at_once_change_nothing(
    house: House, changes: bytes, message: str
) -> None:
    house.project()
    lines = house.lines(Label.NORMAL, 1)
    house.put("mask.png")
    house.dataset(lines)
    house.apply(replace(house.limits, max_anomaly_types=1))
    before = house.datasets.describe("circuits", TRAIN)

    with pytest.raises(ValidationError) as caught:
        house.datasets.update_now("circuits", TRAIN, changes=changes)

    assert caught.value.message == message
    assert house.datasets.describe("circuits", TRAIN) == before
    assert house.entry_lines() == lines


@pytest.mark.parametrize("status", sorted(set(DatasetStatus) - DATASET_USABLE))
def test_lines_are_applied_at_once_only_to_a_dataset_at_rest(
    house: House, status: DatasetStatus
) -> None:
    put_into(house, status)

    with pytest.raises(ConflictError, match=f"Dataset circuits/train is {status}:"):
        house.datasets.update_now("circuits", TRAIN, changes=CHANGES)


def test_lines_are_not_applied_to_a_dataset_that_took_the_place_of_theirs(house: House) -> None:
    house.project()
    house.images(normal=1)

    class ReplacingStore(ObjectStore):
        """Replaces the dataset while lines are checked for the first one."""

        def existing(self, refs: Iterable[ObjectRef]) -> set[ObjectRef]:
            house.datasets.delete("circuits", TRAIN)
            house.datasets.create("circuits", TRAIN, manifest=None)
            return set(refs)

    checks = LineChecks(objects=ReplacingStore(house.directory.buckets), limits=house.limits)
    service = DatasetService(
        house.database,
        stored_files=house.stored_files,
        checks=checks,
        now=house.clock,
        new_name=lambda: "name",
        wake=lambda: None,
    )

    with pytest.raises(ConflictError, match="was replaced meanwhile"):
        service.update_now("circuits", TRAIN, changes=CHANGES)

    assert house.stats().total == 0


@pytest.mark.parametrize("status", DatasetStatus)
def test_a_dataset_is_deleted_unless_it_is_busy(house: House, status: DatasetStatus) -> None:
    put_into(house, status)
    if DatasetStatus.DELETE_IN_PROGRESS in DATASET_MOVES[status]:
        house.datasets.delete("circuits", TRAIN)

        dataset, _ = house.datasets.describe("circuits", TRAIN)
        assert dataset.status is DatasetStatus.DELETE_IN_PROGRESS
        assert house.wakes == 2
        return

    with pytest.raises(ConflictError) as caught:
        house.datasets.delete("circuits", TRAIN)

    assert f"Dataset circuits/train is {status}:" in caught.value.message


@pytest.fixture
def filled(house: House) -> House:
    """A dataset of five images, labelled on five days, and two without a label."""
    house.project()
    lines = []
    for day, (key, label) in enumerate(
        [
            ("N/1.png", "normal"),
            ("a/2.png", "anomaly"),
            ("N/3_.png", "normal"),
            ("x%.png", "other"),
        ],
        start=1,
    ):
        house.put(key)
        date = f"2024-01-0{day}T00:00:00Z"
        lines.append(json_line(key, **label_fields(label, date=date)))
    house.put("bare.png")
    lines.append(json_line("bare.png"))
    house.dataset(lines)
    return house


def day(number: int) -> datetime:
    return datetime(2024, 1, number, tzinfo=UTC)


@pytest.mark.parametrize(
    ("wanted", "keys"),
    [
        (EntryFilter(), ["N/1.png", "a/2.png", "N/3_.png", "x%.png", "bare.png"]),
        (EntryFilter(labeled=True), ["N/1.png", "a/2.png", "N/3_.png"]),
        (EntryFilter(labeled=False), ["x%.png", "bare.png"]),
        (EntryFilter(label=Label.NORMAL), ["N/1.png", "N/3_.png"]),
        (EntryFilter(label=Label.ANOMALY), ["a/2.png"]),
        (EntryFilter(created_before=day(3)), ["N/1.png", "a/2.png"]),
        (EntryFilter(created_after=day(1), created_before=day(4)), ["a/2.png", "N/3_.png"]),
        (EntryFilter(created_after=day(4)), ["bare.png"]),
        (EntryFilter(created_after=day(3), created_before=day(3)), []),
        (EntryFilter(contains="N/"), ["N/1.png", "N/3_.png"]),
        (EntryFilter(contains="n/"), []),
        (EntryFilter(contains="3_."), ["N/3_.png"]),
        (EntryFilter(contains="%"), ["x%.png"]),
        (EntryFilter(contains="_"), ["N/3_.png"]),
        (EntryFilter(contains="s3://images/a"), ["a/2.png"]),
        (EntryFilter(label=Label.NORMAL, created_after=day(1)), ["N/3_.png"]),
        (EntryFilter(labeled=False, label=Label.NORMAL), []),
        (EntryFilter(labeled=False, created_before=day(5), contains="x"), ["x%.png"]),
    ],
)
def test_entries_are_listed_if_they_pass_every_filter(
    filled: House, wanted: EntryFilter, keys: list[str]
) -> None:
    assert listed(filled, wanted) == keys


def test_the_numbers_of_a_dataset_are_counted_by_label(filled: House) -> None:
    _, stats = filled.datasets.describe("circuits", TRAIN)

    assert stats == ImageStats(total=5, labeled=3, normal=2, anomaly=1)


def test_entries_are_the_lines_as_they_came(house: House) -> None:
    house.project()
    house.put("ä.png")
    line = '{ "source-ref":"s3://images/ä.png",  "anything": [1, {"else": null}] }'
    house.dataset([line])

    entries, _ = house.datasets.entries("circuits", TRAIN, wanted=ALL, token=None)

    assert entries == [line]


@pytest.mark.parametrize("limit", [1, 2, 3, 100])
def test_pages_of_entries_are_the_whole_list(filled: House, limit: int) -> None:
    wanted = EntryFilter(contains=".png")
    pages: list[list[str]] = []
    token = None
    while token or not pages:
        lines, token = filled.datasets.entries(
            "circuits", TRAIN, wanted=wanted, token=token, limit=limit
        )
        pages.append(lines)

    whole, _ = filled.datasets.entries("circuits", TRAIN, wanted=wanted, token=None)
    assert pages == [whole[i : i + limit] for i in range(0, 5, limit)]


def test_a_filter_holds_on_every_page(filled: House) -> None:
    wanted = EntryFilter(label=Label.NORMAL)
    first, token = filled.datasets.entries("circuits", TRAIN, wanted=wanted, token=None, limit=1)

    second, end = filled.datasets.entries("circuits", TRAIN, wanted=wanted, token=token, limit=1)

    assert [json.loads(line)["source-ref"] for line in first + second] == [
        url("N/1.png"),
        url("N/3_.png"),
    ]
    assert end is None


def test_entries_that_are_replaced_between_pages_stay_in_their_place(filled: House) -> None:
    _, token = filled.datasets.entries("circuits", TRAIN, wanted=ALL, token=None, limit=2)
    filled.datasets.update("circuits", TRAIN, changes=json_line("N/1.png", "anomaly").encode())
    filled.settle()

    lines, _ = filled.datasets.entries("circuits", TRAIN, wanted=ALL, token=token, limit=1)

    assert json.loads(lines[0])["source-ref"] == url("N/3_.png")


def tokens_of_other_lists(house: House) -> list[str]:
    house.datasets.create("circuits", TEST, manifest=None)
    other = house.datasets.describe("circuits", TEST)[0]
    return [next_token(f"entries/{other.id}", 1), next_token("projects", 1), "AAAA"]


def test_the_token_of_another_list_is_refused(filled: House) -> None:
    for token in tokens_of_other_lists(filled):
        with pytest.raises(ValidationError):
            filled.datasets.entries("circuits", TRAIN, wanted=ALL, token=token)


def test_the_token_of_a_dataset_that_was_made_anew_is_refused(filled: House) -> None:
    _, token = filled.datasets.entries("circuits", TRAIN, wanted=ALL, token=None, limit=2)
    filled.datasets.delete("circuits", TRAIN)
    filled.settle()
    filled.images(normal=3)

    with pytest.raises(ServiceError):
        filled.datasets.entries("circuits", TRAIN, wanted=ALL, token=token)


@pytest.mark.parametrize("exists", [True, False])
def test_a_dataset_learns_nothing_of_images_that_its_caller_may_not_read(
    house: House, *, exists: bool
) -> None:
    requester = house.key("anna", document(allow("s3:GetObject", "arn:aws:s3:::images/4/*")))
    house.project()
    house.put("4/a.png")
    if exists:
        house.put("5/a.png")
    manifest = house.put_manifest([json_line("4/a.png"), json_line("5/a.png")])

    house.datasets.create("circuits", TRAIN, manifest=manifest, requester=requester)
    dataset = house.settle()

    assert dataset.status is DatasetStatus.CREATE_FAILED
    assert dataset.status_message == (
        "The dataset was not created: line 2: s3://images/5/a.png may not be read: User: "
        "arn:aws:iam::123456789012:user/anna is not authorized to perform: s3:GetObject on "
        "resource: arn:aws:s3:::images/5/a.png because no identity-based policy allows the "
        "s3:GetObject action."
    )


def test_the_rights_of_a_deleted_key_are_gone(house: House) -> None:
    requester = house.key("anna", FULL_ACCESS)
    house.project()
    manifest = house.put_manifest(house.lines(Label.NORMAL, 1))
    house.datasets.create("circuits", TRAIN, manifest=manifest, requester=requester)
    with house.database.writing() as rows:
        rows.keys.delete(rows.keys.all()[0])

    dataset = house.settle()

    assert dataset.status is DatasetStatus.CREATE_FAILED
    assert "may not be read" in dataset.status_message
