"""Regions of projects and models through a client that knows them."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from blemish.domain.entities import Label, Model, ModelStatus
from blemish.domain.errors import AccessDeniedError
from blemish.engine.bundle import BundleRegions
from blemish.engine.graph.regions import GraphRegions
from blemish.engine.graph.writer import GraphWriter
from blemish.engine.images.regions import InspectedArea
from blemish.storage.stored_files import stored_lines
from tests.products import png
from tests.unit.api.requests import CIRCUITS, MODEL, OUTPUT, answer, message
from tests.unit.house import House
from tests.unit.manifests import json_line, url
from tests.unit.principals import allow, rights_of
from tests.unit.service.models.test_thresholds import BUNDLE, trained

MASK = url("mask.png")
FIELD = {"ignore-ref": MASK, "ignore-ref-metadata": {"type": "blemish/regions"}}


def mask_png(painted: int = 20) -> bytes:
    pixels = np.full((64, 80, 3), 255, dtype=np.uint8)
    pixels[:, :painted] = 0
    return png(pixels)


@pytest.fixture
def masked(trainable: House) -> House:
    """A project that can be trained, and a region mask in its bucket."""
    trainable.put("mask.png", mask_png())
    return trainable


def frozen(house: House, model: Model) -> dict[str, Any]:
    """Return the first line of the frozen entries."""
    path = house.stored_files.path(model.entries)
    document: dict[str, Any] = json.loads(next(stored_lines(path, encryption=house.encryption)))
    return document


def test_the_regions_of_a_project_are_frozen_for_its_models(
    extended_client: Any, masked: House
) -> None:
    extended_client.update_detector_settings(
        **CIRCUITS, DetectorSettings={"Regions": {"Ignored": MASK}}
    )

    extended_client.create_model(**CIRCUITS, OutputConfig=OUTPUT)
    masked.put("mask.png", b"gone")

    model = masked.models.describe("circuits", "1")
    line = frozen(masked, model)
    assert line["regions"] == {"kind": "ignored", "url": MASK}
    assert base64.b64decode(line["png"]) == mask_png()
    described = extended_client.describe_model(**MODEL)["ModelDescription"]
    assert described["DetectorSettings"]["Regions"] == {"Ignored": MASK}


def test_an_empty_structure_lets_everything_count(extended_client: Any, masked: House) -> None:
    settings = {"Regions": {"OfInterest": MASK}}
    extended_client.update_detector_settings(**CIRCUITS, DetectorSettings=settings)

    extended_client.create_model(**CIRCUITS, OutputConfig=OUTPUT, DetectorSettings={"Regions": {}})
    cleared = extended_client.update_detector_settings(**CIRCUITS, DetectorSettings={"Regions": {}})

    assert "regions" not in frozen(masked, masked.models.describe("circuits", "1"))
    assert "Regions" not in answer(cleared)["DetectorSettings"]


@pytest.mark.parametrize(
    ("regions", "reason"),
    [
        ({"Ignored": MASK, "OfInterest": MASK}, "either Ignored or OfInterest"),
        ({"Ignored": "mask.png"}, "is not an s3://bucket/key"),
        ({"Ignored": url("none.png")}, "cannot be used"),
        ({"Ignored": url("all.png")}, "ignores the whole image"),
    ],
)
def test_regions_that_cannot_be_used_are_refused(
    extended_client: Any, masked: House, regions: dict[str, str], reason: str
) -> None:
    masked.put("all.png", mask_png(80))

    with pytest.raises(extended_client.exceptions.ValidationException) as caught:
        extended_client.update_detector_settings(**CIRCUITS, DetectorSettings={"Regions": regions})

    assert reason in message(caught)


def test_a_line_of_the_training_dataset_may_name_the_regions(
    extended_client: Any, house: House
) -> None:
    house.put("mask.png", mask_png())
    house.project()
    lines = house.lines(Label.NORMAL, 16)
    named = FIELD | {"ignore-ref-metadata": {"type": "blemish/regions", "regions": "ignored"}}
    dataset = house.dataset([*lines, json_line("normal-0.png", "normal", **named)])

    extended_client.create_model(**CIRCUITS, OutputConfig=OUTPUT)

    assert dataset.status == "CREATE_COMPLETE"
    assert "blemish/regions" not in dataset.status_message
    assert frozen(house, house.models.describe("circuits", "1"))["regions"]["url"] == MASK


def test_whoever_may_not_read_the_regions_trains_no_model_with_them(house: House) -> None:
    house.project()
    named = FIELD | {"ignore-ref-metadata": {"type": "blemish/regions", "regions": "ignored"}}
    house.dataset([*house.lines(Label.NORMAL, 16), json_line("normal-0.png", "normal", **named)])
    resource = "arn:aws:s3:::images/mask.png"
    denied = {"Effect": "Deny", "Action": "s3:GetObject", "Resource": resource}

    with pytest.raises(AccessDeniedError, match=r"images/mask\.png"):
        house.models.create(
            "circuits",
            description=None,
            output_bucket="images",
            output_prefix="",
            rights=rights_of(allow("*"), denied),
        )


@pytest.mark.parametrize(
    ("metadata", "reason"),
    [({}, "'regions' in its metadata one of ignored"), ({"regions": "left"}, "one of ignored")],
)
def test_a_line_must_say_what_is_painted(
    extended_client: Any, house: House, metadata: dict[str, str], reason: str
) -> None:
    house.project()
    named = FIELD | {"ignore-ref-metadata": {"type": "blemish/regions"} | metadata}
    lines = house.lines(Label.NORMAL, 15)
    house.dataset([*lines, json_line("normal-0.png", "normal", **named)])

    with pytest.raises(extended_client.exceptions.ValidationException) as caught:
        extended_client.create_model(**CIRCUITS, OutputConfig=OUTPUT)

    assert reason in message(caught)


def with_regions(house: House, status: ModelStatus = ModelStatus.TRAINED) -> Model:
    """Make a model whose bundle has regions."""
    graph = GraphWriter()
    pixels = np.ones((256, 192), dtype=np.bool_)
    regions = GraphRegions.add(graph, InspectedArea(pixels=pixels, patches=np.ones(768, np.bool_)))
    graph.add("Identity", regions.patches, output="patches")
    graph.output("patches", np.bool_, (768,))
    known = BundleRegions(mask_size=(60, 80), orientation=1, grid=(32, 24), inspected_share=1.0)
    bundle = replace(
        BUNDLE,
        info=replace(BUNDLE.info, regions=known),
        model=graph.model().SerializeToString(),
    )
    return trained(house, status, bundle)


@pytest.mark.parametrize("status", [ModelStatus.TRAINED, ModelStatus.HOSTED])
def test_regions_of_a_model_are_moved_into_a_new_bundle(
    extended_client: Any, trainable: House, status: ModelStatus
) -> None:
    mask = np.full((80, 60, 3), 255, dtype=np.uint8)
    mask[:40] = 0
    trainable.put("moved.png", png(mask))
    before = with_regions(trainable, status)

    moved = answer(
        extended_client.update_model_regions(**MODEL, Regions={"Ignored": url("moved.png")})
    )

    after = trainable.described(before)
    follows = "SYSTEM_UPDATING" if status is ModelStatus.HOSTED else status
    assert moved == {"Status": follows, "Regions": {"Ignored": url("moved.png")}}
    assert after.bundle not in (None, before.bundle)
    assert "Performance and the evaluation files are older" in after.status_message
    assert after.detector_settings is not None
    assert str(after.detector_settings.regions) == f"{url('moved.png')} (ignored)"
    assert after.bundle is not None
    regions = trainable.bundles.read(after.bundle).info.regions
    assert regions is not None
    assert regions.moved
    assert 0.4 < regions.inspected_share <= 0.5


def test_a_model_without_regions_has_none_to_move(extended_client: Any, masked: House) -> None:
    trained(masked)

    with pytest.raises(extended_client.exceptions.ConflictException) as caught:
        extended_client.update_model_regions(**MODEL, Regions={"Ignored": MASK})

    assert "trained without regions" in message(caught)


def test_a_mask_of_other_proportions_is_refused(extended_client: Any, masked: House) -> None:
    with_regions(masked)

    with pytest.raises(extended_client.exceptions.ValidationException) as caught:
        extended_client.update_model_regions(**MODEL, Regions={"Ignored": MASK})

    assert "must be in the same proportion" in message(caught)
