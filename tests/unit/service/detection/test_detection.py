from __future__ import annotations

import asyncio
import io

import pytest
from PIL import Image

from blemish.domain.entities import Model, ModelStatus
from blemish.domain.errors import (
    ConflictError,
    ResourceNotFoundError,
    ResourceType,
    ThrottlingError,
    ValidationError,
    quota_code,
)
from blemish.domain.limits import ORIGINAL, OURS, Limits, Quota
from blemish.engine.errors import BundleError
from blemish.engine.images.decode import ImageError, ImageLimits, decode
from blemish.engine.runtime import Detection
from blemish.service.detection.detection import DetectionService
from tests.unit.fakes import FakeHosting, detection
from tests.unit.house import House

S = ModelStatus


class Counter:
    """Notes what is counted."""

    def __init__(self) -> None:
        self.noted: list[tuple[object, ...]] = []

    def detected(self, model: Model, *, is_anomalous: bool, took_s: float) -> None:
        self.noted.append((model.project, model.version, is_anomalous, took_s))

    def failed(self, model: Model, error: Exception) -> None:
        self.noted.append((model.project, model.version, type(error)))


@pytest.fixture
def runner() -> FakeHosting:
    return FakeHosting(detection())


@pytest.fixture
def counter() -> Counter:
    return Counter()


@pytest.fixture
def service(house: House, runner: FakeHosting, counter: Counter) -> DetectionService:
    house.project()
    house.images(normal=15)
    return DetectionService(
        house.database,
        hosted=runner,
        limits=OURS,
        mixed_sizes=True,
        arns=house.arns,
        counter=counter,
        clock=iter([1.0, 3.5]).__next__,
    )


def detect(
    service: DetectionService,
    project: str = "circuits",
    version: str = "1",
    *,
    body: bytes = b"an image",
    media_type: str = "image/png",
) -> Detection:
    model = service.model_for(project, version, body=body, media_type=media_type)
    return asyncio.run(service.detect(model, body))


def test_a_hosted_model_judges_a_image(
    house: House, service: DetectionService, runner: FakeHosting
) -> None:
    model = house.trained(S.HOSTED)

    found = detect(service, "circuits", "latest", body=b"an image", media_type="image/png")

    assert found is runner.answer
    assert runner.requests == [
        {
            "model_id": model.id,
            "data": b"an image",
            "limits": ImageLimits(min_side=64, max_side=16_384, max_pixels=100_000_000),
            "mixed_sizes": True,
            "timeout_s": 10.0,
        }
    ]


@pytest.mark.parametrize(
    ("limits", "expected"),
    [(OURS, (64, 16_384, 100_000_000)), (ORIGINAL, (64, 4_096, 4_096 * 4_096))],
)
def test_images_may_measure_what_the_profile_says(
    limits: Limits, expected: tuple[int, int, int]
) -> None:
    found = ImageLimits.of(limits)

    assert (found.min_side, found.max_side, found.max_pixels) == expected


@pytest.mark.parametrize("limits", [OURS, ORIGINAL])
def test_a_image_may_be_as_small_and_as_large_as_the_profile_says(limits: Limits) -> None:
    least, most = limits.image_min_side, limits.image_max_side

    for size in ((least, most), (most, least)):
        assert decode(gray(size), limits=ImageLimits.of(limits)).stored_size == size
    for size in ((least - 1, most), (least, most + 1), (most, least - 1), (most + 1, least)):
        with pytest.raises(ImageError, match=f"each side must be {least} to {most:,} pixels"):
            decode(gray(size), limits=ImageLimits.of(limits))


def test_ours_has_an_end_to_the_pixels_too() -> None:
    with pytest.raises(ImageError, match="and both together at most 100,000,000"):
        decode(gray((10_000, 10_001)), limits=ImageLimits.of(OURS))


def gray(size: tuple[int, int]) -> bytes:
    """Encode an image of one colour."""
    buffer = io.BytesIO()
    Image.new("L", size).save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


def test_a_model_that_is_loaded_again_is_waited_for(
    house: House, service: DetectionService, runner: FakeHosting
) -> None:
    house.trained(S.SYSTEM_UPDATING)

    found = detect(service, "circuits", "1", body=b"an image", media_type="image/jpeg")

    assert found is runner.answer


@pytest.mark.parametrize(
    "media_type", ["image/gif", "image/jpg", "application/octet-stream", "", "image/png; q=1"]
)
def test_another_content_type_is_refused(service: DetectionService, media_type: str) -> None:
    with pytest.raises(ValidationError) as caught:
        detect(service, "circuits", "1", body=b"an image", media_type=media_type)

    assert caught.value.message == (
        f"Content-Type is '{media_type}'; it must be one of image/jpeg, image/png, image/tiff, "
        "image/bmp, image/webp."
    )


def test_an_empty_body_is_refused(service: DetectionService) -> None:
    with pytest.raises(ValidationError) as caught:
        detect(service, "circuits", "1", body=b"", media_type="image/png")

    assert (
        caught.value.message
        == "The body is empty; it must be a JPEG, PNG, TIFF, BMP or WebP image."
    )


