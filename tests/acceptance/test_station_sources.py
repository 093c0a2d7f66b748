"""The sources of a station against real ones: streams, videos, a broker, HTTP and GenICam."""

from __future__ import annotations

import http.client
import importlib.util
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion

from blemish.station.config import SourceConfig, WhenBusy
from blemish.station.config_table import ConfigTable
from blemish.station.errors import ConfigError
from blemish.station.images import CapturedImage
from blemish.station.records import Records
from blemish.station.runner import Station
from blemish.station.sources.registry import build_source
from blemish.station.verdict import Verdict
from tests.acceptance.station_receivers import Broker
from tests.ports import free_port
from tests.station_cameras import HttpCamera, pixels_of, rtsp_camera, write_video
from tests.unit.station.captured import BROKEN, RULES, PlainJudge

pytestmark = pytest.mark.acceptance

PATIENCE_S = 120.0
SECRETS = {"TOKEN": "t-123", "PASSWORD": "p-123", "CAMERA": "p@ss word"}


class Watcher(PlainJudge):
    """A judge that remembers the images."""

    def __init__(self) -> None:
        super().__init__()
        self.images: list[CapturedImage] = []
        self.is_busy = False

    def judge(self, image: CapturedImage) -> Any:
        self.is_busy = True
        result = super().judge(image)
        self.images.append(image)
        return result


class Line:
    """A station with one source."""

    def __init__(self, folder: Path, when_busy: str, **settings: object) -> None:
        self.judge = Watcher()
        self.records = Records(folder / "station", rules=RULES)
        config = source_config(when_busy, **settings)
        self.station = Station(
            judge=self.judge,
            records=self.records,
            sources=[(build_source(config), config)],
            sinks=[],
        )
        self.station.start()

    @property
    def source(self) -> Any:
        return self.station.status().sources[0]

    def wait_for(self, count: int) -> list[CapturedImage]:
        wait_until(lambda: len(self.judge.images) >= count)
        return self.judge.images

    def stop(self) -> None:
        self.judge.may_judge.set()
        self.station.stop()
        self.records.close()


Lines = Callable[..., Line]


def source_config(when_busy: str, **settings: object) -> SourceConfig:
    table = ConfigTable(
        {"type": settings["type"], "name": "line-1", "when_busy": when_busy} | settings,
        name="[[source]] line-1",
        environment=SECRETS,
    )
    for name in ("name", "when_busy", "type"):
        table.has(name)
    return SourceConfig(
        type=table.text("type"), name="line-1", when_busy=WhenBusy(when_busy), table=table
    )


def wait_until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.005)


@pytest.fixture
def lines(tmp_path: Path) -> Iterator[Lines]:
    """Starts stations that stop with the test."""
    started: list[Line] = []

    def start(when_busy: str, **settings: object) -> Line:
        started.append(Line(tmp_path, when_busy, **settings))
        return started[-1]

    yield start
    for line in started:
        line.stop()


@pytest.fixture
def camera() -> Iterator[HttpCamera]:
    """A network camera with an HTTP stream."""
    camera = HttpCamera()
    camera.start()
    yield camera
    camera.end()


def post(
    port: int, path: str, body: bytes = b"", headers: Mapping[str, str] = MappingProxyType({})
) -> tuple[int, dict[str, Any]]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_S)
    connection.request("POST", path, body, dict(headers))
    response = connection.getresponse()
    document = json.loads(response.read())
    connection.close()
    return response.status, document


def brightness(image: CapturedImage) -> float:
    assert not isinstance(image.content, bytes)
    return float(image.content.mean())


def test_every_frame_of_a_video_is_judged_once_over_two_runs(lines: Lines, tmp_path: Path) -> None:
    write_video(tmp_path / "clip.mp4", frames=30)
    settings = {"type": "video", "path": str(tmp_path / "clip.mp4"), "every": 3}
    first = lines("never-drop", **settings)
    first.wait_for(4)
    first.stop()

    second = lines("never-drop", **settings)
    wait_until(lambda: len(first.judge.images) + len(second.judge.images) >= 10)

    images = first.judge.images + second.judge.images
    assert [image.name for image in images] == [
        f"clip.mp4 frame {number}" for number in range(0, 30, 3)
    ]
    for number, image in zip(range(0, 30, 3), images, strict=True):
        assert brightness(image) == pytest.approx(pixels_of(number).mean(), abs=6)
    (tmp_path / "clip.mp4").unlink()
    wait_until(lambda: not second.source.is_connected)
    assert "clip.mp4 cannot be read" in second.source.message


