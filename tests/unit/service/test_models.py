from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace

import pytest

from blemish.domain.entities import (
    DatasetStatus,
    DatasetType,
    InferenceUnits,
    Label,
    Model,
    ModelStatus,
)
from blemish.domain.errors import (
    ConflictError,
    ResourceNotFoundError,
    ResourceType,
    ServiceQuotaExceededError,
    ValidationError,
)
from blemish.domain.lifecycle import MODEL_MOVES, USABLE_DATASET
from blemish.domain.limits import ORIGINAL, OURS, Limits
from blemish.service.tokens import next_token
from tests.unit.house import ONE_UNIT, House
from tests.unit.manifests import BUCKET, json_line

TRAIN, TEST = DatasetType.TRAIN, DatasetType.TEST
S = ModelStatus


@pytest.fixture(autouse=True)
def project(house: House) -> None:
    """Every model belongs to one."""
    house.project()


@pytest.fixture
def trainable(house: House) -> House:
    """A project with just enough pictures in one dataset."""
    house.pictures(normal=15)
    return house


def create(house: House, *, bucket: str = BUCKET, prefix: str = "out/") -> Model:
    return house.models.create(
        "circuits", description=None, output_bucket=bucket, output_prefix=prefix
    )


def frozen(house: House, model: Model) -> list[tuple[str, str]]:
    lines = map(json.loads, house.kept.lines(model.entries))
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
    house.pictures(normal=10, other=1)
    house.pictures(TEST, normal=1, anomaly=1)

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
    odd = '{ "source-ref":"s3://pictures/ä.png",  "other": "\\u00e4\\n" }'
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
def test_too_few_labelled_pictures_are_counted_out(
    house: House, limits: Limits, train: Counts, test: Counts | None, missing: list[str | int]
) -> None:
    house.apply(limits)
    house.pictures(normal=train[0], anomaly=train[1], other=30)
    if test:
        house.pictures(TEST, normal=test[0], anomaly=test[1], other=30)
    if not missing:
        assert house.model().status is S.TRAINING
        return

    with pytest.raises(ValidationError) as caught:
        house.model()

    parts = [missing[i : i + 4] for i in range(0, len(missing), 4)]
    sentences = [
        f"the {kind} dataset has {found} {label} images and needs at least {least}"
        for kind, found, label, least in parts
    ]
    assert caught.value.message == f"Too few labelled images: {'; '.join(sentences)}."
    assert house.kept_names() == set()
    assert house.models.page("circuits", token=None) == ([], None)


def test_a_model_needs_a_project(house: House) -> None:
    with pytest.raises(ResourceNotFoundError) as caught:
        house.model(project="unknown")

    assert caught.value.resource_type is ResourceType.PROJECT


def test_a_model_needs_a_training_dataset(house: House) -> None:
    house.pictures(TEST, normal=20)

    with pytest.raises(ResourceNotFoundError) as caught:
        house.model()

    assert caught.value.message == "Project circuits has no train dataset."
    assert caught.value.resource_type is ResourceType.DATASET


@pytest.mark.parametrize("kind", list(DatasetType))
@pytest.mark.parametrize("status", list(DatasetStatus))
def test_a_model_needs_datasets_at_rest(
    house: House, kind: DatasetType, status: DatasetStatus
) -> None:
    house.pictures(normal=10)
    house.pictures(TEST, normal=1)
    put_dataset_into(house, kind, status)
    if status in USABLE_DATASET:
        assert house.model()
        return

    with pytest.raises(ConflictError) as caught:
        house.model()

    assert f"The {kind} dataset of project circuits is {status};" in caught.value.message
    assert caught.value.resource_type is ResourceType.DATASET
    assert caught.value.resource_id == f"circuits/{kind}"


@pytest.mark.parametrize("bucket", ["nowhere", "..", "pictures/out"])
def test_a_model_needs_a_bucket_for_its_evaluation_files(trainable: House, bucket: str) -> None:
    (trainable.directory.buckets / "pictures" / "out").mkdir()

    with pytest.raises(ValidationError) as caught:
        create(trainable, bucket=bucket)

    assert caught.value.message == f"OutputConfig names the bucket {bucket}, which does not exist."
    assert trainable.kept_names() == set()


