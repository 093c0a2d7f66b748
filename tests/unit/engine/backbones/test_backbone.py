from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from blemish.engine.backbones.backbone import feature_shapes, load_backbone
from blemish.engine.backbones.catalogue import PACKAGED, SCATTERING
from blemish.engine.backbones.layers import STEP_KEY
from blemish.engine.errors import BackboneError
from blemish.engine.graph.writer import GraphWriter
from tests.products import CHANNELS, write_patch_backbone


def write(
    path: Path, *, outputs: tuple[str, ...] = ("layer2", "layer3"), side: int | str = "side"
) -> Path:
    """Write a network that averages 8 x 8 pixels, and says so under several names."""
    graph = GraphWriter()
    image = graph.input("x", np.float32, (1, 3, side, side))
    for name in outputs:
        graph.add("AveragePool", image, output=name, kernel_shape=[8, 8], strides=[8, 8])
        graph.output(name, np.float32, (1, 3, f"{name}_h", f"{name}_w"))
    path.write_bytes(graph.model().SerializeToString())
    return path


def test_a_file_becomes_a_backbone_with_the_two_layers_alone(tmp_path: Path) -> None:
    path = write(tmp_path / "net.onnx", outputs=("layer1", "layer2", "layer3", "logits"))

    backbone = load_backbone(path)

    assert backbone.name == "net"
    assert [output.name for output in backbone.model.graph.output] == ["layer2", "layer3"]
    assert len(backbone.model.graph.node) == 2
    assert backbone.input_name == "x"


def test_shapes_come_from_running_the_network(backbone_file: Path) -> None:
    shapes = feature_shapes(load_backbone(backbone_file), width=192, height=256)

    assert shapes == {
        "layer2": (CHANNELS["layer2"], 32, 24),
        "layer3": (CHANNELS["layer3"], 16, 12),
    }


def test_the_trained_backbone_keeps_layers_2_and_3(shared: Path) -> None:
    backbone = load_backbone(shared / "weights/resnet18-layer1-3.onnx")

    shapes = feature_shapes(backbone, width=256, height=256)

    assert shapes == {"layer2": (128, 32, 32), "layer3": (256, 16, 16)}


def test_the_scattering_has_two_layers_on_one_grid() -> None:
    backbone = load_backbone("scattering")

    assert backbone.name == SCATTERING
    assert feature_shapes(backbone, width=64, height=96) == {
        "layer2": (120, 12, 8),
        "layer3": (59, 12, 8),
    }


def test_what_is_listed_of_the_package_is_what_it_holds() -> None:
    sizes = {own.name: own.kilobytes for own in PACKAGED}

    for name, kilobytes in sizes.items():
        size_bytes = len(load_backbone(name).model.SerializeToString())
        assert kilobytes == pytest.approx(size_bytes / 1_000, rel=0.02)


