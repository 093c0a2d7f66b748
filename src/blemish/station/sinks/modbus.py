"""Modbus/TCP: verdicts as a coil, and scores as a register, of a controller."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from blemish.station.config_table import ConfigTable
from blemish.station.errors import SinkError
from blemish.station.libraries import check_library
from blemish.station.sinks.sink import Sink
from blemish.station.verdict import Verdict

if TYPE_CHECKING:
    from pymodbus.client import ModbusTcpClient

logger = logging.getLogger(__name__)

ANSWER_S = 3.0
"""How long a controller may take to answer a request."""

SCORE_SCALE, MOST_SCORE = 1_000, 65_535
"""A register of 16 bits holds thousandths of the threshold."""


@dataclass(frozen=True, kw_only=True)
class ModbusTarget:
    """What a controller is written."""

    host: str
    port: int
    device_id: int
    #: set to whether the image is anomalous
    coil: int | None
    #: the coil is reset after this time; 0 leaves it as it is
    pulse_s: float
    #: a holding register
    score_register: int | None
    #: verdicts that are older are not written: their parts have gone by
    most_age_s: float


class _LostConnectionError(SinkError):
    """A controller did not answer."""


class ModbusSink:
    """Writes the verdict on the newest image to a controller."""

    def __init__(
        self,
        name: str,
        target: ModbusTarget,
        *,
        now: Callable[[], datetime],
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.name = name
        self._target = target
        self._now, self._sleep = now, sleep
        self._client: ModbusTcpClient | None = None

    def deliver(self, verdict: Verdict) -> None:
        """Write the score, then the verdict, so that the coil says when both are there."""
        if (age := (self._now() - verdict.time).total_seconds()) > self._target.most_age_s:
            logger.warning("%s: a verdict of %.1f s ago is not written", self.name, age)
            return
        is_new = self._client is None
        try:
            self._write_verdict(verdict)
        except _LostConnectionError:
            if is_new:
                raise
            self._write_verdict(verdict)  # controllers close connections that are idle

    def _write_verdict(self, verdict: Verdict) -> None:
        target, client = self._target, self._connected()
        if target.score_register is not None:
            self._write(client.write_register, target.score_register, _scaled(verdict))
        if target.coil is not None:
            self._write(client.write_coil, target.coil, verdict.is_anomalous)
            if target.pulse_s and verdict.is_anomalous:
                self._sleep(target.pulse_s)
                self._write(client.write_coil, target.coil, value=False)

    def close(self) -> None:
        """Disconnect."""
        client, self._client = self._client, None
        if client is not None:
            client.close()

    @property
    def _controller(self) -> str:
        return f"The controller {self._target.host}:{self._target.port}"

    def _connected(self) -> ModbusTcpClient:
        from pymodbus.client import ModbusTcpClient  # noqa: PLC0415

        if self._client is None:
            client = ModbusTcpClient(
                self._target.host, port=self._target.port, timeout=ANSWER_S, retries=0
            )
            if not client.connect():
                client.close()
                raise SinkError(f"{self._controller} cannot be connected to.")
            self._client = client
        return self._client

    def _write(self, write: Callable[..., Any], address: int, value: float) -> None:
        from pymodbus.exceptions import ModbusException  # noqa: PLC0415

        try:
            answer = write(address, value, device_id=self._target.device_id)
        except (ModbusException, OSError) as error:
            self.close()
            raise _LostConnectionError(f"{self._controller} does not answer: {error}.") from None
        if answer.isError():
            raise SinkError(f"{self._controller} refuses to write address {address}: {answer}.")


def _scaled(verdict: Verdict) -> int:
    """Return the score in thousandths of the threshold."""
    if verdict.threshold <= 0:
        return MOST_SCORE if verdict.is_anomalous else 0
    return min(MOST_SCORE, round(SCORE_SCALE * verdict.score / verdict.threshold))


def build_modbus_sink(name: str, table: ConfigTable) -> Sink:
    """Build the sink from its settings."""
    check_library("pymodbus", user=table.name)
    target = ModbusTarget(
        host=table.host("host"),
        port=table.integer("port", 502, least=1, most=65_535),
        device_id=table.integer("device_id", 1, least=0, most=255),
        coil=_address(table, "coil"),
        pulse_s=table.integer("pulse_ms", 0, least=0, most=5_000) / 1_000,
        score_register=_address(table, "score_register"),
        most_age_s=table.number("max_age_s", 10, least=0.1),
    )
    if target.coil is None and target.score_register is None:
        raise table.wrong("coil", "an address from 0 to 65535, or score_register must be one")
    return ModbusSink(name, target, now=lambda: datetime.now(UTC))


def _address(table: ConfigTable, key: str) -> int | None:
    return table.integer(key, least=0, most=65_535) if table.has(key) else None