@pytest.mark.parametrize("prefix", ["", "out/", "out-", "a/b/c", "results/.hidden"])
def test_a_prefix_that_a_file_can_have_is_taken(trainable: House, prefix: str) -> None:
    assert create(trainable, prefix=prefix).output_prefix == prefix


@pytest.mark.parametrize("prefix", ["../", "a//", "a/./", "/", "a/../../b", "k" * 1_000, "a\0"])
def test_a_prefix_that_no_file_can_have_is_refused(trainable: House, prefix: str) -> None:
    with pytest.raises(ValidationError) as caught:
        create(trainable, prefix=prefix)

    assert caught.value.message.startswith("OutputConfig cannot be written to: ")
    assert trainable.kept_names() == set()


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
    assert len(trainable.kept_names()) == 2
    delete_at_once(trainable, first)
    assert create(trainable).version == 3


def test_the_original_trains_two_models_at_once(house: House) -> None:
    house.pictures(normal=20, anomaly=10)
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


Operation = Callable[[House, str], object]
ON_A_MODEL: dict[str, Operation] = {
    "describe": lambda house, version: house.models.describe("circuits", version),
    "start": lambda house, version: house.models.start("circuits", version, units=ONE_UNIT),
    "stop": lambda house, version: house.models.stop("circuits", version),
    "delete": lambda house, version: house.models.delete("circuits", version),
}


@pytest.mark.parametrize("name", ON_A_MODEL)
@pytest.mark.parametrize(
    ("version", "message"),
    [
        ("2", "Project circuits has no model version 2."),
        ("0", "Project circuits has no model version 0."),
        ("9999999999", "Project circuits has no model version 9999999999."),
    ],
)
def test_an_unknown_version_is_not_found(
    trainable: House, name: str, version: str, message: str
) -> None:
    create(trainable)

    with pytest.raises(ResourceNotFoundError) as caught:
        ON_A_MODEL[name](trainable, version)

    assert caught.value.message == message
    assert caught.value.resource_type is ResourceType.MODEL
    assert caught.value.resource_id == f"circuits/{version}"


@pytest.mark.parametrize("name", ON_A_MODEL)
def test_there_is_no_latest_without_a_model(house: House, name: str) -> None:
    with pytest.raises(ResourceNotFoundError) as caught:
        ON_A_MODEL[name](house, "latest")

    assert caught.value.message == "Project circuits has no model."


@pytest.mark.parametrize("name", ON_A_MODEL)
def test_a_model_of_an_unknown_project_is_not_found(house: House, name: str) -> None:
    house.projects.delete("circuits")

    with pytest.raises(ResourceNotFoundError) as caught:
        ON_A_MODEL[name](house, "1")

    assert caught.value.resource_type is ResourceType.PROJECT


def versions(house: House, token: str | None, *, limit: int = 2) -> tuple[list[int], str | None]:
    page, token = house.models.page("circuits", token=token, limit=limit)
    return [model.version for model in page], token


def test_models_are_listed_newest_first_and_page_by_page(trainable: House) -> None:
    for _ in range(5):
        create(trainable)

    first, token = versions(trainable, None)
    second, token = versions(trainable, token)
    third, token = versions(trainable, token)

    assert [first, second, third] == [[5, 4], [3, 2], [1]]
    assert token is None


def test_a_page_that_is_just_full_is_the_last(trainable: House) -> None:
    create(trainable)
    create(trainable)

    assert versions(trainable, None) == ([2, 1], None)


def test_the_token_of_another_list_is_refused(trainable: House) -> None:
    for _ in range(3):
        create(trainable)
    _, token = versions(trainable, None)
    trainable.project("boards")

    for project, wrong in (("boards", token), ("circuits", next_token("projects", 2))):
        with pytest.raises(ValidationError):
            trainable.models.page(project, token=wrong)


def test_the_models_of_an_unknown_project_are_not_found(house: House) -> None:
    with pytest.raises(ResourceNotFoundError):
        house.models.page("unknown", token=None)


TARGETS = {
    "start": S.STARTING_HOSTING,
    "stop": S.STOPPING_HOSTING,
    "delete": S.DELETING,
}
ALLOWED = {
    "start": {S.TRAINED, S.HOSTING_FAILED},
    "stop": {S.HOSTED, S.SYSTEM_UPDATING},
    "delete": {S.TRAINED, S.TRAINING_FAILED, S.HOSTING_FAILED},
}
MESSAGES = {
    "start": "The model is starting.",
    "stop": "The model is stopping.",
    "delete": "The model is being deleted.",
}


