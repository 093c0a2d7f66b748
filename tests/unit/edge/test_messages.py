from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import descriptor_pb2

import blemish.edge
from blemish.edge.messages import EdgeStatus, message_class, methods
from tests.edge_agents import WITH_MASKS, WITHOUT_MASKS, generated

FOLDER = Path(blemish.edge.__file__).parent


def test_the_descriptors_are_those_of_the_proto_file(tmp_path: Path) -> None:
    output = tmp_path / "descriptors"
    subprocess.run(
        [
            sys.executable,
            "-m",
            "grpc_tools.protoc",
            f"-I{FOLDER}",
            f"--descriptor_set_out={output}",
            "edge-agent.proto",
        ],
        check=True,
    )

    descriptors = [
        descriptor_pb2.FileDescriptorSet.FromString(path.read_bytes())
        for path in (output, FOLDER / "edge-agent.descriptors")
    ]

    assert descriptors[0] == descriptors[1]


def numbers(message: Any) -> dict[str, tuple[int, int]]:
    """Return number and type of the fields of a message."""
    return {field.name: (field.number, field.type) for field in message.DESCRIPTOR.fields}


@pytest.mark.parametrize(
    "proto", [WITHOUT_MASKS, *(WITH_MASKS.replace("NUMBER", number) for number in "23")]
)
def test_fields_have_the_originals_numbers_and_types(proto: str) -> None:
    for name in generated(proto).DESCRIPTOR.message_types_by_name:
        original = numbers(getattr(generated(proto), name))
        ours = numbers(message_class(name))

        if name == "AnomalyMaskParams":  # under either number
            assert set(original.values()) <= set(ours.values())
        else:
            assert original.items() <= ours.items(), name


def test_the_service_and_the_states_are_the_originals() -> None:
    assert list(methods()) == [
        "DetectAnomalies",
        "StartModel",
        "StopModel",
        "ListModels",
        "DescribeModel",
    ]
    assert {status.name: int(status) for status in EdgeStatus} == dict(
        generated().ModelStatus.items()
    )
