from __future__ import annotations

from types import SimpleNamespace
from typing import Any, NoReturn, cast

from blemish.console.images import image_bucket
from blemish.console.visitor import Visitor
from blemish.domain.errors import ResourceNotFoundError, ResourceType
from blemish.storage.errors import BucketExistsError


def no_dataset(project: str, kind: object) -> NoReturn:
    raise ResourceNotFoundError(
        f"no {kind}", resource_type=ResourceType.DATASET, resource_id=project
    )


def exists_already(name: str) -> NoReturn:
    raise BucketExistsError(f"There is a bucket {name} already.")


def test_an_upload_uses_the_bucket_that_another_one_makes_at_the_same_time() -> None:
    services = SimpleNamespace(
        region="eu-west-1",
        datasets=SimpleNamespace(describe=no_dataset),
        objects=SimpleNamespace(has_bucket=lambda _: False),
        make_bucket=exists_already,
    )
    visitor: Any = SimpleNamespace(services=services, authorize_blocking=lambda *_: None)

    bucket = image_bucket._image_bucket(cast("Visitor", visitor), "plates")

    assert bucket == "lookoutvision-eu-west-1-console"
