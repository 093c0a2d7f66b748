"""A real edge agent, and clients that grpcio-tools generated from the original's messages."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from multiprocessing.shared_memory import SharedMemory
from pathlib import Path
from typing import Self

import grpc
import numpy as np
import pytest
from numpy.typing import NDArray

from blemish.engine.bundle import read_bundle
from blemish.engine.images.decode import ImageLimits
from blemish.engine.runtime import Detection, Detector
from tests import certificates
from tests.edge_agents import (
    ARN,
    WITH_MASKS,
    WITHOUT_MASKS,
    EdgeAgentProcess,
    EdgeClient,
    component_zip,
    generated,
    status_code,
    view,
)
from tests.edge_bundles import CLASSIFICATION, SEGMENTATION
from tests.edge_fuzz import EdgeFuzzer
from tests.ports import free_port
from tests.products import draw, png

pytestmark = pytest.mark.acceptance

LIMITS = ImageLimits(min_side=64, max_side=4096, max_pixels=4096**2)
PRECISION = 1e-4


@pytest.fixture
def agents(tmp_path: Path, edge_bundles: Path) -> Iterator[Callable[..., EdgeAgentProcess]]:
    """Start agents, each over a folder with a component of each kind; they end with the test."""
    started: list[EdgeAgentProcess] = []

    def start(*arguments: str, address: str = "", autostart: bool = False) -> EdgeAgentProcess:
        folder = tmp_path / f"agent-{len(started)}"
        folder.mkdir()
        agent = EdgeAgentProcess(folder, arguments=arguments, socket=address)
        started.append(agent)
        for name in (CLASSIFICATION, SEGMENTATION):
            install(agent, edge_bundles / name, name=name, autostart=autostart)
        agent.start()
        return agent

    yield start
    for agent in started:
        if agent.process is not None:
            agent.end(signal.SIGKILL)


@pytest.fixture
def agent(agents: Callable[..., EdgeAgentProcess]) -> EdgeAgentProcess:
    return agents()


@pytest.fixture
def segment() -> Iterator[SharedMemory]:
    memory = SharedMemory(create=True, size=2 * 96 * 64 * 3)
    yield memory
    memory.close()
    memory.unlink()


def install(
    agent: EdgeAgentProcess,
    bundle: Path,
    *,
    name: str,
    autostart: bool = False,
    version: str = "1.0.0",
    mixed_sizes: bool = False,
) -> None:
    archive = agent.log.with_name(f"{name}-{version}.zip")
    archive.write_bytes(
        component_zip(read_bundle(bundle), name=name, version=version, mixed_sizes=mixed_sizes)
    )
    agent.command("install", str(archive), "--autostart", str(autostart).lower())


def servers_answer(bundle: Path, pixels: NDArray[np.uint8]) -> Detection:
    """Judge an image as the server does, from a PNG file."""
    detector = Detector.load(read_bundle(bundle), threads=1)
    return detector.detect(png(pixels), limits=LIMITS, mixed_sizes=False)


def refusal(call: Callable[[], object]) -> grpc.StatusCode:
    with pytest.raises(grpc.RpcError) as caught:
        call()
    return status_code(caught.value)


@pytest.mark.parametrize("anomaly_types", [(), ("stain",)])
@pytest.mark.parametrize("name", [CLASSIFICATION, SEGMENTATION])
def test_the_answer_is_the_servers_by_bytes_and_by_shared_memory(
    agent: EdgeAgentProcess,
    edge_bundles: Path,
    segment: SharedMemory,
    name: str,
    anomaly_types: tuple[str, ...],
) -> None:
    pixels = draw(3_000, *anomaly_types).pixels
    expected = servers_answer(edge_bundles / name, pixels)

    with agent.client() as client:
        client.run(name)
        results = [client.detect(name, pixels), client.detect(name, pixels, segment)]

    assert results[0] == results[1]
    result = results[0]
    assert result.is_anomalous == expected.is_anomalous
    assert result.confidence == pytest.approx(expected.confidence, abs=PRECISION)
    assert result.anomaly_score == pytest.approx(expected.score, abs=PRECISION)
    assert result.anomaly_threshold == pytest.approx(expected.threshold, abs=PRECISION)
    areas = [
        (a.name, a.pixel_anomaly.total_percentage_area, a.pixel_anomaly.hex_color)
        for a in result.anomalies
    ]
    assert areas == [
        (area.name, pytest.approx(area.share, abs=PRECISION), area.color)
        for area in expected.anomalies or ()
    ]
    assert result.HasField("anomaly_mask") == (expected.mask is not None)
    if expected.mask is not None:
        assert mask_pixels(result.anomaly_mask).tolist() == colored(expected).tolist()


def mask_pixels(bitmap: object) -> NDArray[np.uint8]:
    data = np.frombuffer(bitmap.byte_data, dtype=np.uint8)  # type: ignore[attr-defined]
    return data.reshape(bitmap.height, bitmap.width, 3)  # type: ignore[attr-defined]


def colored(detection: Detection) -> NDArray[np.uint8]:
    assert detection.mask is not None
    palette = np.array([list(bytes.fromhex(color[1:])) for color in detection.colors], np.uint8)
    return palette[detection.mask]


@pytest.mark.parametrize("number", ["2", "3"])
def test_the_mask_comes_in_the_callers_shared_memory_under_either_number(
    agent: EdgeAgentProcess, edge_bundles: Path, segment: SharedMemory, number: str
) -> None:
    messages = generated(WITH_MASKS.replace("NUMBER", number))
    pixels = draw(2_001, "stain").pixels
    expected = colored(servers_answer(edge_bundles / SEGMENTATION, pixels))
    half = pixels.nbytes

    with agent.client(messages) as client:
        client.run(SEGMENTATION)
        handle = client.handle(segment, size=half, offset=half)
        request = client.request(
            SEGMENTATION,
            client.bitmap(pixels, segment),
            anomaly_mask_params=messages.AnomalyMaskParams(shared_memory_handle=handle),
        )
        result = client.call("DetectAnomalies", request).detect_anomaly_result

    mask = result.anomaly_mask
    assert (mask.width, mask.height, mask.shared_memory_handle) == (96, 64, handle)
    assert bytes(view(segment)[half : 2 * half]) == expected.tobytes()
    assert bytes(view(segment)[:half]) == pixels.tobytes()


def test_a_client_from_before_masks_works(agent: EdgeAgentProcess, edge_bundles: Path) -> None:
    pixels = draw(2_001, "stain").pixels
    expected = servers_answer(edge_bundles / SEGMENTATION, pixels)

    with agent.client(generated(WITHOUT_MASKS)) as client:
        client.run(SEGMENTATION)
        result = client.detect(SEGMENTATION, pixels)

    assert result.is_anomalous == expected.is_anomalous
    assert result.confidence == pytest.approx(expected.confidence, abs=PRECISION)


def test_models_are_listed_and_described(agent: EdgeAgentProcess) -> None:
    with agent.client() as client:
        listed = client.models()
        described = client.describe(SEGMENTATION)

    assert [model.model_component for model in listed] == [CLASSIFICATION, SEGMENTATION]
    assert {model.lookout_vision_model_arn for model in listed} == {ARN}
    assert described.status == client.messages.ModelStatus.Value("STOPPED")


def test_each_state_allows_what_the_originals_did(agent: EdgeAgentProcess) -> None:
    pixels = draw(1).pixels
    with agent.client() as client:
        assert refusal(lambda: client.detect("none", pixels)) is grpc.StatusCode.NOT_FOUND
        for call in (client.stop, lambda name: client.detect(name, pixels)):
            code = refusal(lambda call=call: call(SEGMENTATION))  # type: ignore[misc]
            assert code is grpc.StatusCode.FAILED_PRECONDITION

        started = client.start(SEGMENTATION)
        client.wait_for(SEGMENTATION, "RUNNING")
        again = refusal(lambda: client.start(SEGMENTATION))
        stopped = client.stop(SEGMENTATION)

        assert started.status == client.messages.ModelStatus.Value("STARTING")
        assert again is grpc.StatusCode.FAILED_PRECONDITION
        assert stopped.status == client.messages.ModelStatus.Value("STOPPED")


def test_an_image_of_another_size_is_refused_as_by_the_server(agent: EdgeAgentProcess) -> None:
    with agent.client() as client:
        client.run(CLASSIFICATION)

        with pytest.raises(grpc.RpcError) as caught:
            client.detect(CLASSIFICATION, np.zeros((100, 100, 3), np.uint8))

    assert status_code(caught.value) is grpc.StatusCode.INVALID_ARGUMENT
    assert "it must have 96 x 64 pixels" in str(caught.value)


def test_the_largest_image_fits_into_a_message(agent: EdgeAgentProcess, edge_bundles: Path) -> None:
    install(agent, edge_bundles / SEGMENTATION, name="any-size", mixed_sizes=True)
    with agent.client() as client:
        client.run("any-size")

        result = client.detect("any-size", np.full((4096, 4096, 3), 128, np.uint8))

    assert (result.anomaly_mask.width, result.anomaly_mask.height) == (4096, 4096)


def test_a_new_component_and_a_new_version_are_there_without_a_restart(
    agent: EdgeAgentProcess, edge_bundles: Path
) -> None:
    pixels = draw(2_001, "stain").pixels
    with agent.client() as client:
        install(agent, edge_bundles / CLASSIFICATION, name="new")
        client.run("new")
        assert not client.detect("new", pixels).HasField("anomaly_mask")

        install(agent, edge_bundles / SEGMENTATION, name="new", version="1.0.1")

        deadline = time.monotonic() + 120
        while not client.detect("new", pixels).HasField("anomaly_mask"):
            assert time.monotonic() < deadline
        agent.command("remove", "new")
        names = [model.model_component for model in client.models()]
        assert names == [CLASSIFICATION, SEGMENTATION]


def test_an_abstract_socket_works(agents: Callable[..., EdgeAgentProcess], tmp_path: Path) -> None:
    agent = agents(address=f"unix-abstract:blemish-test-{tmp_path.name}-{random.random()}")

    with agent.client() as client:
        assert len(client.models()) == 2


def test_two_agents_do_not_share_a_socket(agent: EdgeAgentProcess) -> None:
    second = agent.command("agent", "--socket", agent.socket, check=False)

    assert second.returncode == 1
    assert second.stderr == f"blemish: Another agent listens on {agent.socket}.\n"
    with agent.client() as client:
        assert len(client.models()) == 2


def test_tcp_wants_the_certificate_of_a_client(
    agents: Callable[..., EdgeAgentProcess], tmp_path: Path
) -> None:
    authority = certificates.made("authority", authority=True)
    server = certificates.made("localhost", "127.0.0.1", by=authority)
    known = certificates.made("line 4", by=authority)
    stranger = certificates.made("stranger")
    for name, data in (
        ("agent.pem", server.pem()),
        ("agent.key", server.key_pem()),
        ("clients.pem", authority.pem()),
    ):
        (tmp_path / name).write_bytes(data)
    config = tmp_path / "edge.toml"
    config.write_text(
        f'[tls]\ncertificate = "{tmp_path}/agent.pem"\nkey = "{tmp_path}/agent.key"\n'
        f'client_ca = "{tmp_path}/clients.pem"\n'
    )
    address = f"127.0.0.1:{free_port()}"
    agents("--config", str(config), address=address)

    def models(identity: certificates.Made | None) -> int:
        credentials = grpc.ssl_channel_credentials(
            authority.pem(),
            identity and identity.key_pem(),
            identity and identity.pem(),
        )
        with grpc.secure_channel(address, credentials) as channel:
            return len(EdgeClient(channel).models())

    assert models(known) == 2
    for identity in (None, stranger):
        code = refusal(lambda identity=identity: models(identity))  # type: ignore[misc]
        assert code is grpc.StatusCode.UNAVAILABLE
    with grpc.insecure_channel(address) as channel:
        assert refusal(EdgeClient(channel).models) is grpc.StatusCode.UNAVAILABLE


class Load:
    """Clients that have images judged until the end of the context."""

    def __init__(self, agent: EdgeAgentProcess, *, clients: int) -> None:
        self._agent = agent
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._run) for _ in range(clients)]
        self.answers: list[object] = []
        self.codes: set[grpc.StatusCode] = set()

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    def wait_for_more(self) -> None:
        """Wait until there is a further answer."""
        before, deadline = len(self.answers), time.monotonic() + 120
        while len(self.answers) <= before:
            assert time.monotonic() < deadline
            time.sleep(0.01)

    def _run(self) -> None:
        pixels = draw(1).pixels
        with self._agent.client() as client:
            while not self._over.is_set():
                try:
                    self.answers.append(client.detect(SEGMENTATION, pixels))
                except grpc.RpcError as error:
                    self.codes.add(status_code(error))
                    time.sleep(0.01)


def test_after_a_kill_under_load_the_models_run_again_and_clients_see_unavailable_alone(
    agents: Callable[..., EdgeAgentProcess],
) -> None:
    agent = agents(autostart=True)
    with agent.client() as client:
        client.wait_for(SEGMENTATION, "RUNNING")

    with Load(agent, clients=4) as load:
        load.wait_for_more()
        agent.end(signal.SIGKILL)
        agent.start()
        with agent.client() as client:
            client.wait_for(SEGMENTATION, "RUNNING")
            client.wait_for(CLASSIFICATION, "RUNNING")
        load.wait_for_more()

    assert load.codes <= {grpc.StatusCode.UNAVAILABLE}


def test_malformed_requests_get_the_right_code_and_nobody_else_notices(
    agent: EdgeAgentProcess, segment: SharedMemory
) -> None:
    pixels = draw(1).pixels
    with agent.client() as client:
        client.run(SEGMENTATION)
        before = client.detect(SEGMENTATION, pixels)
        fuzzer = EdgeFuzzer(client, segment, running=SEGMENTATION, seed=7)

        for request in fuzzer.requests(1_000):
            try:
                client.call(request.method, request.message)
                code = "OK"
            except grpc.RpcError as error:
                code = status_code(error).name
            assert code in request.codes, request

        assert client.detect(SEGMENTATION, pixels) == before
    assert agent.process is not None
    assert agent.process.poll() is None


def test_images_are_judged_from_the_command_line(
    agent: EdgeAgentProcess, edge_bundles: Path, tmp_path: Path
) -> None:
    pixels = draw(2_001, "stain").pixels
    image = tmp_path / "image.png"
    image.write_bytes(png(pixels))
    expected = servers_answer(edge_bundles / SEGMENTATION, pixels)

    output = agent.command("detect", str(image), "--component", SEGMENTATION).stdout
    both = agent.command("detect", str(image), check=False)

    assert f'"is_anomalous": {str(expected.is_anomalous).lower()}' in output
    assert both.returncode == 1
    assert both.stderr == "blemish: 2 components are installed. Name one by --component.\n"


def test_a_file_that_is_not_there_is_named(agent: EdgeAgentProcess) -> None:
    missing = agent.command("install", "/none.zip", check=False)

    assert (missing.returncode, missing.stderr) == (
        1,
        "blemish: /none.zip cannot be used: No such file or directory.\n",
    )


def test_components_are_listed_and_verified_from_the_command_line(agent: EdgeAgentProcess) -> None:
    assert agent.command("verify").stdout == (
        f"{CLASSIFICATION} 1.0.0: good\n{SEGMENTATION} 1.0.0: good\n"
    )
    (model,) = agent.components.glob(f"{SEGMENTATION}/1.0.0-*/model.onnx")
    model.write_bytes(b"damaged")

    damaged = agent.command("verify", check=False)

    assert damaged.returncode == 1
    assert f"The component {SEGMENTATION} is damaged" in damaged.stdout
    assert agent.command("list").stdout.splitlines() == [
        f"{CLASSIFICATION}  1.0.0     -          {ARN}",
        f"{SEGMENTATION}    1.0.0     -          {ARN}",
    ]
    with agent.client() as client:
        client.start(SEGMENTATION)
        failed = client.wait_for(SEGMENTATION, "FAILED")
    assert "checksum of model.onnx" in failed.status_message


def test_the_agent_needs_nothing_of_the_server() -> None:
    code = (
        "import sys; import blemish.edge.agent, blemish.edge.detection, blemish.edge.commands; "
        "print([n for n in ('scipy', 'onnx', 'sqlalchemy', 'typer', 'rich', 'botocore', "
        "'starlette', 'blemish.service', 'blemish.storage', 'blemish.server', 'obstore') "
        "if n in sys.modules])"
    )

    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout

    assert printed == b"[]\n"
