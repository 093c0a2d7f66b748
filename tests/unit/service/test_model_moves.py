from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from blemish.domain.entities import InferenceUnits, ModelStatus
from blemish.domain.errors import (
    ConflictError,
    ResourceNotFoundError,
    ResourceType,
    ServiceError,
    ServiceQuotaExceededError,
    ValidationError,
)
from blemish.domain.lifecycle import MODEL_MOVES
from blemish.domain.limits import ORIGINAL, OURS, Limits
from blemish.service.next_tokens import next_token
from tests.unit.house import ONE_UNIT, House

S = ModelStatus

Operation = Callable[[House, str], object]
ON_A_MODEL: dict[str, Operation] = {
    "describe": lambda house, version: house.models.describe("circuits", version),
    "start": lambda house, version: house.models.start("circuits", version, units=ONE_UNIT),
    "stop": lambda house, version: house.models.stop("circuits", version),
    "delete": lambda house, version: house.models.delete("circuits", version),
    "update units": lambda house, version: house.models.update_units(
        "circuits", version, units=ONE_UNIT
    ),
    "cancel": lambda house, version: house.models.cancel("circuits", version, by="ada"),
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
    trainable.model()

    with pytest.raises(ResourceNotFoundError) as caught:
        ON_A_MODEL[name](trainable, version)

    assert caught.value.message == message
    assert caught.value.resource_type is ResourceType.MODEL
    assert caught.value.resource_id == f"circuits/{version}"


@pytest.mark.parametrize("name", ON_A_MODEL)
def test_there_is_no_latest_without_a_model(house: House, name: str) -> None:
    house.project()

    with pytest.raises(ResourceNotFoundError) as caught:
        ON_A_MODEL[name](house, "latest")

    assert caught.value.message == "Project circuits has no model."


@pytest.mark.parametrize("name", ON_A_MODEL)
def test_a_model_of_an_unknown_project_is_not_found(house: House, name: str) -> None:
    with pytest.raises(ResourceNotFoundError) as caught:
        ON_A_MODEL[name](house, "1")

    assert caught.value.resource_type is ResourceType.PROJECT


def versions(house: House, token: str | None, *, limit: int = 2) -> tuple[list[int], str | None]:
    page, token = house.models.page("circuits", token=token, limit=limit)
    return [model.version for model in page], token


def test_models_are_listed_newest_first_and_page_by_page(trainable: House) -> None:
    for _ in range(5):
        trainable.model()

    first, token = versions(trainable, None)
    second, token = versions(trainable, token)
    third, token = versions(trainable, token)

    assert [first, second, third] == [[5, 4], [3, 2], [1]]
    assert token is None


def test_a_page_that_is_just_full_is_the_last(trainable: House) -> None:
    trainable.model()
    trainable.model()

    assert versions(trainable, None) == ([2, 1], None)


def test_the_token_of_another_list_is_refused(trainable: House) -> None:
    for _ in range(3):
        trainable.model()
    _, token = versions(trainable, None)
    trainable.project("boards")

    for project, wrong in (("boards", token), ("circuits", next_token("projects", 2))):
        with pytest.raises(ValidationError):
            trainable.models.page(project, token=wrong)


def test_the_models_of_an_unknown_project_are_not_found(house: House) -> None:
    with pytest.raises(ResourceNotFoundError):
        house.models.page("unknown", token=None)


TARGETS = {
    "update units": S.SYSTEM_UPDATING,
    "start": S.STARTING_HOSTING,
    "stop": S.STOPPING_HOSTING,
    "delete": S.DELETING,
}
ALLOWED = {
    "update units": {S.HOSTED},
    "start": {S.TRAINED, S.HOSTING_FAILED},
    "stop": {S.HOSTED, S.SYSTEM_UPDATING, S.HOSTING_FAILED},
    "delete": {S.TRAINED, S.TRAINING_FAILED, S.HOSTING_FAILED},
}
MESSAGES = {
    "update units": "The model is being moved to other inference units.",
    "start": "The model is starting.",
    "stop": "The model is stopping.",
    "delete": "The model is being deleted.",
}


@pytest.mark.parametrize("status", list(ModelStatus))
@pytest.mark.parametrize("name", TARGETS)
def test_a_model_is_started_stopped_and_deleted_only_in_its_time(
    trainable: House, name: str, status: ModelStatus
) -> None:
    model = trainable.put_into(trainable.model(), status)
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
    assert caught.value.message.startswith(f"Model {arn} is {status}: it ")
    assert ", and cannot be" in caught.value.message
    assert (caught.value.resource_type, caught.value.resource_id) == (ResourceType.MODEL, arn)
    assert trainable.described(model) == model


def test_what_may_be_asked_for_is_what_the_diagram_allows() -> None:
    for name, target in TARGETS.items():
        assert {status for status in S if target in MODEL_MOVES[status]} == ALLOWED[name]


@pytest.mark.parametrize("claimed", [False, True])
def test_a_training_is_cancelled_whether_it_waits_or_runs(trainable: House, claimed: bool) -> None:
    model = trainable.model()
    attempt = trainable.claim_model(model) if claimed else 0

    assert trainable.models.cancel("circuits", "1", by="ada") is S.TRAINING_FAILED

    found = trainable.described(model)
    assert (found.status, found.status_message) == (S.TRAINING_FAILED, "Cancelled by ada.")
    with trainable.database.writing() as rows:
        until = trainable.clock.time
        assert rows.models.unsettled() == []
        assert not rows.models.renew(model.id, attempt=attempt, lease_until=until)


@pytest.mark.parametrize("status", sorted(set(S) - {S.TRAINING}))
def test_only_a_training_is_cancelled(trainable: House, status: ModelStatus) -> None:
    model = trainable.put_into(trainable.model(), status)

    with pytest.raises(ConflictError) as caught:
        trainable.models.cancel("circuits", "1", by="ada")

    told = " (Put into TRAINING_FAILED.)" if status is S.TRAINING_FAILED else ""
    arn = "arn:aws:lookoutvision:eu-west-1:123456789012:model/circuits/1"
    assert caught.value.message == (
        f"Model {arn} is {status}{told}; only a training can be cancelled."
    )
    assert (caught.value.resource_type, caught.value.resource_id) == (ResourceType.MODEL, arn)
    assert trainable.described(model) == model


def test_who_cancels_twice_is_told_so(trainable: House) -> None:
    trainable.model()
    trainable.models.cancel("circuits", "1", by="ada")

    with pytest.raises(ConflictError, match=r"is TRAINING_FAILED \(Cancelled by ada\.\); only a"):
        trainable.models.cancel("circuits", "1", by="bob")


def test_start_and_stop_answer_the_status_that_follows(trainable: House) -> None:
    model = trainable.put_into(trainable.model(), S.TRAINED)

    assert trainable.models.start("circuits", "1", units=ONE_UNIT) is S.STARTING_HOSTING
    trainable.put_into(model, S.HOSTED)
    assert trainable.models.stop("circuits", "latest") is S.STOPPING_HOSTING


def test_delete_answers_the_model(trainable: House) -> None:
    model = trainable.put_into(trainable.model(), S.TRAINING_FAILED)

    assert trainable.models.delete("circuits", "1").version == model.version


@pytest.mark.parametrize("maximum", [None, 2, 3])
def test_a_started_model_has_its_inference_units(trainable: House, maximum: int | None) -> None:
    model = trainable.put_into(trainable.model(), S.TRAINED)
    units = InferenceUnits(minimum=2, maximum=maximum)

    trainable.models.start("circuits", "1", units=units)

    assert trainable.described(model).units == units


def test_the_maximum_of_units_is_not_below_the_minimum(trainable: House) -> None:
    trainable.put_into(trainable.model(), S.TRAINED)

    with pytest.raises(ValidationError) as caught:
        trainable.models.start("circuits", "1", units=InferenceUnits(minimum=3, maximum=2))

    assert caught.value.message == (
        "MaxInferenceUnits is 2; it must be at least MinInferenceUnits, 3."
    )


def test_a_hosted_model_gets_other_units(trainable: House) -> None:
    model = trainable.put_into(trainable.model(), S.HOSTED)
    units = InferenceUnits(minimum=2, maximum=5)
    trainable.apply(replace(OURS, max_hosted_models=1))  # it counts for itself alone

    assert trainable.models.update_units("circuits", "1", units=units) is S.SYSTEM_UPDATING

    assert trainable.described(model).units == units


@pytest.mark.parametrize(
    ("refused", "minimum", "maximum"),
    [
        (ValidationError, 3, 2),
        (ServiceQuotaExceededError, 65, None),
        (ServiceQuotaExceededError, 1, 65),
    ],
)
def test_units_that_a_model_cannot_start_with_cannot_be_updated_to(
    trainable: House, refused: type[ServiceError], minimum: int, maximum: int | None
) -> None:
    model = trainable.put_into(trainable.model(), S.HOSTED)
    units = InferenceUnits(minimum=minimum, maximum=maximum)

    with pytest.raises(refused):
        trainable.models.update_units("circuits", "1", units=units)

    assert trainable.described(model) == model


@pytest.mark.parametrize(("limits", "most"), [(OURS, 64), (ORIGINAL, 5)])
def test_a_model_has_at_most_so_many_units(trainable: House, limits: Limits, most: int) -> None:
    trainable.put_into(trainable.model(), S.TRAINED)
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
    models = [trainable.model() for _ in range(4)]
    for model, status in zip(
        models, (S.STARTING_HOSTING, S.HOSTED, S.SYSTEM_UPDATING, S.TRAINED), strict=True
    ):
        trainable.put_into(model, status)

    with pytest.raises(ServiceQuotaExceededError) as caught:
        trainable.models.start("circuits", "4", units=ONE_UNIT)

    assert caught.value.message == "3 models are hosted, the most allowed. Stop one first."
    trainable.put_into(models[0], S.HOSTING_FAILED)
    assert trainable.models.start("circuits", "4", units=ONE_UNIT)
