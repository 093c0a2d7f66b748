"""Real receivers of verdicts, for tests: a broker and a controller."""

from __future__ import annotations

import asyncio
import json
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

from tests.ports import free_port

MOSQUITTO = shutil.which("mosquitto", path="/usr/local/sbin:/usr/sbin:/usr/bin")
PATIENCE_S = 60


class Broker:
    """A mosquitto process."""

    def __init__(self, folder: Path, *settings: str) -> None:
        self.port = free_port()
        self._config = folder / "mosquitto.conf"
        lines = ["allow_anonymous false", f"password_file {folder}/passwords", *settings]
        self._config.write_text("\n".join([f"listener {self.port} 127.0.0.1", *lines]))
        subprocess.run(
            ["mosquitto_passwd", "-b", "-c", f"{folder}/passwords", "line", "p-123"], check=True
        )
        (folder / "passwords").chmod(0o644)
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        assert MOSQUITTO is not None
        self._process = subprocess.Popen(
            [MOSQUITTO, "-c", self._config], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        deadline = time.monotonic() + PATIENCE_S
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
            except OSError:
                assert self._process.poll() is None
                assert time.monotonic() < deadline
                time.sleep(0.02)
            else:
                return

    def end(self, number: signal.Signals = signal.SIGKILL) -> None:
        if self._process is not None:
            self._process.send_signal(number)
            self._process.wait(PATIENCE_S)


@contextmanager
def subscribed(port: int, topic: str) -> Iterator[list[dict[str, Any]]]:
    """Collect the messages of a topic."""
    messages: list[dict[str, Any]] = []
    is_subscribed = threading.Event()

    def collect(_client: Client, _data: Any, message: MQTTMessage) -> None:
        assert message.qos == 1
        messages.append(json.loads(message.payload))

    # a session that a broker keeps while it restarts
    client = Client(CallbackAPIVersion.VERSION2, client_id="subscriber", clean_session=False)
    client.reconnect_delay_set(1, 1)
    client.username_pw_set("line", "p-123")
    client.on_message = collect
    client.on_subscribe = lambda *_: is_subscribed.set()
    client.connect("127.0.0.1", port)
    client.subscribe(topic, qos=1)
    client.loop_start()
    assert is_subscribed.wait(PATIENCE_S)
    try:
        yield messages
    finally:
        client.disconnect()
        client.loop_stop()


def wait_until(is_true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not is_true():
        assert time.monotonic() < deadline
        time.sleep(0.01)


class Controller:
    """A Modbus/TCP server with a block of coils and one of registers."""

    def __init__(self) -> None:
        self.port = free_port()
        self._ready, self._over = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()))
        self.requests: list[tuple[int, int, object]] = []

    async def _serve(self) -> None:
        coils = SimData(0, count=16, values=False, datatype=DataType.BITS)
        registers = SimData(0, count=16, values=0, datatype=DataType.REGISTERS)
        device = SimDevice(1, simdata=([coils], [coils], [registers], [registers]))
        server = ModbusTcpServer(device, address=("127.0.0.1", self.port), trace_pdu=self._trace)
        await server.listen()
        self._ready.set()
        while not self._over.is_set():
            await asyncio.sleep(0.01)
        await server.shutdown()

    def _trace(self, is_sent: bool, pdu: Any) -> Any:
        if not is_sent:
            value = pdu.bits[0] if pdu.bits else pdu.registers[0]
            self.requests.append((pdu.function_code, pdu.address, value))
        return pdu

    def start(self) -> None:
        self._thread.start()
        assert self._ready.wait(PATIENCE_S)

    def end(self) -> None:
        self._over.set()
        self._thread.join()
