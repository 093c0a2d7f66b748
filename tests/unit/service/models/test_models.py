from __future__ import annotations

import json
import re
from dataclasses import replace

import pytest

from blemish.domain.entities import (
    DatasetStatus,
    DatasetType,
    Label,
    Model,
    ModelStatus,
)
from blemish.domain.errors import (
    AccessDeniedError,
    ConflictError,
    ResourceNotFoundError,
    ResourceType,
    ServiceQuotaExceededError,
    ValidationError,
)
from blemish.domain.lifecycle import DATASET_USABLE
from blemish.domain.limits import ORIGINAL, OURS, Limits
from blemish.service.models.models import ModelService
from blemish.service.projects import require_project
from blemish.storage.encryption.sealed_header import SealingKey, sealing_key_of
from blemish.storage.errors import KeyUnavailableError, StoreUnavailableError
from blemish.storage.objects import s3_store as s3_objects
from blemish.storage.objects.s3_address import S3Address
from tests.unit.house import PROJECT, House
from tests.unit.manifests import BUCKET, json_line, label_fields
from tests.unit.principals import allow, rights_of
from tests.unit.storage.sealing import key

TRAIN, TEST = DatasetType.TRAIN, DatasetType.TEST
S = ModelStatus


@pytest.fixture(autouse=True)
def project(house: House) -> None:
    """Every model belongs to one."""
    house.project()


@pytest.fixture
def trainable(house: House) -> House:
    """A project with just enough images in one dataset."""
    house.images(normal=15)
    return house


def create(
    house: House, *, bucket: str = BUCKET, prefix: str = "out/", kms_key_id: str | None = None
) -> Model:
    return house.models.create(
        "circuits",
        description=None,
        output_bucket=bucket,
        output_prefix=prefix,
        kms_key_id=kms_key_id,
    )


def frozen(house: House, model: Model) -> list[tuple[str, str]]:
    lines = map(json.loads, house.stored_files.lines(model.entries))
    return [(line["dataset"], line["entry"]) for line in lines]


def put_dataset_into(house: House, kind: DatasetType, status: DatasetStatus) -> None:
    with house.database.writing() as rows:
        dataset = rows.datasets.find("circuits", kind)
        assert dataset is not None
        rows.datasets.move(
            dataset.id,
            sources=list(DatasetStatus),
            target=status,
            status_message="",
            now=house.clock.time,
        )


def test_a_model_begins_in_training(trainable: House) -> None:
    wakes = trainable.wakes

    model = trainable.models.create(
        "circuits", description="the.first", output_bucket=BUCKET, output_prefix="out/here-"
    )

    assert (model.project, model.version) == ("circuits", 1)
    assert model.status is S.TRAINING
    assert model.status_message == "The model is being trained."
    assert model.description == "the.first"
    assert model.created_at == trainable.clock.time
    assert (model.output_bucket, model.output_prefix) == (BUCKET, "out/here-")
    made = (model.performance, model.evaluation_result, model.evaluation_manifest, model.bundle)
    assert made == (None, None, None, None)
    assert trainable.models.describe("circuits", "1") == model
    assert trainable.wakes == wakes + 1


def test_the_entries_of_both_datasets_are_frozen(house: House) -> None:
    house.images(normal=10, other=1)
    house.images(TEST, normal=1, anomaly=1)

    model = house.model()

    entries = frozen(house, model)
    assert [kind for kind, _ in entries] == ["train"] * 11 + ["test"] * 2
    assert entries[0][1] == json_line("train/normal-0.png", Label.NORMAL)
    assert entries[-1][1] == json_line("test/anomaly-0.png", Label.ANOMALY)


def test_later_changes_of_the_dataset_touch_no_frozen_entry(trainable: House) -> None:
    model = create(trainable)
    before = frozen(trainable, model)

    changes = json_line("train/normal-3.png", "anomaly")
    trainable.datasets.update("circuits", TRAIN, changes=changes.encode())
    trainable.settle()
    trainable.datasets.delete("circuits", TRAIN)
    trainable.settle()

    assert frozen(trainable, model) == before


