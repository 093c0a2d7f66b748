from dataclasses import replace
from pathlib import Path

import onnx
import pytest

from blemish.engine.backbones.backbone import Backbone, load_backbone
from blemish.engine.training.resolutions import input_sizes, multiplications
from tests.products import CHANNELS


@pytest.fixture(scope="module")
def backbone(backbone_file: Path) -> Backbone:
    return load_backbone(backbone_file)


def test_every_weight_is_counted_at_every_place(backbone: Backbone) -> None:
    first, second = CHANNELS["layer2"], CHANNELS["layer3"]
    at_eight, at_sixteen = 32 * 20, 16 * 10

    count = multiplications(backbone, 256, 160)

    assert count == 3 * 64 * first * at_eight + first * 4 * second * at_sixteen


def test_a_file_need_not_say_what_its_input_is_like(backbone: Backbone) -> None:
    silent = onnx.ModelProto()
    silent.CopyFrom(backbone.model)
    silent.graph.input[0].type.tensor_type.ClearField("shape")

    count = multiplications(replace(backbone, model=silent), 256, 160)

    assert count == multiplications(backbone, 256, 160)


def test_large_images_are_tried_at_both_resolutions(backbone: Backbone) -> None:
    found = input_sizes((1_200, 800), backbone, images=100, choose=True)

    assert found == [(256, 160), (512, 352)]


@pytest.mark.parametrize(
    ("image", "images", "choose"),
    [
        pytest.param((1_200, 800), 100, False, id="no labels to choose by"),
        pytest.param((960, 600), 100, True, id="small images"),
        pytest.param((1_200, 800), 10**6, True, id="too many images"),
    ],
)
def test_otherwise_the_usual_one_is_enough(
    image: tuple[int, int], images: int, choose: bool, backbone: Backbone
) -> None:
    assert input_sizes(image, backbone, images=images, choose=choose) == [(256, 160)]


def test_a_slow_backbone_sees_images_at_the_usual_resolution(
    backbone: Backbone, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("blemish.engine.training.resolutions.MOST_OPERATIONS", 1e6)

    assert input_sizes((1_200, 800), backbone, images=10, choose=True) == [(256, 160)]
