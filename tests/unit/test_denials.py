"""Who may do nothing, over every operation that a server answers."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore import xform_name
from botocore.exceptions import ClientError

from blemish.api.service_model import service_model
from blemish.domain.entities import ModelStatus
from blemish.server.app import running_server
from blemish.settings import Settings
from tests.asgi_client import boto3_client, installed_models
from tests.unit.house import PROJECT, House
from tests.unit.principals import sample

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


def test_no_operation_tells_anything_to_who_may_do_nothing(house: House) -> None:
    operations = service_model().operation_names
    settings = Settings(data_dir=house.directory.root)
    with running_server(settings, house.directory) as server:
        key = server.keys.draw()
        server.keys.create("nobody", key, policy=json.dumps(NOTHING), tags={})
        client = boto3_client(
            server.application, key_id=key.id, secret=key.secret, models=installed_models()
        )

        before = {operation: error_of(client, operation) for operation in operations}
        house.project()
        house.images(normal=15)
        model = house.trained(ModelStatus.TRAINED)
        after = {operation: error_of(client, operation) for operation in operations}

    assert {code for code, _ in before.values()} == {"AccessDeniedException"}
    assert all(f"perform: lookoutvision:{name} " in said for name, (_, said) in before.items())
    assert after == before
    assert house.described(model) == model