def test_a_frozen_entry_is_the_line_as_it_came(house: House) -> None:
    house.put("ä.png")
    odd = '{ "source-ref":"s3://images/ä.png",  "other": "\\u00e4\\n" }'
    house.dataset([*house.lines(Label.NORMAL, 15), odd])

    assert frozen(house, house.model())[-1] == ("train", odd)


Counts = tuple[int, int]


@pytest.mark.parametrize(
    ("limits", "train", "test", "missing"),
    [
        (OURS, (15, 0), None, []),
        (OURS, (14, 50), None, ["training", 14, "normal", 15]),
        (OURS, (10, 0), (1, 0), []),
        (OURS, (10, 0), (0, 1), []),
        (OURS, (9, 0), (1, 0), ["training", 9, "normal", 10]),
        (OURS, (10, 0), (0, 0), ["test", 0, "labelled", 1]),
        (OURS, (0, 0), (0, 0), ["training", 0, "normal", 10, "test", 0, "labelled", 1]),
        (ORIGINAL, (20, 10), None, []),
        (ORIGINAL, (19, 10), None, ["training", 19, "normal", 20]),
        (ORIGINAL, (20, 9), None, ["training", 9, "anomaly", 10]),
        (ORIGINAL, (1, 2), None, ["training", 1, "normal", 20, "training", 2, "anomaly", 10]),
        (ORIGINAL, (10, 0), (10, 10), []),
        (ORIGINAL, (9, 0), (10, 10), ["training", 9, "normal", 10]),
        (ORIGINAL, (10, 0), (9, 11), ["test", 9, "normal", 10]),
        (ORIGINAL, (10, 0), (11, 9), ["test", 9, "anomaly", 10]),
    ],
)
def test_too_few_labelled_images_are_counted_out(
    house: House, limits: Limits, train: Counts, test: Counts | None, missing: list[str | int]
) -> None:
    house.apply(limits)
    house.images(normal=train[0], anomaly=train[1], other=30)
    if test:
        house.images(TEST, normal=test[0], anomaly=test[1], other=30)
    if not missing:
        house.models.check_trainable(PROJECT)
        assert house.model().status is S.TRAINING
        return

    with pytest.raises(ValidationError) as told:
        house.models.check_trainable(PROJECT)
    with pytest.raises(ValidationError) as caught:
        house.model()

    parts = [missing[i : i + 4] for i in range(0, len(missing), 4)]
    sentences = [
        f"the {kind} dataset has {found} {label} {'image' if found == 1 else 'images'} "
        f"and needs at least {least}"
        for kind, found, label, least in parts
    ]
    assert caught.value.message == f"Too few labelled images: {'; '.join(sentences)}."
    assert told.value.message == caught.value.message
    assert house.stored_names() == set()
    assert house.models.page("circuits", token=None) == ([], None)


def test_a_model_needs_a_project(house: House) -> None:
    with pytest.raises(ResourceNotFoundError) as caught:
        house.model(project="unknown")

    assert caught.value.resource_type is ResourceType.PROJECT


def test_a_model_needs_a_training_dataset(house: House) -> None:
    house.images(TEST, normal=20)

    with pytest.raises(ResourceNotFoundError) as caught:
        house.model()

    assert caught.value.message == "Project circuits has no train dataset."
    assert caught.value.resource_type is ResourceType.DATASET


