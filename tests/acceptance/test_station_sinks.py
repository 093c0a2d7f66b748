"""The sinks of a station against real receivers: a broker, web servers and a controller."""

from __future__ import annotations

import json
import socket
import ssl
import threading
from collections.abc import Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from blemish.station.config_table import ConfigTable
from blemish.station.errors import SinkError, VerdictRefusedError
from blemish.station.sinks.modbus import ModbusSink, ModbusTarget
from blemish.station.sinks.mqtt import build_mqtt_sink
from blemish.station.sinks.sink import Sink
from blemish.station.sinks.webhook import build_webhook_sink
from tests import certificates
from tests.acceptance.station_receivers import (
    Broker,
    Controller,
    subscribed,
    wait_until,
)
from tests.ports import free_port
from tests.unit.station.verdicts import TIME, verdict

pytestmark = pytest.mark.acceptance

SECRETS = {"TOKEN": "t-123", "PASSWORD": "p-123", "WRONG": "wrong"}


def table(**settings: object) -> ConfigTable:
    return ConfigTable(settings, name="[[sink]] test", environment=SECRETS)


def mqtt_sink(port: int, **settings: object) -> Sink:
    login = {"username": "line", "password_env": "PASSWORD"}
    return build_mqtt_sink(
        "line", table(**{"host": "127.0.0.1", "port": port, "topic": "plates"} | login | settings)
    )


def test_a_broker_gets_each_verdict(broker: Broker) -> None:
    sink = mqtt_sink(broker.port)

    with subscribed(broker.port, "plates") as messages:
        sink.deliver(verdict(1))
        sink.deliver(verdict(2))
        wait_until(lambda: len(messages) == 2)
    sink.close()

    assert messages == [verdict(1).to_json(), verdict(2).to_json()]


def test_a_broker_that_goes_away_and_comes_back_gets_the_next_verdict(broker: Broker) -> None:
    sink = mqtt_sink(broker.port)
    sink.deliver(verdict(1))
    broker.end()

    with pytest.raises(SinkError, match=r"cannot be connected to|lost|closed"):
        sink.deliver(verdict(2))
    broker.start()
    with subscribed(broker.port, "plates") as messages:
        sink.deliver(verdict(2))
        wait_until(lambda: len(messages) == 1)
    sink.close()

    assert messages[0]["id"] == "0002"


def test_a_broker_that_refuses_the_password_is_quoted(broker: Broker) -> None:
    sink = mqtt_sink(broker.port, password_env="WRONG")

    with pytest.raises(SinkError, match="refuses the connection: Not authorized"):
        sink.deliver(verdict())


# paho leaves the socket of a failed handshake to the garbage collection
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_a_broker_is_known_by_its_certificate(broker_folder: Path) -> None:
    own = certificates.made("127.0.0.1", "localhost", authority=False)
    certificate, key = certificates.write(broker_folder, own)
    key.chmod(0o644)
    broker = Broker(broker_folder, "user root", f"certfile {certificate}", f"keyfile {key}")
    broker.start()
    try:
        trusting = mqtt_sink(broker.port, tls=True, ca_file=str(certificate))
        trusting.deliver(verdict())
        trusting.close()

        with pytest.raises(SinkError, match="CERTIFICATE_VERIFY_FAILED"):
            mqtt_sink(broker.port, tls=True).deliver(verdict())
    finally:
        broker.end()


