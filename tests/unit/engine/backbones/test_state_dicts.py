from __future__ import annotations

import json
import struct
import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from blemish.engine.backbones.state_dicts import read_state_dict
from blemish.engine.errors import BackboneError
from tests.state_dicts import (
    Call,
    Named,
    Storage,
    write_checkpoint,
    write_legacy_checkpoint,
    write_legacy_pickle,
    write_pickle,
    write_safetensors,
)

WEIGHTS = {
    "conv.weight": np.arange(24, dtype=np.float32).reshape(2, 3, 2, 2),
    "conv.bias": np.array([0.5, -2], dtype=np.float32),
}
REBUILD = Named("torch._utils", "_rebuild_tensor_v2")


def same(found: object) -> bool:
    assert isinstance(found, dict)
    return set(found) == set(WEIGHTS) and all((found[n] == WEIGHTS[n]).all() for n in WEIGHTS)


def test_safetensors_are_read(tmp_path: Path) -> None:
    assert same(read_state_dict(write_safetensors(tmp_path / "net.safetensors", WEIGHTS)))


@pytest.mark.parametrize("write", [write_checkpoint, write_legacy_checkpoint])
@pytest.mark.parametrize("wrapper", [None, "state_dict", "model"])
def test_a_checkpoint_is_read(
    tmp_path: Path, write: Callable[..., Path], wrapper: str | None
) -> None:
    path = write(tmp_path / "net.pth", WEIGHTS, wrapper=wrapper)

    assert same(read_state_dict(path))


def test_a_view_into_a_storage_is_read_as_the_tensor_that_it_is(tmp_path: Path) -> None:
    data = np.arange(6, dtype=np.float32).tobytes()
    turned = Call(REBUILD, (Storage("0", 6), 1, (2, 2), (1, 2), False, {}))
    path = write_pickle(tmp_path / "net.pth", {"w": turned}, {"0": data})

    assert read_state_dict(path)["w"].tolist() == [[1, 3], [2, 4]]


@pytest.mark.parametrize("change", [-1, 1])
def test_a_legacy_checkpoint_of_another_length_is_refused(tmp_path: Path, change: int) -> None:
    path = write_legacy_checkpoint(tmp_path / "net.pth", WEIGHTS)
    data = path.read_bytes()
    path.write_bytes(data[:-1] if change < 0 else data + b"!")

    with pytest.raises(BackboneError, match=r"net\.pth is damaged"):
        read_state_dict(path)


@pytest.mark.parametrize(
    ("storage", "data"),
    [
        (Storage("0", 6, (None,)), {"1": bytes(24)}),
        (Storage("0", 2**60, (None,)), {"0": bytes(24)}),
        (Storage("0", -1, (None,)), {"0": bytes(24)}),
        (Storage("0", 6, (1,)), {"0": bytes(24)}),
    ],
)
def test_a_legacy_storage_that_is_not_as_it_was_named_is_refused(
    tmp_path: Path, storage: Storage, data: dict[str, bytes]
) -> None:
    tensor = Call(REBUILD, (storage, 0, (2,), (1,), False, {}))
    path = write_legacy_pickle(tmp_path / "net.pth", {"w": tensor}, data)

    with pytest.raises(BackboneError, match=r"net\.pth is damaged"):
        read_state_dict(path)


def test_half_precision_becomes_single(tmp_path: Path) -> None:
    header = {
        "half": {"dtype": "F16", "shape": [2], "data_offsets": [0, 4]},
        "brain": {"dtype": "BF16", "shape": [2], "data_offsets": [4, 8]},
    }
    text = json.dumps(header).encode()
    brain = np.array([1.5, -3], np.float32).view("<u4") >> 16
    body = np.array([0.5, 7], "<f2").tobytes() + brain.astype("<u2").tobytes()
    path = tmp_path / "net.safetensors"
    path.write_bytes(len(text).to_bytes(8, "little") + text + body)

    found = read_state_dict(path)

    assert found["half"].tolist() == [0.5, 7]
    assert found["brain"].tolist() == [1.5, -3]
    assert {value.dtype for value in found.values()} == {np.dtype(np.float32)}


