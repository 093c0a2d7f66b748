"""Who may do nothing, over every operation that a server answers."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore import xform_name
from botocore.exceptions import ClientError

from blemish.api.service_model import service_model
from blemish.domain.entities import KeyPair, ModelStatus
from blemish.server.app import running_server
from blemish.settings import Settings
from tests.asgi_client import boto3_client, installed_models
from tests.unit.house import PROJECT, House
from tests.unit.principals import sample
from tests.unit.service.keys import KeyHouse

MODEL_ARN = "arn:aws:lookoutvision:us-east-1:000000000000:model/circuits/1"
MEMBERS = {"ProjectName": PROJECT, "ModelVersion": "1", "ResourceArn": MODEL_ARN}
NOTHING = {
    "Version": "2012-10-17",
    "Statement": {"Effect": "Allow", "Action": "s3:ListAllMyBuckets", "Resource": "*"},
}


def error_of(client: Any, operation: str) -> tuple[str, str]:
    """Ask for an operation; return the code and the message of the error that it ends with."""
    members = sample(service_model().operation_model(operation).input_shape, MEMBERS)
    with pytest.raises(ClientError) as caught:
        getattr(client, xform_name(operation))(**members)
    error = caught.value.response["Error"]
    return error["Code"], error["Message"]


def errors_of(house: House, key: KeyPair) -> dict[str, tuple[str, str]]:
    """Ask a server over the folders of the test for every operation; return how each ends."""
    settings = Settings(data_dir=house.directory.root)
    with running_server(settings, house.directory) as server:
        client = boto3_client(
            server.application, key_id=key.id, secret=key.secret, models=installed_models()
        )
        return {name: error_of(client, name) for name in service_model().operation_names}


def test_no_operation_tells_anything_to_who_may_do_nothing(house: House) -> None:
    key = KeyHouse(house).create("nobody", policy=json.dumps(NOTHING))

    before = errors_of(house, key)
    # between two servers: one that runs would take up the dataset before it is complete
    house.project()
    house.images(normal=15)
    model = house.trained(ModelStatus.TRAINED)
    after = errors_of(house, key)

    assert {code for code, _ in before.values()} == {"AccessDeniedException"}
    assert all(f"perform: lookoutvision:{name} " in said for name, (_, said) in before.items())
    assert after == before
    assert house.described(model) == model
