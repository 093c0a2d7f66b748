from __future__ import annotations

import pytest

from blemish.domain.entities import ModelStatus
from blemish.domain.errors import (
    ConflictError,
    ResourceNotFoundError,
    ResourceType,
    ValidationError,
)
from blemish.domain.limits import ORIGINAL, OURS, Limits
from blemish.engine.images import ImageError, ImageLimits
from blemish.service.detection import DetectionService, image_limits
from tests.unit.fakes import FakeHosting, detection
from tests.unit.house import House

S = ModelStatus


@pytest.fixture
def runner() -> FakeHosting:
    return FakeHosting(detection())


@pytest.fixture
def service(house: House, runner: FakeHosting) -> DetectionService:
    house.project()
    house.pictures(normal=15)
    return DetectionService(
        house.database, hosted=runner, limits=OURS, mixed_sizes=True, arns=house.arns
    )


def test_a_hosted_model_judges_a_picture(
    house: House, service: DetectionService, runner: FakeHosting
) -> None:
    model = house.trained(S.HOSTED)

    found = service.detect("circuits", "latest", body=b"a picture", media_type="image/png")

    assert found is runner.answer
    assert runner.asked == [
        {
            "model_id": model.id,
            "data": b"a picture",
            "limits": ImageLimits(min_side=64, max_side=16_384, max_pixels=100_000_000),
            "mixed_sizes": True,
            "timeout_s": 10.0,
        }
    ]


@pytest.mark.parametrize(
    ("limits", "expected"),
    [(OURS, (64, 16_384, 100_000_000)), (ORIGINAL, (64, 4_096, 4_096 * 4_096))],
)
def test_pictures_may_measure_what_the_profile_says(
    limits: Limits, expected: tuple[int, int, int]
) -> None:
    found = image_limits(limits)

    assert (found.min_side, found.max_side, found.max_pixels) == expected


def test_a_model_that_is_loaded_again_is_waited_for(
    house: House, service: DetectionService, runner: FakeHosting
) -> None:
    house.trained(S.SYSTEM_UPDATING)

    found = service.detect("circuits", "1", body=b"a picture", media_type="image/jpeg")

    assert found is runner.answer


@pytest.mark.parametrize(
    "media_type", ["image/gif", "image/jpg", "application/octet-stream", "", "image/png; q=1"]
)
def test_another_content_type_is_refused(service: DetectionService, media_type: str) -> None:
    with pytest.raises(ValidationError) as caught:
        service.detect("circuits", "1", body=b"a picture", media_type=media_type)

    assert caught.value.message == (
        f"Content-Type is '{media_type}'; it must be one of image/jpeg, image/png."
    )


def test_an_empty_body_is_refused(service: DetectionService) -> None:
    with pytest.raises(ValidationError) as caught:
        service.detect("circuits", "1", body=b"", media_type="image/png")

    assert caught.value.message == "The body is empty; it must be a JPEG or PNG image."


def test_what_is_wrong_with_a_picture_is_passed_on(
    house: House, service: DetectionService, runner: FakeHosting
) -> None:
    house.trained(S.HOSTED)
    runner.answer = ImageError("The image is truncated.")

    with pytest.raises(ValidationError) as caught:
        service.detect("circuits", "1", body=b"half a picture", media_type="image/png")

    assert caught.value.message == "The image is truncated."


@pytest.mark.parametrize("status", sorted(set(S) - {S.HOSTED, S.SYSTEM_UPDATING}))
def test_a_model_that_is_not_hosted_judges_nothing(
    house: House, service: DetectionService, runner: FakeHosting, status: ModelStatus
) -> None:
    house.trained(status)

    with pytest.raises(ConflictError) as caught:
        service.detect("circuits", "latest", body=b"a picture", media_type="image/png")

    assert caught.value.message == (
        f"Model version 1 of project circuits is {status}; it must be HOSTED. "
        "Start it with StartModel."
    )
    assert caught.value.resource_type is ResourceType.MODEL
    assert caught.value.resource_id == house.arns.model("circuits", 1)
    assert runner.asked == []


def test_a_model_that_does_not_come_back_is_named_with_its_status_of_now(
    house: House, service: DetectionService, runner: FakeHosting
) -> None:
    model = house.trained(S.SYSTEM_UPDATING)
    runner.answer = None
    runner.meanwhile = lambda: house.put_into(model, S.HOSTING_FAILED)

    with pytest.raises(ConflictError) as caught:
        service.detect("circuits", "1", body=b"a picture", media_type="image/png")

    assert "is HOSTING_FAILED;" in caught.value.message


@pytest.mark.parametrize(
    ("project", "version", "kind"),
    [
        ("unknown", "1", ResourceType.PROJECT),
        ("circuits", "1", ResourceType.MODEL),
        ("circuits", "latest", ResourceType.MODEL),
    ],
)
def test_an_unknown_model_is_not_found(
    service: DetectionService, project: str, version: str, kind: ResourceType
) -> None:
    with pytest.raises(ResourceNotFoundError) as caught:
        service.detect(project, version, body=b"a picture", media_type="image/png")

    assert caught.value.resource_type is kind
