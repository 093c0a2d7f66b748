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


@pytest.mark.parametrize(
    ("image", "sizes"),
    [
        pytest.param((500, 300), [(256, 160)], id="small images"),
        pytest.param((640, 400), [(256, 160), (512, 320)], id="larger than one more"),
        pytest.param((1_200, 800), [(256, 160), (512, 352), (1_024, 672)], id="larger than all"),
    ],
)
def test_no_image_is_enlarged_to_a_higher_resolution(
    image: tuple[int, int], sizes: list[tuple[int, int]], backbone: Backbone
) -> None:
    assert input_sizes(image, backbone, images=100) == sizes


def test_many_images_are_seen_at_the_usual_resolution(backbone: Backbone) -> None:
    assert input_sizes((1_200, 800), backbone, images=10**6) == [(256, 160)]


def test_a_slow_backbone_sees_images_at_the_usual_resolution(
    backbone: Backbone, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("blemish.engine.training.resolutions.MOST_OPERATIONS", 1e6)

    assert input_sizes((1_200, 800), backbone, images=10) == [(256, 160)]


@pytest.mark.parametrize(("resolution", "size"), [(1_280, (1_280, 864)), (64, (64, 32))])
def test_a_resolution_that_is_set_is_the_only_one(
    resolution: int, size: tuple[int, int], backbone: Backbone
) -> None:
    assert input_sizes((640, 427), backbone, images=10**6, resolution=resolution) == [size]