@pytest.mark.parametrize(
    "named",
    [
        Named("os", "system"),
        Named("builtins", "eval"),
        Named("torch", "load"),
        Named("collections", "Counter"),
    ],
)
@pytest.mark.parametrize("write", [write_pickle, write_legacy_pickle])
def test_a_pickle_that_asks_for_anything_else_is_refused_and_nothing_runs(
    tmp_path: Path, write: Callable[..., Path], named: Named
) -> None:
    path = write(tmp_path / "net.pth", {"w": Call(named, ("touch /tmp/never",))}, {})

    with pytest.raises(
        BackboneError, match=rf"it names {named.module}\.{named.name}, and Blemish runs"
    ):
        read_state_dict(path)


@pytest.mark.parametrize(
    "arguments",
    [
        (Storage("0", 6), 0, (7,), (1,)),
        (Storage("0", 6), -1, (2,), (1,)),
        (Storage("0", 6), 0, (2,), (-1,)),
        (Storage("0", 6), 0, (2, 2), (1,)),
        (Storage("absent", 6), 0, (2,), (1,)),
    ],
)
def test_a_tensor_outside_its_storage_is_refused(
    tmp_path: Path, arguments: tuple[object, ...]
) -> None:
    path = write_pickle(tmp_path / "net.pth", {"w": Call(REBUILD, arguments)}, {"0": bytes(24)})

    with pytest.raises(BackboneError, match="is damaged"):
        read_state_dict(path)


@pytest.mark.parametrize("content", [b"", b"\x80\x02}q\x00.", b"PK\x03\x04 cut off", bytes(64)])
def test_a_file_that_is_neither_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "net.pth"
    path.write_bytes(content)

    with pytest.raises(BackboneError, match=r"net\.pth is (neither|damaged)"):
        read_state_dict(path)


@pytest.mark.parametrize(
    ("entries", "length"),
    [
        ({"w": ([2], [0, 8])}, 7),
        ({"w": ([2], [0, 8])}, 9),
        ({"w": ([2], [4, 12])}, 12),
        ({"w": ([2], [0, 8]), "v": ([2], [0, 8])}, 8),
        ({"w": ([3], [0, 8])}, 8),
        ({"w": ([2**40, 2**40], [0, 8])}, 8),
    ],
    ids=["cut off", "too long", "gap", "overlap", "other shape", "overflow"],
)
def test_safetensors_whose_bytes_do_not_fit_their_header_are_refused(
    tmp_path: Path, entries: dict[str, tuple[list[int], list[int]]], length: int
) -> None:
    path = safetensors_file(tmp_path, "F32", entries, length)

    with pytest.raises(BackboneError, match=r"is neither a whole \.safetensors file nor"):
        read_state_dict(path)


def test_safetensors_of_a_type_that_is_not_read_are_refused(tmp_path: Path) -> None:
    path = safetensors_file(tmp_path, "F8_E4M3", {"w": ([8], [0, 8])}, 8)

    with pytest.raises(
        BackboneError, match="has the tensor w of type F8_E4M3; supported types are"
    ):
        read_state_dict(path)


def safetensors_file(
    folder: Path, dtype: str, entries: dict[str, tuple[list[int], list[int]]], length: int
) -> Path:
    header = json.dumps(
        {
            name: {"dtype": dtype, "shape": shape, "data_offsets": offsets}
            for name, (shape, offsets) in entries.items()
        }
    ).encode()
    path = folder / "net.safetensors"
    path.write_bytes(len(header).to_bytes(8, "little") + header + bytes(length))
    return path