class Receiver(ThreadingHTTPServer):
    """Remembers requests, and answers with the next of some statuses, then with 204."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), ReceiverHandler)
        self.statuses: list[int] = []
        self.requests: list[tuple[str, dict[str, str], bytes]] = []


class ReceiverHandler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.requests.append((self.path, dict(self.headers), body))
        status = self.server.statuses.pop(0) if self.server.statuses else 204
        self.send_response(status)
        self.send_header("Location", "http://127.0.0.1:1/elsewhere")
        text = b"unknown product" if status >= 400 else b""
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_arguments: Any) -> None: ...


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    server = Receiver()
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def webhook(port: int, *, scheme: str = "http", **settings: object) -> Sink:
    url = f"{scheme}://127.0.0.1:{port}/verdicts?line=1"
    return build_webhook_sink("hook", table(**{"url": url, "token_env": "TOKEN"} | settings))


def test_a_webhook_gets_each_verdict_with_the_token(receiver: Receiver) -> None:
    webhook(receiver.server_port).deliver(verdict())

    [(path, headers, body)] = receiver.requests
    assert path == "/verdicts?line=1"
    assert json.loads(body) == verdict().to_json()
    assert headers["Authorization"] == "Bearer t-123"
    assert headers["Idempotency-Key"] == "0001"


@pytest.mark.parametrize("status", [400, 413, 415, 422])
def test_a_webhook_that_refuses_a_verdict_for_good_is_quoted(
    receiver: Receiver, status: int
) -> None:
    receiver.statuses = [status]

    with pytest.raises(VerdictRefusedError, match=f"status {status}: unknown product"):
        webhook(receiver.server_port).deliver(verdict())


@pytest.mark.parametrize("status", [302, 307, 401, 404, 408, 429, 500, 503])
def test_a_webhook_that_may_recover_is_tried_again(receiver: Receiver, status: int) -> None:
    receiver.statuses = [status]

    with pytest.raises(SinkError, match=f"status {status}") as raised:
        webhook(receiver.server_port).deliver(verdict())

    assert not isinstance(raised.value, VerdictRefusedError)
    assert len(receiver.requests) == 1  # the token went nowhere else


def test_a_webhook_that_is_not_there_or_silent_is_said() -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()

        with pytest.raises(SinkError, match="does not answer: timed out"):
            webhook(silent.getsockname()[1], timeout_s=0.1).deliver(verdict())
    with pytest.raises(SinkError, match="Connection refused"):
        webhook(free_port()).deliver(verdict())


def test_a_webhook_is_known_by_its_certificate(receiver: Receiver, tmp_path: Path) -> None:
    certificate, key = certificates.write(tmp_path, certificates.made("127.0.0.1"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    receiver.socket = context.wrap_socket(receiver.socket, server_side=True)
    port = receiver.server_port

    webhook(port, scheme="https", ca_file=str(certificate)).deliver(verdict())

    assert len(receiver.requests) == 1


@pytest.fixture
def controller() -> Iterator[Controller]:
    server = Controller()
    server.start()
    yield server
    server.end()


COIL, REGISTER = 5, 6
"""Function codes. Source: MODBUS Application Protocol Specification V1.1b3, 6.5 and 6.6."""


def modbus_sink(port: int, **changes: Any) -> ModbusSink:
    members: dict[str, Any] = {
        "host": "127.0.0.1",
        "port": port,
        "device_id": 1,
        "coil": 3,
        "pulse_s": 0.0,
        "score_register": 7,
        "most_age_s": 10.0,
    }
    return ModbusSink("plc", ModbusTarget(**members | changes), now=lambda: TIME)


def test_a_controller_gets_the_score_and_then_the_verdict(controller: Controller) -> None:
    sink = modbus_sink(controller.port)

    sink.deliver(verdict(1))
    sink.deliver(verdict(2, is_anomalous=False, score=0.5))
    sink.close()

    assert controller.requests == [
        (REGISTER, 7, 1250),
        (COIL, 3, True),
        (REGISTER, 7, 500),
        (COIL, 3, False),
    ]


def test_a_pulse_resets_the_coil(controller: Controller) -> None:
    sink = modbus_sink(controller.port, pulse_s=0.01, score_register=None)

    sink.deliver(verdict())
    sink.close()

    assert controller.requests == [(COIL, 3, True), (COIL, 3, False)]


def test_a_verdict_whose_part_has_gone_by_is_not_written(controller: Controller) -> None:
    sink = modbus_sink(controller.port)

    sink.deliver(verdict(1, time=TIME - timedelta(seconds=11)))
    sink.close()

    assert controller.requests == []


def test_a_controller_that_closes_an_idle_connection_is_connected_to_again(
    controller: Controller,
) -> None:
    sink = modbus_sink(controller.port, score_register=None)
    sink.deliver(verdict(1))
    controller.end()
    again = Controller()
    again.port = controller.port
    again.start()
    try:
        sink.deliver(verdict(2))
        sink.close()
    finally:
        again.end()

    assert again.requests == [(COIL, 3, True)]


def test_a_controller_that_is_not_there_or_refuses_is_said(controller: Controller) -> None:
    with pytest.raises(SinkError, match="cannot be connected to"):
        modbus_sink(free_port()).deliver(verdict())
    refused = modbus_sink(controller.port, coil=4_000, score_register=None)

    with pytest.raises(SinkError, match="refuses to write address 4000"):
        refused.deliver(verdict())
    refused.close()
