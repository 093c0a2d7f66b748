"""`blemish station`: runs a station until a signal ends it, and sends its images to a server.

It parses arguments by the standard library, so that it needs nothing that the edge does not.
"""

from __future__ import annotations

import argparse
import logging
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from blemish.edge.commands import run_command
from blemish.station.errors import StationError

RunStation = Callable[[argparse.Namespace], None]

DESCRIPTION = "Judge images at a line, and hand verdicts on."
HEALTH_LOOK_S = 1.0


def run_station_command(arguments: Sequence[str] | None = None) -> None:
    """Run a command, and end the process.

    Args:
        arguments: those after `blemish`; by default those of the process.
    """
    parsed = _parser().parse_args(arguments)
    run: RunStation = parsed.run
    try:
        run(parsed)
    except StationError as error:
        print(f"blemish: {error}", file=sys.stderr)  # noqa: T201
        sys.exit(1)


def run_device_command() -> None:
    """Run a command of the distribution for devices: `blemish station`, or `blemish edge`."""
    match sys.argv[1:2]:
        case ["edge"]:
            run_command()
        case ["station"]:
            run_station_command()
        case _:
            rooms = "blemish edge --help; blemish station --help"
            argparse.ArgumentParser(prog="blemish", usage=rooms).parse_args()
            sys.exit(f"blemish: name edge or station. {rooms}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="blemish")
    station = parser.add_subparsers(required=True, metavar="station").add_parser(
        "station", help=DESCRIPTION, description=DESCRIPTION
    )
    commands = station.add_subparsers(required=True, metavar="COMMAND")
    text = "Run the station until a signal."
    run = commands.add_parser("run", help=text, description=text)
    run.set_defaults(run=_run)
    run.add_argument("--config", metavar="FILE", type=Path, required=True, help="a TOML file")
    text = "Send stored images to the server, into trials."
    sync = commands.add_parser("sync", help=text, description=text)
    sync.set_defaults(run=_sync)
    sync.add_argument("--config", metavar="FILE", type=Path, required=True, help="a TOML file")
    return parser


def _run(arguments: argparse.Namespace) -> None:
    # imported here: ONNX Runtime takes a third of a second, and help needs none of it
    from blemish.station.build import running_station  # noqa: PLC0415
    from blemish.station.config import read_station_config  # noqa: PLC0415

    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    config = read_station_config(arguments.config)
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    with running_station(config) as station:
        print(f"The station runs in {config.directory}", flush=True)  # noqa: T201
        while not ended.wait(HEALTH_LOOK_S):
            if not station.is_running:
                raise StationError("The station ended by a fault; its log says why.")


def _sync(arguments: argparse.Namespace) -> None:
    from blemish.station.config import read_station_config  # noqa: PLC0415
    from blemish.station.sync.command import sync_station  # noqa: PLC0415

    config = read_station_config(arguments.config)
    count = sync_station(config, say=lambda text: print(text, flush=True))  # noqa: T201
    print(f"{count} images were sent." if count else "The server has every image.")  # noqa: T201


if __name__ == "__main__":
    run_device_command()