def test_a_header_that_nests_without_end_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "net.safetensors"
    path.write_bytes((100_000).to_bytes(8, "little") + b"[" * 100_000)

    with pytest.raises(BackboneError, match="is neither"):
        read_state_dict(path)


@pytest.mark.parametrize(("size", "stride"), [(10**23, 0), (1, 10**23), (2**55, 0)])
def test_a_tensor_larger_than_any_memory_is_refused(tmp_path: Path, size: int, stride: int) -> None:
    tensor = Call(REBUILD, (Storage("0", 6), 0, (size,), (stride,)))
    path = write_pickle(tmp_path / "net.pth", {"w": tensor}, {"0": bytes(24)})

    with pytest.raises(BackboneError, match="is damaged"):
        read_state_dict(path)


def compressed(path: Path, how: int) -> Path:
    """Write the files of a zip archive anew."""
    with zipfile.ZipFile(path) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", how) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def test_a_checkpoint_that_was_deflated_is_read(tmp_path: Path) -> None:
    path = compressed(write_checkpoint(tmp_path / "net.pth", WEIGHTS), zipfile.ZIP_DEFLATED)

    assert same(read_state_dict(path))


def test_a_checkpoint_whose_deflated_stream_is_broken_is_refused(tmp_path: Path) -> None:
    path = compressed(write_checkpoint(tmp_path / "net.pth", WEIGHTS), zipfile.ZIP_DEFLATED)
    data = bytearray(path.read_bytes())
    data[30 + len("net/data.pkl")] ^= 0b110  # the kind of the first block becomes one there is not
    path.write_bytes(data)

    with pytest.raises(BackboneError, match="is damaged: Error -3 while decompressing"):
        read_state_dict(path)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        pytest.param(8, 1, id="encrypted"),
        pytest.param(8, 1 << 5, id="patched"),
        pytest.param(10, 12, id="bzip2"),
        pytest.param(10, 99, id="unknown compression"),
        pytest.param(6, 224, id="later version"),
    ],
)
def test_a_zip_archive_that_pytorch_would_not_write_is_refused(
    tmp_path: Path, field: int, value: int
) -> None:
    path = write_checkpoint(tmp_path / "net.pth", WEIGHTS)
    data = bytearray(path.read_bytes())
    local, central = data.index(b"PK\3\4"), data.index(b"PK\1\2")
    struct.pack_into("<H", data, local + field - 2, value)
    struct.pack_into("<H", data, central + field, value)
    path.write_bytes(data)

    with pytest.raises(BackboneError, match="is damaged"):
        read_state_dict(path)


@given(
    kind=st.sampled_from(["stored", "deflated", "legacy", "safetensors"]),
    edits=st.lists(
        st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 8), st.binary(max_size=4)),
        min_size=1,
        max_size=4,
    ),
)
def test_mutated_files_raise_nothing_but_backbone_errors(
    tmp_path_factory: pytest.TempPathFactory, kind: str, edits: list[tuple[float, int, bytes]]
) -> None:
    path = tmp_path_factory.mktemp("mutated") / "net"
    if kind == "safetensors":
        write_safetensors(path, WEIGHTS)
    elif kind == "legacy":
        write_legacy_checkpoint(path, WEIGHTS)
    else:
        write_checkpoint(path, WEIGHTS)
    if kind == "deflated":
        compressed(path, zipfile.ZIP_DEFLATED)
    data = path.read_bytes()
    for where, removed, added in edits:
        start = int(where * len(data))
        data = data[:start] + added + data[start + removed :]
    path.write_bytes(data)

    with suppress(BackboneError):
        read_state_dict(path)


def test_a_whole_model_instead_of_its_weights_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BackboneError, match="contains no state dict"):
        read_state_dict(write_pickle(tmp_path / "net.pth", [1, 2], {}))


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(BackboneError, match=r"gone\.pth cannot be read \(No such file"):
        read_state_dict(tmp_path / "gone.pth")
