"""State dicts: the weights of a network by name, read from files of other libraries.

No code in a file is run. The unpickler of checkpoints knows the few names that rebuild a tensor,
and refuses all others.

Source: the safetensors README, "Format"; PyTorch, "Serialization semantics".
"""

from __future__ import annotations

import io
import math
import pickle
import zipfile
import zlib
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, deserialize

from blemish.engine.backbones.legacy_checkpoints import (
    is_legacy_checkpoint,
    read_legacy_checkpoint,
)
from blemish.engine.errors import BackboneError

StateDict = Mapping[str, NDArray[np.float32]]

_BFLOAT16 = np.dtype("V2")  # numpy has none: the upper half of a float32

_SAFETENSORS_DTYPES: dict[str, np.dtype[Any]] = {
    "F64": np.dtype("<f8"),
    "F32": np.dtype("<f4"),
    "F16": np.dtype("<f2"),
    "BF16": _BFLOAT16,
    "I64": np.dtype("<i8"),
    "I32": np.dtype("<i4"),
    "U8": np.dtype("u1"),
    "BOOL": np.dtype("?"),
}
_STORAGE_DTYPES: dict[str, np.dtype[Any]] = {
    "DoubleStorage": np.dtype("<f8"),
    "FloatStorage": np.dtype("<f4"),
    "HalfStorage": np.dtype("<f2"),
    "BFloat16Storage": _BFLOAT16,
    "LongStorage": np.dtype("<i8"),
    "IntStorage": np.dtype("<i4"),
    "ByteStorage": np.dtype("u1"),
    "BoolStorage": np.dtype("?"),
}

_COMPRESSIONS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
"""Compressions of a checkpoint's zip archive: PyTorch writes the first one, and reads both."""

_WRAPPERS = ("state_dict", "model")
"""Keys under which training scripts store the weights in a checkpoint."""


def read_state_dict(path: Path) -> StateDict:
    """Read the tensors of a `.safetensors` file or of a checkpoint that `torch.save` wrote.

    Raises:
        BackboneError: the file cannot be read, has another format, is damaged, or contains anything
            but tensors.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise BackboneError(f"{path} cannot be read ({error.strerror}).") from error
    try:
        tensors = _read_checkpoint(data) if _is_checkpoint(data) else _read_safetensors(data)
        return {name: _as_float32(tensor) for name, tensor in tensors.items()}
    except _NotSoError as error:
        raise BackboneError(f"{path} {error}") from error
    except MemoryError as error:  # a few damaged bytes can request any size
        raise BackboneError(f"{path} is damaged, or needs too much memory.") from error


def _is_checkpoint(data: bytes) -> bool:
    return data[:2] == b"PK" or is_legacy_checkpoint(data)


class _NotSoError(Exception):
    """The file is invalid; the message continues after the file's name."""


def _read_safetensors(data: bytes) -> dict[str, NDArray[Any]]:
    try:
        tensors = deserialize(data)  # type: ignore[no-untyped-call]
    except SafetensorError as error:
        raise _NotSoError(
            "is neither a whole .safetensors file nor a checkpoint that torch.save wrote "
            f"({error})."
        ) from error
    return {name: _safetensor(name, tensor) for name, tensor in tensors}


def _safetensor(name: str, tensor: Mapping[str, Any]) -> NDArray[Any]:
    """Return a tensor; the library has checked the length of its data."""
    dtype = _SAFETENSORS_DTYPES.get(tensor["dtype"])
    if dtype is None:
        raise _NotSoError(
            f"has the tensor {name} of type {tensor['dtype']}; supported types are "
            f"{', '.join(_SAFETENSORS_DTYPES)}."
        )
    values: NDArray[Any] = np.frombuffer(tensor["data"], dtype=dtype)
    return values.reshape(tensor["shape"])


