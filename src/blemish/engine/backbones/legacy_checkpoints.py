"""Checkpoints as `torch.save` wrote them before PyTorch 1.6: pickles, then the values of tensors.

    pickle of the magic number | pickle of the version | pickle of the machine's sizes
    pickle of the tensors | pickle of the keys of their storages
    for each key: count of values (int64), values

No code in a file is run: the unpickler refuses names other than those that rebuild a tensor. The
pickles are read twice, because tensors come before their values.

Source: PyTorch, `torch/serialization.py`, `_legacy_save`.
"""

from __future__ import annotations

import io
import pickle
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

MAGIC = 0x1950A86A20F9469CFC6C
VERSION = 1001

_COUNT = np.dtype("<i8")

Rebuild = Callable[..., NDArray[Any]]


def is_legacy_checkpoint(data: bytes) -> bool:
    """Tell whether a file begins like a checkpoint of this format."""
    return data.startswith(pickle.dumps(MAGIC, protocol=2))


def read_legacy_checkpoint(
    data: bytes, *, dtypes: Mapping[str, np.dtype[Any]], rebuild: Rebuild
) -> Any:
    """Return the saved object, with arrays for its tensors.

    Args:
        data: the whole file.
        dtypes: class name of a storage -> type of the values.
        rebuild: makes an array from a storage, an offset, a size and a stride.

    Raises:
        ValueError, pickle.UnpicklingError, EOFError, IndexError, KeyError, TypeError,
        AttributeError, OverflowError: the file is damaged, or holds more than tensors.
    """
    stream = io.BytesIO(data)
    magic, version, sizes = (_PlainUnpickler(stream).load() for _ in range(3))
    if magic != MAGIC or version != VERSION or not sizes.get("little_endian", True):
        raise ValueError(f"the format version is {version}, the sizes are {sizes}")
    start = stream.tell()
    wanted = _Storages(stream, dtypes)
    wanted.load()  # only to list the storages
    keys = _PlainUnpickler(stream).load()
    storages = _read_storages(data, stream.tell(), keys, wanted.storages)
    stream.seek(start)
    return _Tensors(stream, dtypes, storages, rebuild).load()


def _read_storages(
    data: bytes, offset: int, keys: Sequence[str], declared: Mapping[str, tuple[np.dtype[Any], int]]
) -> dict[str, NDArray[Any]]:
    """Read the values of each storage, in the order of the keys."""
    if not isinstance(keys, list) or sorted(keys) != sorted(declared):
        raise ValueError("the keys of the storages differ from those that the tensors name")
    storages = {}
    for key in keys:
        dtype, size = declared[key]
        (count,) = np.frombuffer(data, _COUNT, count=1, offset=offset)
        offset += _COUNT.itemsize
        if count != size or offset + size * dtype.itemsize > len(data):
            raise ValueError(f"a storage of {size} values has {count}, or ends after the file")
        storages[key] = np.frombuffer(data, dtype, count=size, offset=offset)
        offset += size * dtype.itemsize
    if offset != len(data):
        raise ValueError(f"{len(data) - offset} bytes follow the last tensor")
    return storages


class _PlainUnpickler(pickle.Unpickler):
    """Reads numbers, texts, lists and dictionaries."""

    def find_class(self, module: str, name: str) -> Any:
        raise _refusal(module, name)


class _Storages(pickle.Unpickler):
    """Collects the storages that tensors name, without their values."""

    def __init__(self, stream: io.BytesIO, dtypes: Mapping[str, np.dtype[Any]]) -> None:
        super().__init__(stream)
        self._dtypes = dtypes
        self.storages: dict[str, tuple[np.dtype[Any], int]] = {}

    def find_class(self, module: str, name: str) -> Any:
        return _named(module, name, self._dtypes, lambda *_: None)

    def persistent_load(self, pid: Any) -> Any:
        kind, dtype, key, _, size, *view = pid
        if kind != "storage" or any(part is not None for part in view):
            raise pickle.UnpicklingError(f"it names {pid[0]} with a view, which is not supported.")
        if not isinstance(size, int) or size < 0 or not isinstance(key, str):
            raise ValueError(f"no storage has the key {key!r} and {size!r} values")
        if self.storages.setdefault(key, (dtype, size)) != (dtype, size):
            raise ValueError(f"the storage {key} is named with two sizes")


class _Tensors(pickle.Unpickler):
    """Rebuilds tensors as arrays, once the values of storages are known."""

    def __init__(
        self,
        stream: io.BytesIO,
        dtypes: Mapping[str, np.dtype[Any]],
        storages: Mapping[str, NDArray[Any]],
        rebuild: Rebuild,
    ) -> None:
        super().__init__(stream)
        self._dtypes = dtypes
        self._storages = storages
        self._rebuild = rebuild

    def find_class(self, module: str, name: str) -> Any:
        return _named(module, name, self._dtypes, self._rebuild)

    def persistent_load(self, pid: Any) -> NDArray[Any]:
        return self._storages[pid[2]]


def _named(module: str, name: str, dtypes: Mapping[str, np.dtype[Any]], rebuild: Any) -> Any:
    known = {
        ("collections", "OrderedDict"): OrderedDict,
        ("torch._utils", "_rebuild_tensor_v2"): rebuild,
        ("torch._utils", "_rebuild_parameter"): lambda tensor, *_: tensor,
    }
    if module == "torch" and name in dtypes:
        return dtypes[name]
    if (module, name) not in known:
        raise _refusal(module, name)
    return known[module, name]


def _refusal(module: str, name: str) -> pickle.UnpicklingError:
    return pickle.UnpicklingError(
        f"it names {module}.{name}, and Blemish runs no code from a file."
    )
