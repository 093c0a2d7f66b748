"""Frames by FFmpeg's libraries: V4L2 cameras, RTSP and HTTP streams, and video files.

PyAV is imported with the first frame: few stations need it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import ModuleType
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit, urlunsplit

import numpy as np
from numpy.typing import NDArray

from blemish.station.config import WhenBusy
from blemish.station.config_table import ConfigTable, SecretText
from blemish.station.errors import SourceError
from blemish.station.libraries import check_library
from blemish.station.sources.camera import CameraSource, FramePixels
from blemish.station.sources.source import Source
from blemish.station.sources.triggers import build_trigger

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.frame import VideoFrame

TIMEOUT_S = (10.0, 5.0)
"""To connect, and between two reads."""

_PROTOCOLS = ("rtsp", "rtsps", "http", "https")


class StreamCamera:
    """A V4L2 device, or a stream of a network camera."""

    def __init__(
        self,
        address: str,
        *,
        username: str | None = None,
        password: SecretText | None = None,
        options: Mapping[str, str],
    ) -> None:
        self._address = address
        self._username, self._password = username, password
        self._options = dict(options)

    @contextmanager
    def frames(self) -> Iterator[Iterator[FramePixels]]:
        """Connect, and return an iterator over the frames.

        Raises:
            SourceError: the camera cannot be connected to.
        """
        is_device = self._address.startswith("/dev/")
        options = dict(self._options)
        if self._address.startswith("rtsp"):
            options["rtsp_transport"] = "tcp"
        container = open_container(
            self._signed_in(),
            shown=self._address,
            format="v4l2" if is_device else None,
            options=options | {"fflags": "nobuffer", "flags": "low_delay"},
            timeout=None if is_device else TIMEOUT_S,
        )
        with container:
            yield self._pixels(container)

    def _pixels(self, container: InputContainer) -> Iterator[FramePixels]:
        for frame in decoded_frames(container, shown=self._address):
            yield lambda frame=frame: frame_pixels(frame)  # type: ignore[misc]

    def _signed_in(self) -> str:
        if self._username is None:
            return self._address
        url = urlsplit(self._address)
        password = "" if self._password is None else self._password.reveal()
        user = f"{quote(self._username, safe='')}:{quote(password, safe='')}"
        return urlunsplit(url._replace(netloc=f"{user}@{url.netloc}"))


def open_container(address: str, *, shown: str, **arguments: Any) -> InputContainer:
    """Open a device, a stream or a file that has video.

    Args:
        address: may contain a password.
        shown: the address in messages, without one.
        arguments: of `av.open`.

    Raises:
        SourceError: it cannot be opened, or has no video.
    """
    av = _library()
    try:
        container: InputContainer = av.open(address, **arguments)
    except (OSError, ValueError) as error:
        raise SourceError(f"{shown} cannot be opened: {_reason(error)}.") from None
    if not container.streams.video:
        container.close()
        raise SourceError(f"{shown} has no video.")
    return container


def decoded_frames(container: InputContainer, *, shown: str) -> Iterator[VideoFrame]:
    """Yield the frames of the first video stream.

    Raises:
        SourceError: the device or the stream failed.
    """
    try:
        yield from container.decode(video=0)
    except (OSError, ValueError) as error:
        raise SourceError(f"{shown} gives no more frames: {_reason(error)}.") from None


def frame_pixels(frame: VideoFrame) -> NDArray[np.uint8]:
    """Return a frame as (H, W, 3) RGB."""
    return np.asarray(frame.to_ndarray(format="rgb24"), dtype=np.uint8)


def build_stream_camera(name: str, table: ConfigTable, when_busy: WhenBusy) -> Source:
    """Build the source from its settings."""
    check_library("av", user=table.name)
    address = table.text("address")
    url = urlsplit(address)
    if not address.startswith("/dev/") and url.scheme not in _PROTOCOLS:
        raise table.wrong(
            "address", "a device /dev/..., or begin with rtsp://, http:// or https://"
        )
    if url.username is not None or url.password is not None:
        # the message must not repeat the password
        raise table.unwanted("address", "has a password. Set username and password_env instead")
    options = {}
    for key, option in (("size", "video_size"), ("format", "input_format")):
        if (text := table.optional_text(key)) is not None:
            options[option] = text
    if table.has("frame_rate"):
        options["framerate"] = str(table.number("frame_rate", least=0.01, most=10_000))
    if options and not address.startswith("/dev/"):
        raise table.wrong("address", "a device /dev/..., as there is a size, format or frame_rate")
    camera = StreamCamera(
        address,
        username=table.optional_text("username"),
        password=table.secret("password_env"),
        options=options,
    )
    return CameraSource(name, open_frames=camera.frames, trigger=build_trigger(table, when_busy))


def _library() -> ModuleType:
    import av  # noqa: PLC0415 - of an extra

    av.logging.set_level(av.logging.PANIC)  # it would write addresses with passwords
    return av


def _reason(error: Exception) -> str:
    """Return why FFmpeg failed, without the address, which may contain a password."""
    return getattr(error, "strerror", None) or type(error).__name__
