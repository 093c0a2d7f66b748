"""Loads a component, judges bitmaps, and writes the answer.

It imports ONNX Runtime: the agent does so in a thread, when the first model is started.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from blemish.edge.components import InstalledComponent
from blemish.edge.errors import EdgeError, InvalidCallError
from blemish.edge.messages import message_class
from blemish.edge.shared_memory import SharedMemoryPart, check_part, read_part, write_part
from blemish.engine.bundle import read_bundle
from blemish.engine.component import ComponentInfo
from blemish.engine.graph.providers import PROVIDERS
from blemish.engine.images.decode import DecodedImage, ImageError, ImageLimits
from blemish.engine.images.resize import nearest_positions, resize_nearest
from blemish.engine.runtime import Detection, Detector

MIN_SIDE, MAX_SIDE = 64, 4096
"""Sides of a bitmap, in pixels. Source: developer guide, DetectAnomalies of the edge agent."""

LIMITS = ImageLimits(min_side=MIN_SIDE, max_side=MAX_SIDE, max_pixels=MAX_SIDE * MAX_SIDE)
ENGINE_CACHE = "engine-cache"

_RESPONSE = message_class("DetectAnomaliesResponse")


class LoadedComponent:
    """A component in memory, which judges images; any number of threads may use it."""

    def __init__(self, detector: Detector, *, mixed_sizes: bool) -> None:
        self._detector = detector
        self._mixed_sizes = mixed_sizes

    def detect_file(self, data: bytes) -> Detection:
        """Judge a JPEG or PNG file, as the server does.

        Raises:
            ImageError: it is no image, or not of the size that the model was trained on.
        """
        return self._detector.detect(data, limits=LIMITS, mixed_sizes=self._mixed_sizes)

    def detect_pixels(self, pixels: NDArray[np.uint8]) -> Detection:
        """Judge an image of a camera.

        Args:
            pixels: (H, W, 3) RGB.

        Raises:
            ImageError: it is not of the size that the model was trained on.
        """
        height, width, _ = pixels.shape
        image = DecodedImage(pixels=pixels, stored_size=(width, height), orientation=1)
        return self._detector.detect_pixels(image, mixed_sizes=self._mixed_sizes)

    def answer(self, request: Any) -> bytes:
        """Answer a DetectAnomaliesRequest by a serialised DetectAnomaliesResponse.

        Raises:
            InvalidCallError: the bitmap or a handle is wrong.
        """
        bitmap = request.bitmap
        # a copy: every access to this field makes one
        data = bitmap.byte_data if bitmap.WhichOneof("data") == "byte_data" else None
        size = _bitmap_size(bitmap, data)
        mask_part = _mask_part(request, size)
        pixels = _pixels(bitmap, data, size)
        try:
            detection = self.detect_pixels(pixels)
        except ImageError as error:
            raise InvalidCallError(str(error)) from None
        return _response(detection, mask_part)


def load_component(component: InstalledComponent) -> LoadedComponent:
    """Load a component; its checksums are verified.

    Raises:
        BundleError: it is damaged, or cannot run on this device.
        EdgeError: its manifest cannot be read.
    """
    info = component.info
    if info is None:
        raise EdgeError(component.problem or "The component cannot be read.")
    cache = component.folder / ENGINE_CACHE
    providers = _providers(info)
    if "tensorrt" in providers:
        cache.mkdir(exist_ok=True)
    threads = len(os.sched_getaffinity(0))
    detector = Detector.load(
        read_bundle(component.folder),
        threads=threads,
        providers=providers,
        engine_cache=cache,
        helper=ThreadPoolExecutor(1, thread_name_prefix="resize") if threads > 1 else None,
    )
    return LoadedComponent(detector, mixed_sizes=info.mixed_sizes)


def _providers(info: ComponentInfo) -> tuple[str, ...]:
    if unknown := [name for name in info.providers if name not in PROVIDERS]:
        raise EdgeError(f"The component wants the provider {unknown[0]}, which is unknown.")
    return info.providers


def _bitmap_size(bitmap: Any, byte_data: bytes | None) -> tuple[int, int]:
    """Return (width, height) of a bitmap with as many bytes."""
    width, height = bitmap.width, bitmap.height
    if not (MIN_SIDE <= width <= MAX_SIDE and MIN_SIDE <= height <= MAX_SIDE):
        raise InvalidCallError(
            f"The bitmap has {width} x {height} pixels; each side must be {MIN_SIDE} to {MAX_SIDE}."
        )
    match bitmap.WhichOneof("data"):
        case "byte_data":
            count = len(byte_data or b"")
        case "shared_memory_handle":
            count = bitmap.shared_memory_handle.size
        case _:
            raise InvalidCallError("The bitmap has neither byte_data nor shared_memory_handle.")
    if count != width * height * 3:
        raise InvalidCallError(
            f"The bitmap has {count:,} bytes; {width} x {height} pixels of RGB888 "
            f"have {width * height * 3:,}."
        )
    return width, height


def _pixels(bitmap: Any, byte_data: bytes | None, size: tuple[int, int]) -> NDArray[np.uint8]:
    data = read_part(_part(bitmap.shared_memory_handle)) if byte_data is None else byte_data
    width, height = size
    return np.frombuffer(data, dtype=np.uint8).reshape(height, width, 3)


def _mask_part(request: Any, size: tuple[int, int]) -> SharedMemoryPart | None:
    """Return where the client wants the mask; None for within the response."""
    if not request.HasField("anomaly_mask_params"):
        return None
    params = request.anomaly_mask_params
    for field in ("shared_memory_handle", "shared_memory_handle_3"):
        if params.HasField(field):
            part = _part(getattr(params, field))
            width, height = size
            check_part(part, least_bytes=width * height * 3, writable=True)
            return part
    return None


def _part(handle: Any) -> SharedMemoryPart:
    return SharedMemoryPart(name=handle.name, size=handle.size, offset=handle.offset)


def _response(detection: Detection, mask_part: SharedMemoryPart | None) -> bytes:
    response = _RESPONSE()
    result = response.detect_anomaly_result
    result.is_anomalous = detection.is_anomalous
    result.confidence = detection.confidence
    result.anomaly_score = detection.score
    result.anomaly_threshold = detection.threshold
    for area in detection.anomalies or ():
        anomaly = result.anomalies.add(name=area.name)
        anomaly.pixel_anomaly.total_percentage_area = area.share
        anomaly.pixel_anomaly.hex_color = area.color
    if detection.classes is not None:
        _put_mask(result.anomaly_mask, detection, mask_part)
    serialised: bytes = response.SerializeToString()
    return serialised


def _put_mask(bitmap: Any, detection: Detection, part: SharedMemoryPart | None) -> None:
    bitmap.width, bitmap.height = detection.stored_size
    rows = _mask_rows(detection)
    if part is None:
        bitmap.byte_data = b"".join(rows)
        return
    write_part(part, *rows)
    handle = bitmap.shared_memory_handle
    handle.name, handle.size, handle.offset = part.name, sum(map(len, rows)), part.offset


def _mask_rows(detection: Detection) -> list[memoryview]:
    """Return the rows of the mask in RGB.

    Several rows are the same memory: the mask has twice or more the rows of the graph's classes,
    and a mask that is not drawn costs neither its memory nor the time to fill it.
    """
    assert detection.classes is not None
    width, height = detection.stored_size
    count = len(detection.classes)
    wide = Image.fromarray(resize_nearest(detection.classes, width=width, height=count))
    wide.putpalette(bytes.fromhex("".join(color[1:] for color in detection.colors)))
    data, stride = memoryview(wide.convert("RGB").tobytes()), 3 * width
    drawn = [data[start : start + stride] for start in range(0, len(data), stride)]
    return [drawn[row] for row in nearest_positions(count, height).tolist()]
