"""GenICam cameras (GigE Vision, USB3 Vision), by harvesters and the producer of their maker."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from blemish.station.config import WhenBusy
from blemish.station.config_table import ConfigTable
from blemish.station.errors import SourceError
from blemish.station.libraries import check_library
from blemish.station.sources.camera import CameraSource, FramePixels
from blemish.station.sources.source import Source
from blemish.station.sources.triggers import build_trigger

FRAME_S = 5.0

_CHANNELS = {
    "Mono8": (0, 0, 0),
    "RGB8": (0, 1, 2),
    "BGR8": (2, 1, 0),
    "RGBa8": (0, 1, 2),
    "BGRa8": (2, 1, 0),
}
"""Which channels are red, green and blue. Source: Pixel Format Naming Convention of the EMVA."""


class GenicamCamera:
    """A camera of a GenTL producer."""

    def __init__(self, *, producer: Path, serial_number: str | None) -> None:
        self._producer = producer
        self._serial_number = serial_number

    @contextmanager
    def frames(self) -> Iterator[Iterator[FramePixels]]:
        """Connect, and return an iterator over the frames.

        Raises:
            SourceError: the camera cannot be connected to.
        """
        harvester = self._harvester()
        try:
            acquirer = self._acquirer(harvester)
            try:
                acquirer.start()
                yield self._pixels(acquirer)
            finally:
                acquirer.destroy()
        finally:
            harvester.reset()

    def _harvester(self) -> Any:
        from harvesters.core import Harvester  # noqa: PLC0415 - of an extra

        if not self._producer.is_file():
            raise SourceError(f"There is no producer {self._producer}.")
        harvester = Harvester()
        harvester.add_file(str(self._producer))
        return harvester

    def _acquirer(self, harvester: Any) -> Any:
        harvester.update()
        numbers = [info.serial_number for info in harvester.device_info_list]
        wanted = self._serial_number or next(iter(numbers), None)
        if wanted not in numbers:
            cameras = ", ".join(numbers) or "none"
            raise SourceError(f"Camera {wanted or ''} is not there; connected are: {cameras}.")
        return harvester.create({"serial_number": wanted})

    def _pixels(self, acquirer: Any) -> Iterator[FramePixels]:
        from genicam.gentl import GenericException, TimeoutException  # noqa: PLC0415 - of an extra

        while True:
            try:
                with acquirer.fetch(timeout=FRAME_S) as buffer:
                    pixels = component_pixels(buffer.payload.components[0])
            except TimeoutException:
                raise SourceError(f"The camera gave no frame within {FRAME_S:.0f} s.") from None
            except GenericException as error:
                raise SourceError(f"The camera failed: {error}.") from None
            yield lambda pixels=pixels: pixels  # type: ignore[misc]


def component_pixels(component: Any) -> NDArray[np.uint8]:
    """Return an image of a buffer as (H, W, 3) RGB, copied: the camera writes to the buffer again.

    Raises:
        SourceError: its pixel format is another than `_CHANNELS` has.
    """
    channels = _CHANNELS.get(component.data_format)
    if channels is None:
        raise SourceError(
            f"The camera has the pixel format {component.data_format}. "
            f"Set its PixelFormat to one of {', '.join(_CHANNELS)}."
        )
    pixels = component.data.reshape(component.height, component.width, -1)
    return np.ascontiguousarray(pixels[:, :, list(channels)])


def build_genicam_camera(name: str, table: ConfigTable, when_busy: WhenBusy) -> Source:
    """Build the source from its settings."""
    check_library("harvesters", user=table.name, extra="genicam")
    camera = GenicamCamera(
        producer=table.path("producer"), serial_number=table.optional_text("serial_number")
    )
    return CameraSource(name, open_frames=camera.frames, trigger=build_trigger(table, when_busy))
