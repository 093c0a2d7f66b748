"""Cameras of tests: an HTTP stream, and a small RTSP server."""

from __future__ import annotations

import io
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socketserver import StreamRequestHandler, ThreadingTCPServer

import av
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tests.products import draw

RATE = 25


def pixels_of(number: int) -> NDArray[np.uint8]:
    """Return an image whose mean says its number: a grey plate, brighter with each."""
    return np.full((64, 96, 3), 5 * (number % 50), dtype=np.uint8)


def write_video(path: Path, *, frames: int) -> None:
    """Write a video without loss of colours that matters."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=RATE)
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        stream.bit_rate = 2_000_000
        for number in range(frames):
            frame = av.VideoFrame.from_ndarray(pixels_of(number), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


class HttpCamera:
    """Sends JPEG after JPEG, as network cameras do, until it is ended."""

    def __init__(self) -> None:
        self.port = 0
        self.authorizations: list[str | None] = []
        self.wants_password = False
        self._server: ThreadingHTTPServer | None = None
        self._ended = threading.Event()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}/video"

    def start(self) -> None:
        camera = self
        self._ended = ended = threading.Event()
        buffer = io.BytesIO()
        Image.fromarray(draw(3).pixels).save(buffer, "JPEG", quality=95)
        jpeg = buffer.getvalue()

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                camera.authorizations.append(self.headers.get("Authorization"))
                if camera.wants_password and camera.authorizations[-1] is None:
                    self.send_response(401)
                    self.send_header("WWW-Authenticate", 'Basic realm="camera"')
                    self.end_headers()
                    return
                self.send_response(200)
                self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=part")
                self.end_headers()
                head = f"--part\r\nContent-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n"
                try:
                    while not ended.wait(0.02):
                        self.wfile.write(head.encode() + jpeg + b"\r\n")
                except OSError:
                    pass

            def log_message(self, *_: object) -> None: ...

        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def end(self) -> None:
        self._ended.set()
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None


@contextmanager
def rtsp_camera() -> Iterator[str]:
    """Serve H.264 over RTSP and TCP; yield the address.

    Source: RFC 2326 (RTSP), RFC 3550 (RTP), RFC 6184 (H.264 in RTP, one NAL unit a packet).
    """
    server = ThreadingTCPServer(("127.0.0.1", 0), _RtspHandler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield f"rtsp://127.0.0.1:{server.server_address[1]}/line"
    finally:
        server.shutdown()
        server.server_close()


SDP = (
    "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=line\r\nt=0 0\r\n"
    "m=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\na=fmtp:96 packetization-mode=1\r\n"
    "a=control:video\r\n"
)


class _RtspHandler(StreamRequestHandler):
    def handle(self) -> None:
        while lines := self._request():
            method = lines[0].split()[0]
            sequence = next(line for line in lines if line.lower().startswith("cseq:"))
            fields, body = [sequence, "Session: 1"], ""
            match method:
                case "OPTIONS":
                    fields.append("Public: OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN")
                case "DESCRIBE":
                    body = SDP
                    fields += ["Content-Type: application/sdp", f"Content-Length: {len(body)}"]
                case "SETUP":
                    fields.append("Transport: RTP/AVP/TCP;unicast;interleaved=0-1")
            answer = "\r\n".join(["RTSP/1.0 200 OK", *fields, "", body])
            self.wfile.write(answer.encode())
            if method == "PLAY":
                self._play()
                return

    def _request(self) -> list[str]:
        lines: list[str] = []
        while (line := self.rfile.readline().decode().strip()) or not lines:
            if not line:
                return []
            lines.append(line)
        return lines

    def _play(self) -> None:
        sequence = 0
        try:
            for number, units in enumerate(_nal_units()):
                for unit in units:
                    self._send(unit, sequence, number * 90_000 // RATE, is_last=unit is units[-1])
                    sequence += 1
                time.sleep(0.02)
        except OSError:
            pass

    def _send(self, unit: bytes, sequence: int, moment: int, *, is_last: bool) -> None:
        assert len(unit) < 60_000
        header = bytes([0x80, 96 | (0x80 if is_last else 0)])
        header += (sequence % 65_536).to_bytes(2, "big") + moment.to_bytes(4, "big") + b"\0\0\0\1"
        packet = header + unit
        self.wfile.write(b"$\0" + len(packet).to_bytes(2, "big") + packet)


def _nal_units() -> Iterator[list[bytes]]:
    """Yield the NAL units of frame after frame, without their start codes."""
    encoder = av.CodecContext.create("libx264", "w")
    assert isinstance(encoder, av.VideoCodecContext)
    encoder.width, encoder.height, encoder.pix_fmt = 96, 64, "yuv420p"
    encoder.time_base, encoder.framerate = Fraction(1, RATE), Fraction(RATE)
    encoder.gop_size = 5
    encoder.options = {"preset": "ultrafast", "tune": "zerolatency"}
    for number in range(2_000):
        frame = av.VideoFrame.from_ndarray(pixels_of(number), format="rgb24")
        frame.pts = number
        for packet in encoder.encode(frame):
            data = bytes(packet).replace(b"\0\0\0\1", b"\0\0\1")
            yield [unit for unit in data.split(b"\0\0\1") if unit]