def test_a_stream_is_judged_and_connected_to_again(lines: Lines, camera: HttpCamera) -> None:
    camera.wants_password = True
    line = lines(
        "newest-wins",
        type="camera",
        address=camera.address,
        username="line",
        password_env="CAMERA",
        trigger={"type": "every-frame"},
    )
    (image, *_) = line.wait_for(2)
    assert isinstance(image.content, np.ndarray)
    assert image.content.shape == (64, 96, 3)
    assert camera.authorizations[-1] == "Basic bGluZTpwQHNzIHdvcmQ="

    camera.end()
    wait_until(lambda: not line.source.is_connected)
    message = line.source.message
    camera.start()
    count = len(line.judge.images)

    line.wait_for(count + 2)
    assert line.source.is_connected
    assert camera.address in message or "ended its stream" in message
    assert "p@ss" not in message
    assert "p%40ss" not in message


def test_a_stream_over_rtsp_is_judged(lines: Lines) -> None:
    with rtsp_camera() as address:
        line = lines("newest-wins", type="camera", address=address, trigger={"type": "every-frame"})

        images = line.wait_for(5)

    assert len({brightness(image) for image in images}) > 1


def test_a_camera_that_is_not_there_says_why(lines: Lines) -> None:
    line = lines(
        "newest-wins", type="camera", address="/dev/video99", trigger={"type": "every-frame"}
    )

    wait_until(lambda: "/dev/video99" in line.source.message)

    assert line.source.message == "/dev/video99 cannot be opened: No such file or directory."


def test_an_interval_takes_images(lines: Lines, camera: HttpCamera) -> None:
    line = lines(
        "never-drop",
        type="camera",
        address=camera.address,
        trigger={"type": "interval", "interval_s": 0.1},
    )

    first, second, *_ = line.wait_for(3)

    assert second.taken_s - first.taken_s > 0.05


def test_a_request_takes_an_image_and_gets_its_verdict(lines: Lines, camera: HttpCamera) -> None:
    port = free_port()
    line = lines(
        "never-drop",
        type="camera",
        address=camera.address,
        trigger={"type": "http", "port": port, "token_env": "TOKEN"},
    )
    wait_until(lambda: line.source.is_connected)
    token = {"Authorization": "Bearer t-123"}

    status, document = post(port, "/capture?name=part+7", headers=token)

    assert (status, document["image_name"]) == (200, "part 7")
    assert Verdict.from_json(document).is_anomalous
    assert post(port, "/capture")[0] == 401
    assert post(port, "/other", headers=token)[0] == 404
    camera.end()
    status, document = post(port, "/capture", headers=token)
    assert (status, "Camera line-1 is away" in document["error"]) == (503, True)


def test_a_message_takes_an_image(lines: Lines, camera: HttpCamera, broker: Broker) -> None:
    line = lines(
        "never-drop",
        type="camera",
        address=camera.address,
        trigger={
            "type": "mqtt",
            "host": "127.0.0.1",
            "port": broker.port,
            "username": "line",
            "password_env": "PASSWORD",
            "topic": "line-1/parts",
        },
    )
    wait_until(lambda: line.source.is_connected)
    client = Client(CallbackAPIVersion.VERSION2)
    client.username_pw_set("line", "p-123")
    client.connect("127.0.0.1", broker.port)
    client.loop_start()

    def publish_until_one_is_judged() -> bool:
        client.publish("line-1/parts", "part 8", qos=1).wait_for_publish(PATIENCE_S)
        time.sleep(0.1)
        return bool(line.judge.images)

    wait_until(publish_until_one_is_judged)
    client.disconnect()
    client.loop_stop()
    assert line.judge.images[0].name == "part 8"

    broker.end()

    wait_until(lambda: not line.source.is_connected)
    assert line.source.message == f"The MQTT broker 127.0.0.1:{broker.port} is away."


def test_a_message_is_an_image_that_is_repeated_until_its_verdict_is_on_record(
    lines: Lines, broker: Broker
) -> None:
    settings: dict[str, object] = {
        "type": "mqtt",
        "host": "127.0.0.1",
        "port": broker.port,
        "username": "line",
        "password_env": "PASSWORD",
        "topic": "line-1/images",
    }
    line = lines("never-drop", **settings)
    wait_until(lambda: line.source.is_connected)
    line.stop()
    client = Client(CallbackAPIVersion.VERSION2)
    client.username_pw_set("line", "p-123")
    client.connect("127.0.0.1", broker.port)
    client.loop_start()
    for content in (b"image 1", BROKEN, b"image 2"):  # while the station is away
        client.publish("line-1/images", content, qos=1).wait_for_publish(PATIENCE_S)
    client.disconnect()
    client.loop_stop()

    line = lines("never-drop", **settings)

    assert [image.content for image in line.wait_for(2)] == [b"image 1", b"image 2"]
    assert line.source.failed == 1