@pytest.mark.parametrize("status", list(ModelStatus))
@pytest.mark.parametrize("name", TARGETS)
def test_a_model_is_started_stopped_and_deleted_only_in_its_time(
    trainable: House, name: str, status: ModelStatus
) -> None:
    model = trainable.put_into(create(trainable), status)
    wakes = trainable.wakes
    if status in ALLOWED[name]:
        ON_A_MODEL[name](trainable, "latest")

        found = trainable.described(model)
        assert (found.status, found.status_message) == (TARGETS[name], MESSAGES[name])
        assert trainable.wakes == wakes + 1
        return

    with pytest.raises(ConflictError) as caught:
        ON_A_MODEL[name](trainable, "latest")

    arn = "arn:aws:lookoutvision:eu-west-1:123456789012:model/circuits/1"
    assert caught.value.message == (f"Model {arn} is {status}; it cannot become {TARGETS[name]}.")
    assert (caught.value.resource_type, caught.value.resource_id) == (ResourceType.MODEL, arn)
    assert trainable.described(model) == model


def test_what_may_be_asked_for_is_what_the_diagram_allows() -> None:
    for name, target in TARGETS.items():
        assert {status for status in S if target in MODEL_MOVES[status]} == ALLOWED[name]


def test_start_and_stop_answer_the_status_that_follows(trainable: House) -> None:
    model = trainable.put_into(create(trainable), S.TRAINED)

    assert trainable.models.start("circuits", "1", units=ONE_UNIT) is S.STARTING_HOSTING
    trainable.put_into(model, S.HOSTED)
    assert trainable.models.stop("circuits", "latest") is S.STOPPING_HOSTING


def test_delete_answers_the_model(trainable: House) -> None:
    model = trainable.put_into(create(trainable), S.TRAINING_FAILED)

    assert trainable.models.delete("circuits", "1").version == model.version


@pytest.mark.parametrize("maximum", [None, 2, 3])
def test_a_started_model_has_its_inference_units(trainable: House, maximum: int | None) -> None:
    model = trainable.put_into(create(trainable), S.TRAINED)
    units = InferenceUnits(minimum=2, maximum=maximum)

    trainable.models.start("circuits", "1", units=units)

    assert trainable.described(model).units == units


def test_the_maximum_of_units_is_not_below_the_minimum(trainable: House) -> None:
    trainable.put_into(create(trainable), S.TRAINED)

    with pytest.raises(ValidationError) as caught:
        trainable.models.start("circuits", "1", units=InferenceUnits(minimum=3, maximum=2))

    assert caught.value.message == (
        "MaxInferenceUnits is 2; it must be at least MinInferenceUnits, 3."
    )


@pytest.mark.parametrize(("limits", "most"), [(OURS, 64), (ORIGINAL, 5)])
def test_a_model_has_at_most_so_many_units(trainable: House, limits: Limits, most: int) -> None:
    trainable.put_into(create(trainable), S.TRAINED)
    trainable.apply(limits)

    for minimum, maximum in ((most + 1, None), (1, most + 1)):
        with pytest.raises(ServiceQuotaExceededError) as caught:
            trainable.models.start(
                "circuits", "1", units=InferenceUnits(minimum=minimum, maximum=maximum)
            )
        assert caught.value.message == f"A model can have at most {most} inference units."
    assert trainable.models.start("circuits", "1", units=InferenceUnits(minimum=most, maximum=most))


def test_at_most_so_many_models_are_hosted(trainable: House) -> None:
    trainable.apply(replace(OURS, max_hosted_models=3))
    models = [create(trainable) for _ in range(4)]
    for model, status in zip(
        models, (S.STARTING_HOSTING, S.HOSTED, S.SYSTEM_UPDATING, S.TRAINED), strict=True
    ):
        trainable.put_into(model, status)

    with pytest.raises(ServiceQuotaExceededError) as caught:
        trainable.models.start("circuits", "4", units=ONE_UNIT)

    assert caught.value.message == "3 models are hosted, the most allowed. Stop one first."
    trainable.put_into(models[0], S.HOSTING_FAILED)
    assert trainable.models.start("circuits", "4", units=ONE_UNIT)