@pytest.mark.parametrize("kind", list(DatasetType))
@pytest.mark.parametrize("status", list(DatasetStatus))
def test_a_model_needs_datasets_at_rest(
    house: House, kind: DatasetType, status: DatasetStatus
) -> None:
    house.images(normal=10)
    house.images(TEST, normal=1)
    put_dataset_into(house, kind, status)
    if status in DATASET_USABLE:
        assert house.model()
        return

    with pytest.raises(ConflictError) as caught:
        house.model()

    assert f"The {kind} dataset of project circuits is {status};" in caught.value.message
    assert caught.value.resource_type is ResourceType.DATASET
    assert caught.value.resource_id == f"circuits/{kind}"


@pytest.mark.parametrize("bucket", ["nowhere", "..", "images/out"])
def test_a_model_needs_a_bucket_for_its_evaluation_files(trainable: House, bucket: str) -> None:
    (trainable.directory.buckets / "images" / "out").mkdir()

    with pytest.raises(ValidationError) as caught:
        create(trainable, bucket=bucket)

    assert caught.value.message == f"OutputConfig names the bucket {bucket}, which does not exist."
    assert trainable.stored_names() == set()


@pytest.mark.parametrize("prefix", ["", "out/", "out-", "a/b/c", "results/.hidden"])
def test_a_prefix_that_a_file_can_have_is_taken(trainable: House, prefix: str) -> None:
    assert create(trainable, prefix=prefix).output_prefix == prefix


@pytest.mark.parametrize("prefix", ["../", "a//", "a/./", "/", "a/../../b", "k" * 1_000, "a\0"])
def test_a_prefix_that_no_file_can_have_is_refused(trainable: House, prefix: str) -> None:
    with pytest.raises(ValidationError) as caught:
        create(trainable, prefix=prefix)

    assert caught.value.message.startswith("OutputConfig cannot be written to: ")
    assert trainable.stored_names() == set()


def test_a_prefix_is_refused_once_the_version_makes_the_key_too_long(trainable: House) -> None:
    longest = "k" * (255 - len("EvaluationManifest-circuits-9.json"))
    with trainable.database.writing() as rows:
        owner = require_project(rows, "circuits")
        for _ in range(8):
            rows.projects.next_model_version(owner.id)

    ninth = create(trainable, prefix=longest)

    assert ninth.version == 9
    with pytest.raises(ValidationError, match="more than 255 bytes between slashes"):
        create(trainable, prefix=longest)


def test_what_is_frozen_is_sealed_under_the_key_that_was_named(trainable: House) -> None:
    trainable.keyring.add(key(2, alias="line-4"))

    model = create(trainable, kms_key_id="alias/line-4")

    sealed = trainable.stored_files.path(model.entries).read_bytes()
    assert sealing_key_of(sealed) == SealingKey(provider="blemish", id=key(2).id)
    assert model.kms_key_id == "alias/line-4"


def test_a_disabled_key_trains_no_model(trainable: House) -> None:
    line_4 = key(2, alias="line-4")
    trainable.keyring.add(line_4)
    trainable.keyring.set_enabled(line_4, enabled=False)

    with pytest.raises(ValidationError) as caught:
        create(trainable, kms_key_id=line_4.id)

    assert caught.value.message == (
        f"KmsKeyId {line_4.id} cannot be used: The key {line_4} is disabled. "
        "`blemish keys kms enable line-4` enables it."
    )
    assert trainable.stored_names() == set()


def test_a_lost_default_key_is_no_fault_of_the_caller(trainable: House) -> None:
    (trainable.directory.keyring / f"{key(1).id}.json").unlink()

    with pytest.raises(KeyUnavailableError):
        create(trainable)

    assert trainable.stored_names() == set()


def test_a_model_that_is_being_deleted_makes_way_for_another(trainable: House) -> None:
    trainable.apply(replace(OURS, max_models_per_project=1))
    trainable.trained()
    trainable.models.delete("circuits", "1")

    assert trainable.model().version == 2