def test_what_is_wrong_with_a_image_is_passed_on(
    house: House, service: DetectionService, runner: FakeHosting
) -> None:
    house.trained(S.HOSTED)
    runner.answer = ImageError("The image is truncated.")

    with pytest.raises(ValidationError) as caught:
        detect(service, "circuits", "1", body=b"half an image", media_type="image/png")

    assert caught.value.message == "The image is truncated."


@pytest.mark.parametrize("status", sorted(set(S) - {S.HOSTED, S.SYSTEM_UPDATING}))
def test_a_model_that_is_not_hosted_judges_nothing(
    house: House, service: DetectionService, runner: FakeHosting, status: ModelStatus
) -> None:
    house.trained(status)

    with pytest.raises(ConflictError) as caught:
        detect(service, "circuits", "latest", body=b"an image", media_type="image/png")

    assert caught.value.message == (
        f"Model version 1 of project circuits is {status}; it must be HOSTED. "
        "Start it with StartModel."
    )
    assert caught.value.resource_type is ResourceType.MODEL
    assert caught.value.resource_id == house.arns.model("circuits", 1)
    assert runner.requests == []


@pytest.mark.parametrize(("wait_s", "retry_after_s"), [(0.01, 1), (1.0, 1), (12.3, 13)])
def test_a_model_with_a_full_line_says_how_long_it_is(
    house: House,
    service: DetectionService,
    runner: FakeHosting,
    wait_s: float,
    retry_after_s: int,
) -> None:
    house.trained(S.HOSTED)
    runner.busy_for_s = wait_s

    with pytest.raises(ThrottlingError) as caught:
        detect(service, "circuits", "latest", body=b"an image", media_type="image/png")

    assert f"they take about {wait_s:.1f} seconds" in caught.value.message
    assert caught.value.members()["RetryAfterSeconds"] == retry_after_s
    assert caught.value.members()["QuotaCode"] == quota_code(Quota.DETECTIONS)


def test_a_model_that_does_not_come_back_is_named_with_its_status_of_now(
    house: House, service: DetectionService, runner: FakeHosting
) -> None:
    model = house.trained(S.SYSTEM_UPDATING)
    runner.answer = None
    runner.meanwhile = lambda: house.put_into(model, S.HOSTING_FAILED)

    with pytest.raises(ConflictError) as caught:
        detect(service, "circuits", "1", body=b"an image", media_type="image/png")

    assert "is HOSTING_FAILED;" in caught.value.message


@pytest.mark.parametrize("status", [S.HOSTED, S.SYSTEM_UPDATING])
def test_a_detection_is_to_come_again_while_a_model_takes_long_to_load(
    house: House, service: DetectionService, runner: FakeHosting, status: ModelStatus
) -> None:
    house.trained(status)
    runner.answer = None

    with pytest.raises(ThrottlingError, match="is still being loaded") as caught:
        detect(service, "circuits", "1", body=b"an image", media_type="image/png")

    assert caught.value.members()["RetryAfterSeconds"] == 1


def test_a_hosted_model_that_cannot_be_loaded_says_why(
    house: House, service: DetectionService, runner: FakeHosting
) -> None:
    house.trained(S.HOSTED)
    runner.damage = BundleError("The bundle is damaged.")

    with pytest.raises(ConflictError, match=r"is HOSTED; The bundle is damaged\."):
        detect(service, "circuits", "1", body=b"an image", media_type="image/png")


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
        detect(service, project, version, body=b"an image", media_type="image/png")

    assert caught.value.resource_type is kind


def test_a_verdict_is_counted_with_the_time_that_it_took(
    house: House, service: DetectionService, counter: Counter
) -> None:
    house.trained(S.HOSTED)

    found = detect(service, "circuits", "latest", body=b"an image", media_type="image/png")

    assert counter.noted == [("circuits", 1, found.is_anomalous, 2.5)]


@pytest.mark.parametrize(
    ("status", "answer", "busy_for_s", "error"),
    [
        (S.TRAINED, None, None, ConflictError),
        (S.HOSTED, None, None, ThrottlingError),
        (S.HOSTED, ImageError("The image is truncated."), None, ValidationError),
        (S.HOSTED, None, 1.0, ThrottlingError),
    ],
)
def test_a_detection_without_a_verdict_is_counted_once(
    house: House,
    service: DetectionService,
    runner: FakeHosting,
    counter: Counter,
    status: ModelStatus,
    answer: ImageError | None,
    busy_for_s: float | None,
    error: type[Exception],
) -> None:
    house.trained(status)
    runner.answer, runner.busy_for_s = answer, busy_for_s

    with pytest.raises(error):
        detect(service, "circuits", "1", body=b"an image", media_type="image/png")

    assert counter.noted == [("circuits", 1, error)]


def test_of_a_model_that_is_not_there_nothing_is_counted(
    service: DetectionService, counter: Counter
) -> None:
    with pytest.raises(ResourceNotFoundError):
        detect(service, "circuits", "7", body=b"an image", media_type="image/png")

    assert counter.noted == []
