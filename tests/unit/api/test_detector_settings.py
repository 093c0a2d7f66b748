"""Detector settings through a client that knows them, and one that does not."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ParamValidationError

from tests.unit.api.requests import CIRCUITS, MODEL, OUTPUT, answer, message
from tests.unit.house import House
from tests.unit.storage.samples import add_model, add_project

DEFAULTS = {"Sensitivity": "balanced", "Resolution": "auto"}


def test_a_project_begins_with_the_defaults_and_settings_left_out_stay(
    extended_client: Any, client: Any, house: House
) -> None:
    house.project()

    first = extended_client.describe_project(**CIRCUITS)["ProjectDescription"]
    strict = extended_client.update_detector_settings(
        **CIRCUITS, DetectorSettings={"Sensitivity": "strict"}
    )
    extended_client.update_detector_settings(**CIRCUITS, DetectorSettings={"Resolution": "512"})

    assert first["DetectorSettings"] == DEFAULTS
    assert answer(strict) == {"DetectorSettings": DEFAULTS | {"Sensitivity": "strict"}}
    last = extended_client.describe_project(**CIRCUITS)["ProjectDescription"]
    assert last["DetectorSettings"] == {"Sensitivity": "strict", "Resolution": "512"}
    assert "DetectorSettings" not in client.describe_project(**CIRCUITS)["ProjectDescription"]


@pytest.mark.usefixtures("trainable")
def test_a_model_freezes_the_settings_of_its_project_and_its_own(extended_client: Any) -> None:
    extended_client.update_detector_settings(**CIRCUITS, DetectorSettings={"Resolution": "512"})

    extended_client.create_model(
        **CIRCUITS, OutputConfig=OUTPUT, DetectorSettings={"Sensitivity": "tolerant"}
    )
    extended_client.update_detector_settings(
        **CIRCUITS, DetectorSettings={"Sensitivity": "strict", "Resolution": "auto"}
    )

    described = extended_client.describe_model(**MODEL)["ModelDescription"]
    assert described["DetectorSettings"] == {"Sensitivity": "tolerant", "Resolution": "512"}


def test_a_model_that_is_older_than_the_settings_has_none(
    extended_client: Any, house: House
) -> None:
    with house.database.writing() as rows:
        add_model(rows, add_project(rows))

    described = extended_client.describe_model(**MODEL)["ModelDescription"]

    assert "DetectorSettings" not in described


def test_a_resolution_out_of_range_is_refused(extended_client: Any, house: House) -> None:
    house.project()

    with pytest.raises(extended_client.exceptions.ValidationException) as caught:
        extended_client.update_detector_settings(
            **CIRCUITS, DetectorSettings={"Resolution": "9999"}
        )

    assert "from 64 to 4,096" in message(caught)


def test_a_project_that_does_not_exist_has_no_settings(extended_client: Any) -> None:
    with pytest.raises(extended_client.exceptions.ResourceNotFoundException):
        extended_client.update_detector_settings(**CIRCUITS, DetectorSettings={})


@pytest.mark.usefixtures("trainable")
def test_a_client_of_the_original_cannot_name_them(client: Any) -> None:
    with pytest.raises(ParamValidationError, match="DetectorSettings"):
        client.create_model(**CIRCUITS, OutputConfig=OUTPUT, DetectorSettings={})
