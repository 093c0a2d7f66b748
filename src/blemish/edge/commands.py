"""`blemish edge`: the agent, and the components on a device.

It parses arguments by the standard library, so that it needs nothing that the agent does not.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from blemish.edge.components import ComponentFolder, verify_component
from blemish.edge.config import COMPONENTS, SOCKET, read_config
from blemish.edge.errors import EdgeError
from blemish.engine.errors import EngineError
from blemish.engine.images.formats import ImageError

Run = Callable[[argparse.Namespace], int]

DESCRIPTION = "Run packaged models on a device."
GOOD, BAD = 0, 1
"""Exit statuses; argparse ends with 2 where the arguments are wrong."""


def run_command(arguments: Sequence[str] | None = None) -> None:
    """Run a command, and end the process.

    Args:
        arguments: those after `blemish`; by default those of the process.
    """
    parsed = _parser().parse_args(arguments)
    run: Run = parsed.run
    try:
        status = run(parsed)
    except (EdgeError, EngineError, ImageError) as error:
        status = _failed(str(error))
    except OSError as error:
        status = _failed(f"{error.filename} cannot be used: {error.strerror}.")
    sys.exit(status)


def _failed(reason: str) -> int:
    print(f"blemish: {reason}", file=sys.stderr)  # noqa: T201
    return BAD


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="blemish")
    room = parser.add_subparsers(required=True, metavar="edge").add_parser(
        "edge", help=DESCRIPTION, description=DESCRIPTION
    )
    commands = room.add_subparsers(required=True, metavar="COMMAND")
    _add_agent(commands)
    _add_install(commands)
    _add_command(commands, "list", _list, "List the installed components.")
    remove = _add_command(commands, "remove", _remove, "Remove a component.")
    remove.add_argument("name", metavar="COMPONENT")
    verify = _add_command(commands, "verify", _verify, "Compare components with their checksums.")
    verify.add_argument("names", metavar="COMPONENT", nargs="*", help="all, if none is named")
    detect = _add_command(commands, "detect", _detect, "Judge images without an agent.")
    detect.add_argument("images", metavar="IMAGE", nargs="+", type=Path, help="image files")
    detect.add_argument("--component", metavar="COMPONENT", help="needed if there is not only one")
    return parser


def _add_command(commands: Any, name: str, run: Run, text: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(name, help=text, description=text)
    parser.set_defaults(run=run)
    parser.add_argument("--components", metavar="DIR", type=Path, help=f"{COMPONENTS} by default")
    return parser


def _add_agent(commands: Any) -> None:
    agent = _add_command(commands, "agent", _agent, "Serve the models until a signal.")
    agent.add_argument(
        "--socket",
        metavar="ADDRESS",
        help=f"unix:PATH, unix-abstract:NAME, or HOST:PORT with TLS; {SOCKET} by default",
    )
    agent.add_argument("--config", metavar="FILE", type=Path, help="a TOML file of settings")


def _add_install(commands: Any) -> None:
    install = _add_command(commands, "install", _install, "Install a component, or a new version.")
    install.add_argument("source", metavar="FILE", help="a zip, or its address s3://bucket/key")
    install.add_argument(
        "--autostart",
        choices=("true", "false"),
        help="whether the model starts with the agent; as before by default, at first false",
    )


def _agent(arguments: argparse.Namespace) -> int:
    try:
        from blemish.edge.agent import run_agent  # noqa: PLC0415 - no other command needs gRPC
    except ModuleNotFoundError as error:
        raise EdgeError(
            f"The agent needs {error.name}, which is not installed: pip install 'blemish[edge]'."
        ) from None

    config = read_config(arguments.config, socket=arguments.socket, components=arguments.components)
    run_agent(config)
    return GOOD


def _install(arguments: argparse.Namespace) -> int:
    autostart = None if arguments.autostart is None else arguments.autostart == "true"
    with _opened_source(arguments.source) as archive:
        component = _folder(arguments).install(archive, autostart=autostart)
    print(f"Installed {component.name} {component.version}")  # noqa: T201
    return GOOD


def _list(arguments: argparse.Namespace) -> int:
    components = _folder(arguments).components().values()
    if not components:
        print(_nothing_installed(arguments), file=sys.stderr)  # noqa: T201 - the list stays empty
    width = max((len(component.name) for component in components), default=0)
    for component in components:
        autostart = "autostart" if component.autostart else "-"
        problem = component.problem or (component.info.model_arn if component.info else "")
        print(f"{component.name:{width}}  {component.version:8}  {autostart:9}  {problem}")  # noqa: T201
    return GOOD


def _remove(arguments: argparse.Namespace) -> int:
    _folder(arguments).remove(arguments.name)
    print(f"Removed {arguments.name}")  # noqa: T201
    return GOOD


def _verify(arguments: argparse.Namespace) -> int:
    folder = _folder(arguments)
    status = GOOD
    for name in arguments.names or folder.components():
        component = folder.require(name)
        try:
            verify_component(component)
        except EngineError as error:
            print(error)  # noqa: T201
            status = BAD
        else:
            print(f"{component.name} {component.version}: good")  # noqa: T201
    return status


def _detect(arguments: argparse.Namespace) -> int:
    from blemish.edge.detection import load_component  # noqa: PLC0415 - it takes a third of a second

    folder = _folder(arguments)
    names = [arguments.component] if arguments.component else list(folder.components())
    if not names:
        raise EdgeError(_nothing_installed(arguments))
    if len(names) != 1:
        raise EdgeError(f"{len(names)} components are installed. Name one by --component.")
    loaded = load_component(folder.require(names[0]))
    for image in arguments.images:
        detection = loaded.detect_file(image.read_bytes())
        document = {
            "image": str(image),
            "is_anomalous": detection.is_anomalous,
            "confidence": detection.confidence,
            "score": detection.score,
            "threshold": detection.threshold,
            "anomalies": [
                {"name": area.name, "share": area.share, "color": area.color}
                for area in detection.anomalies or ()
            ],
        }
        print(json.dumps(document, ensure_ascii=False))  # noqa: T201
    return GOOD


def _nothing_installed(arguments: argparse.Namespace) -> str:
    folder = arguments.components or COMPONENTS
    return f"No component is installed in {folder}. Install one: blemish edge install FILE."


def _folder(arguments: argparse.Namespace) -> ComponentFolder:
    return ComponentFolder(arguments.components or COMPONENTS)


@contextmanager
def _opened_source(source: str) -> Iterator[IO[bytes]]:
    if source.startswith("s3://"):
        from blemish.edge.downloads import opened_object  # noqa: PLC0415 - no other needs obstore

        with opened_object(source) as file:
            yield file
    else:
        with Path(source).open("rb") as file:
            yield file


if __name__ == "__main__":
    run_command()