def test_an_older_operator_set_is_raised(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("ReduceMean", ["x"], ["mean"], axes=[2, 3], keepdims=1),  # before 18
        *(helper.make_node("Add", ["x", "mean"], [name]) for name in ("layer2", "layer3")),
    ]
    values = [
        helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [1, 3, "h", "w"])
        for name in ("x", "layer2", "layer3")
    ]
    graph = helper.make_graph(nodes, "old", values[:1], values[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    path = tmp_path / "old.onnx"
    path.write_bytes(model.SerializeToString())

    backbone = load_backbone(path)

    assert backbone.model.opset_import[0].version == 18
    assert feature_shapes(backbone, width=32, height=64)["layer3"] == (3, 64, 32)


def test_weights_that_are_listed_as_inputs_are_not_taken_for_the_image(tmp_path: Path) -> None:
    float_, layers = onnx.TensorProto.FLOAT, ("layer2", "layer3")
    kernel = numpy_helper.from_array(np.ones((4, 3, 1, 1), np.float32), "kernel")
    graph = helper.make_graph(
        [helper.make_node("Conv", ["image", "kernel"], [name]) for name in layers],
        "listed",
        [
            helper.make_tensor_value_info("kernel", float_, [4, 3, 1, 1]),
            helper.make_tensor_value_info("image", float_, [1, 3, "h", "w"]),
        ],
        [helper.make_tensor_value_info(name, float_, [1, 4, "h", "w"]) for name in layers],
        [kernel],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    path = tmp_path / "listed.onnx"
    path.write_bytes(model.SerializeToString())

    assert load_backbone(path).input_name == "image"


def test_a_file_says_what_the_sides_of_its_images_must_be_multiples_of(
    tmp_path: Path, backbone_file: Path
) -> None:
    patches = load_backbone(write_patch_backbone(tmp_path / "patches.onnx", step="14"))

    assert patches.step == 14
    assert load_backbone(backbone_file).step == 32


@pytest.mark.parametrize("step", ["0", "-14", "129", "14.0", "wide"])
def test_a_file_that_says_so_wrongly_is_refused(tmp_path: Path, step: str) -> None:
    path = write_patch_backbone(tmp_path / "patches.onnx", step=step)

    with pytest.raises(BackboneError, match=rf"patches\.onnx has blemish\.step '{step}'; it must"):
        load_backbone(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(BackboneError, match=r"gone\.onnx cannot be read: No such file"):
        load_backbone(tmp_path / "gone.onnx")


@pytest.mark.parametrize("content", [b"", b"not a network", b"\x08\x07" * 50])
def test_a_file_that_is_no_network_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "broken.onnx"
    path.write_bytes(content)

    with pytest.raises(BackboneError, match=r"broken\.onnx is not a valid ONNX model"):
        load_backbone(path)


@pytest.mark.parametrize("name", [b"image", b"layer2", b"blemish"])
def test_a_name_that_is_no_utf_8_is_refused(tmp_path: Path, name: bytes) -> None:
    path = write_patch_backbone(tmp_path / "net.onnx", step="14")
    path.write_bytes(path.read_bytes().replace(name, name[:-1] + b"\xff"))

    with pytest.raises(BackboneError, match=r"net\.onnx is not a valid ONNX model"):
        load_backbone(path)


def test_metadata_that_are_no_utf_8_are_refused(tmp_path: Path) -> None:
    path = write_patch_backbone(tmp_path / "net.onnx", step="14")
    step = STEP_KEY.encode() + b"\x12\x02"  # a field of two bytes
    path.write_bytes(path.read_bytes().replace(step + b"14", step + b"1\xff"))

    with pytest.raises(BackboneError, match=r"net\.onnx has blemish\.step .*; it must be 1 to 128"):
        load_backbone(path)


def test_missing_outputs_are_named_with_those_there_are(tmp_path: Path) -> None:
    path = write(tmp_path / "net.onnx", outputs=("layer1", "layer2"))

    with pytest.raises(BackboneError, match=r"no output layer3; its outputs are layer1, layer2"):
        load_backbone(path)


def test_a_network_for_images_of_one_size_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "net.onnx", side=224)

    with pytest.raises(BackboneError, match="does not run on an image of 64 x 64 pixels"):
        load_backbone(path)


def test_outputs_that_are_no_feature_maps_are_refused(tmp_path: Path) -> None:
    graph = GraphWriter()
    image = graph.input("x", np.float32, (1, 3, "h", "w"))
    for name in ("layer2", "layer3"):
        graph.add("Flatten", image, output=name)
        graph.output(name, np.float32, (1, "values"))
    path = tmp_path / "flat.onnx"
    path.write_bytes(graph.model().SerializeToString())

    with pytest.raises(BackboneError, match=r"layer2 of the backbone flat .* shape \(1, 12288\)"):
        load_backbone(path)


def test_a_network_that_cannot_be_raised_to_a_newer_operator_set_is_refused(tmp_path: Path) -> None:
    float_ = onnx.TensorProto.FLOAT
    row = helper.make_tensor_value_info("row", float_, [3, "w"])
    out = helper.make_tensor_value_info("out", float_, [3, "w"])
    body = helper.make_graph([helper.make_node("Relu", ["row"], ["out"])], "body", [row], [out])
    lengths = numpy_helper.from_array(np.array([64]), "lengths")  # an input that is gone since 9
    graph = helper.make_graph(
        [
            helper.make_node("Scan", ["lengths", "x"], ["layer2"], num_scan_inputs=1, body=body),
            helper.make_node("Relu", ["layer2"], ["layer3"]),
        ],
        "scanning",
        [helper.make_tensor_value_info("x", float_, [1, "h", 3, "w"])],
        [
            helper.make_tensor_value_info(name, float_, [1, "h", 3, "w"])
            for name in ("layer2", "layer3")
        ],
        [lengths],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 8)], ir_version=8)
    path = tmp_path / "scanning.onnx"
    path.write_bytes(model.SerializeToString())

    with pytest.raises(BackboneError, match=r"scanning\.onnx cannot be brought to operator set 18"):
        load_backbone(path)


def test_a_network_without_an_input_is_refused(tmp_path: Path) -> None:
    graph = GraphWriter()
    for name in ("layer2", "layer3"):
        graph.add("Identity", graph.constant(np.zeros((1, 3, 4, 4), np.float32)), output=name)
        graph.output(name, np.float32, (1, 3, 4, 4))
    path = tmp_path / "blind.onnx"
    path.write_bytes(graph.model().SerializeToString())

    with pytest.raises(BackboneError, match=r"blind\.onnx has no input for an image"):
        load_backbone(path)