def test_posted_images_get_verdicts(lines: Lines) -> None:
    port = free_port()
    line = lines("never-drop", type="http", port=port)
    wait_until(lambda: line.source.is_connected)

    status, first = post(port, "/images?name=a", b"image 1")

    assert (status, first["image_name"]) == (200, "a")
    assert post(port, "/images?name=a", b"image 1") == (200, first)
    assert post(port, "/images?name=a", b"image 2")[1]["id"] != first["id"]
    assert len(line.judge.images) == 2
    assert post(port, "/images", BROKEN)[0] == 400
    assert post(port, "/", b"image 1")[0] == 404
    assert post(port, "/images", b"image 1", {"Origin": "http://other.example"})[0] == 403


def test_of_posted_images_the_newest_wins(lines: Lines) -> None:
    port = free_port()
    line = lines("newest-wins", type="http", port=port)
    wait_until(lambda: line.source.is_connected)
    line.judge.may_judge.clear()

    with ThreadPoolExecutor(3) as pool:
        first = pool.submit(post, port, "/images?name=1", b"image")
        wait_until(lambda: line.judge.is_busy)
        second = pool.submit(post, port, "/images?name=2", b"image")
        wait_until(lambda: bool(line.station._intakes[0]._images))
        third = pool.submit(post, port, "/images?name=3", b"image")
        status, document = second.result()
        line.judge.may_judge.set()

    assert (status, document) == (503, {"error": "A newer image replaced this one."})
    assert (first.result()[0], third.result()[0]) == (200, 200)
    assert line.source.dropped == 1


def test_a_body_without_length_is_refused(lines: Lines) -> None:
    port = free_port()
    line = lines("never-drop", type="http", port=port)
    wait_until(lambda: line.source.is_connected)
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_S)

    def status(**headers: str) -> int:
        connection.putrequest("POST", "/images")
        for name, value in headers.items():
            connection.putheader(name.replace("_", "-"), value)
        connection.endheaders()
        response = connection.getresponse()
        response.read()
        connection.close()
        return response.status

    assert status() == 411
    assert status(Content_Length="99999999999") == 413
    assert status(Content_Length="9" * 5_000) == 413


def test_a_port_that_is_taken_is_listened_on_later(lines: Lines) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
        line = lines("never-drop", type="http", port=port)
        wait_until(lambda: "cannot be listened on" in line.source.message)

    wait_until(lambda: line.source.is_connected)
    assert post(port, "/images", b"image 1")[0] == 200


def test_a_simulated_genicam_camera_is_judged(lines: Lines) -> None:
    specification = importlib.util.find_spec("genicam")
    assert specification is not None
    assert specification.origin is not None
    producer = Path(specification.origin).with_name("viky.cti")
    if not producer.is_file():
        pytest.skip("this version of genicam has no simulated camera")
    line = lines(
        "newest-wins",
        type="genicam",
        producer=str(producer),
        trigger={"type": "every-frame"},
    )

    images = line.wait_for(3)

    assert isinstance(images[0].content, np.ndarray)
    assert images[0].content.shape == (400, 400, 3)


def test_a_genicam_camera_that_is_not_there_says_which_are(lines: Lines, tmp_path: Path) -> None:
    line = lines(
        "newest-wins",
        type="genicam",
        producer=str(tmp_path / "none.cti"),
        trigger={"type": "every-frame"},
    )

    wait_until(lambda: "There is no producer" in line.source.message)


@pytest.mark.parametrize(
    ("when_busy", "settings", "message"),
    [
        ("never-drop", {"type": "lens"}, "there are camera, folder, genicam, http, mqtt, video"),
        ("never-drop", {"type": "http", "host": "0.0.0.0"}, "there is no token_env"),
        ("never-drop", {"type": "camera", "address": "ftp://a"}, "must be a device /dev/"),
        ("never-drop", {"type": "camera", "address": "rtsp://a:secret@b/"}, "password_env instead"),
        ("never-drop", {"type": "camera", "address": "rtsp://b/", "size": "1x1"}, "as there is a"),
        ("never-drop", {"type": "camera", "address": "/dev/video0"}, "it must be a table"),
        (
            "never-drop",
            {"type": "camera", "address": "/dev/video0", "trigger": {"type": "every-frame"}},
            "newest-wins for a trigger every-frame",
        ),
        (
            "never-drop",
            {"type": "camera", "address": "/dev/video0", "trigger": {"type": "http", "x": 1}},
            "trigger has the setting 'x'",
        ),
    ],
)
def test_wrong_settings_are_refused(
    when_busy: str, settings: dict[str, object], message: str
) -> None:
    with pytest.raises(ConfigError) as raised:
        build_source(source_config(when_busy, **settings))

    assert message in str(raised.value)
    assert "secret" not in str(raised.value)


def test_no_thread_is_left_of_a_station_that_stopped(lines: Lines, camera: HttpCamera) -> None:
    before = set(threading.enumerate())
    line = lines(
        "newest-wins", type="camera", address=camera.address, trigger={"type": "every-frame"}
    )
    line.wait_for(1)

    line.stop()

    left = {thread.name for thread in set(threading.enumerate()) - before}
    assert not left & {"line-1", "judge"}