def _read_checkpoint(data: bytes) -> dict[str, NDArray[Any]]:
    try:
        if is_legacy_checkpoint(data):
            return _tensors_of(
                read_legacy_checkpoint(data, dtypes=_STORAGE_DTYPES, rebuild=_rebuild_tensor)
            )
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            names = [name for name in archive.namelist() if name.endswith("/data.pkl")]
            if len(names) != 1:
                raise _NotSoError("is a zip archive, but no checkpoint of PyTorch.")
            if any(entry.compress_type not in _COMPRESSIONS for entry in archive.infolist()):
                raise _NotSoError("is damaged: PyTorch does not read its compression.")
            root = names[0].removesuffix("data.pkl")
            loaded = _TensorUnpickler(archive, root).load()
    except (zipfile.BadZipFile, pickle.UnpicklingError, EOFError, IndexError, KeyError) as error:
        raise _NotSoError(f"is damaged, or contains more than tensors: {error}") from error
    except (TypeError, ValueError, AttributeError, OverflowError) as error:
        raise _NotSoError(f"is damaged: {error}") from error  # an impossible object
    except (zlib.error, RuntimeError) as error:  # deflated, encrypted, or of a later form of zip
        raise _NotSoError(f"is damaged: {error}") from error
    return _tensors_of(loaded)


def _tensors_of(loaded: Any) -> dict[str, NDArray[Any]]:
    """Return the tensors in a checkpoint."""
    for wrapper in _WRAPPERS:
        if isinstance(loaded, dict) and isinstance(loaded.get(wrapper), dict):
            loaded = loaded[wrapper]
    if not isinstance(loaded, dict) or not loaded:
        raise _NotSoError("contains no state dict: save `model.state_dict()`, not the model.")
    tensors = {str(name): value for name, value in loaded.items() if isinstance(value, np.ndarray)}
    if not tensors:
        raise _NotSoError("contains a dictionary without tensors.")
    return tensors


class _TensorUnpickler(pickle.Unpickler):
    """Rebuilds tensors as arrays, and refuses all names that this does not need."""

    def __init__(self, archive: zipfile.ZipFile, root: str) -> None:
        super().__init__(io.BytesIO(archive.read(f"{root}data.pkl")))
        self._archive = archive
        self._root = root
        self._storages: dict[str, NDArray[Any]] = {}

    def find_class(self, module: str, name: str) -> Any:
        known: dict[tuple[str, str], Callable[..., Any]] = {
            ("collections", "OrderedDict"): OrderedDict,
            ("torch._utils", "_rebuild_tensor_v2"): _rebuild_tensor,
            ("torch._utils", "_rebuild_parameter"): _rebuild_parameter,
        }
        if module == "torch" and name in _STORAGE_DTYPES:
            return _STORAGE_DTYPES[name]
        if (module, name) not in known:
            raise pickle.UnpicklingError(
                f"it names {module}.{name}, and Blemish runs no code from a file."
            )
        return known[module, name]

    def persistent_load(self, pid: Any) -> NDArray[Any]:
        _, dtype, key, _, _ = pid
        if key not in self._storages:
            data = self._archive.read(f"{self._root}data/{key}")
            self._storages[key] = np.frombuffer(data, dtype)
        return self._storages[key]


def _rebuild_tensor(
    storage: NDArray[Any], offset: int, size: Sequence[int], stride: Sequence[int], *_: object
) -> NDArray[Any]:
    """Stand in for `torch._utils._rebuild_tensor_v2`."""
    if len(size) != len(stride) or min([offset, *size, *stride], default=0) < 0:
        raise ValueError(f"no tensor has offset {offset}, size {size} and stride {stride}")
    last = offset + sum((n - 1) * step for n, step in zip(size, stride, strict=True))
    if math.prod(size) and last >= len(storage):
        raise ValueError(f"a tensor ends at value {last}, but the storage has {len(storage)}")
    strides = [step * storage.itemsize for step in stride]
    return np.lib.stride_tricks.as_strided(storage[offset:], size, strides, writeable=False)


def _rebuild_parameter(tensor: NDArray[Any], *_: object) -> NDArray[Any]:
    """Stand in for `torch._utils._rebuild_parameter`."""
    return tensor


def _as_float32(tensor: NDArray[Any]) -> NDArray[np.float32]:
    if tensor.dtype == _BFLOAT16:
        halves = np.ascontiguousarray(tensor).view("<u2").astype("<u4")
        return (halves << 16).view("<f4").reshape(tensor.shape)
    return np.ascontiguousarray(tensor, dtype=np.float32)