def test_a_new_model_says_what_of_its_datasets_is_not_used(house: House) -> None:
    house.images(normal=10)
    house.put("a.png")
    house.put("b.png")
    lines = [json_line("a.png", "normal"), json_line("b.png", **label_fields("good"))]
    house.dataset(lines, kind=TEST)

    model = create(house)

    assert model.status_message == (
        "The model is being trained. In the test dataset, 1 line has a class that is neither "
        'normal nor anomaly, which is no label: "good" (1).'
    )


def test_a_project_has_at_most_so_many_models(trainable: House) -> None:
    trainable.apply(replace(OURS, max_models_per_project=2))
    first = create(trainable)
    create(trainable)

    with pytest.raises(ServiceQuotaExceededError) as caught:
        create(trainable)

    assert caught.value.message == (
        "Project circuits has 2 models, the most allowed. Delete one first."
    )
    assert caught.value.members()["QuotaCode"]
    assert len(trainable.stored_names()) == 2
    delete_at_once(trainable, first)
    assert create(trainable).version == 3


def test_the_original_trains_two_models_at_once(house: House) -> None:
    house.images(normal=20, anomaly=10)
    house.apply(ORIGINAL)
    first = house.model()
    house.model()

    with pytest.raises(ServiceQuotaExceededError) as caught:
        house.model()

    assert caught.value.message == (
        "2 models are being trained, the most at once. Wait for one to end."
    )
    house.put_into(first, S.TRAINED)
    assert house.model()


def test_ours_lets_others_wait_their_turn(trainable: House) -> None:
    models = [create(trainable) for _ in range(5)]

    assert {model.status for model in models} == {S.TRAINING}


def delete_at_once(house: House, model: Model) -> None:
    with house.database.writing() as rows:
        rows.models.delete(model.id)


def test_a_version_is_never_given_twice(trainable: House) -> None:
    versions = []
    for _ in range(3):
        model = create(trainable)
        versions.append(model.version)
        delete_at_once(trainable, model)

    assert versions == [1, 2, 3]


def test_versions_are_counted_in_each_project(trainable: House) -> None:
    create(trainable)
    trainable.project("boards")
    trainable.dataset(trainable.lines(Label.NORMAL, 15), project="boards")

    assert trainable.model(project="boards").version == 1


def test_latest_is_the_newest_version_that_there_is(trainable: House) -> None:
    create(trainable)
    second, third = create(trainable), create(trainable)
    delete_at_once(trainable, third)

    assert trainable.models.describe("circuits", "latest") == second


def test_a_model_waits_for_a_store_that_does_not_answer(
    trainable: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(s3_objects, "RETRIES", 0)
    nowhere = S3Address(
        endpoint="http://127.0.0.1:1",
        region="us-east-1",
        access_key_id="other",
        secret_access_key="secret",
    )
    trainable.models = ModelService(
        trainable.database,
        objects=s3_objects.S3ObjectStore(nowhere),
        stored_files=trainable.stored_files,
        limits=trainable.limits,
        arns=trainable.arns,
        now=trainable.clock,
        new_name=lambda: "name",
        wake=lambda: None,
    )

    with pytest.raises(StoreUnavailableError):
        create(trainable)

    assert [path.name for path in trainable.directory.stored_files.iterdir()] == []


@pytest.mark.parametrize(
    "key", ["EvaluationResult-circuits-1.json", "EvaluationMasks-circuits-1/14.png"]
)
def test_a_training_writes_no_file_that_its_caller_may_not_write(
    trainable: House, key: str
) -> None:
    resource = f"arn:aws:s3:::{BUCKET}/out/{key}"
    denied = {"Effect": "Deny", "Action": "s3:PutObject", "Resource": resource}

    with pytest.raises(AccessDeniedError, match=re.escape(f"{BUCKET}/out/{key}")):
        trainable.models.create(
            "circuits",
            description=None,
            output_bucket=BUCKET,
            output_prefix="out/",
            rights=rights_of(allow("*"), denied),
        )

    assert trainable.models.page("circuits", token=None) == ([], None)
    assert trainable.stored_names() == set()
