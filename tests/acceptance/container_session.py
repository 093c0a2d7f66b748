"""Run as a program, as root in a mount namespace of its own: do what deploy/Dockerfile says.

There is no container engine here. The system of this machine stands in for the base image; /opt,
/var/lib and /tmp are new and empty, and everything else is read-only when the server runs.

The arguments are the Dockerfile and the folder of its build context. Prints a JSON object.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import boto3

PYTHON = "/usr/bin/python3"
NUMBER = 10_001
PATIENCE_S = 120


def instructions(dockerfile: str) -> list[tuple[str, str]]:
    """Return names and arguments of a Dockerfile."""
    lines = [line for line in dockerfile.splitlines() if not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n\s*", "", "\n".join(lines))
    return [
        (name, text)
        for name, _, text in (line.partition(" ") for line in joined.splitlines() if line)
    ]


def build(steps: list[tuple[str, str]], context: Path) -> dict[str, str]:
    """Carry out the steps; return the environment of the container."""
    programs = Path("/opt/programs")  # `python` and `pip` of the base image
    programs.mkdir()
    (programs / "python").symlink_to(PYTHON)
    pip = programs / "pip"
    pip.write_text(f'#!/bin/sh\nexec {sys.executable} -m pip "$@"\n')
    pip.chmod(0o755)
    outside = os.environ | {"PATH": f"{programs}:{os.environ['PATH']}"}
    folder, container = Path("/"), {"PATH": "/usr/bin:/bin"}
    for name, text in steps:
        match name:
            case "WORKDIR":
                folder = Path(text)
                folder.mkdir(parents=True, exist_ok=True)
            case "COPY" if not text.startswith("--from"):
                for pattern in text.split()[:-1]:
                    for source in context.glob(pattern):
                        shutil.copy(source, folder)
            case "RUN":
                subprocess.run(["sh", "-ec", text], cwd=folder, env=outside, check=True)
            case "ENV":
                for variable, value in re.findall(r"(\w+)=(\S+)", text):
                    container[variable] = value.replace("$PATH", container["PATH"])
    pip.unlink()
    return container


def main(dockerfile: Path, context: Path) -> dict[str, object]:
    """Build, serve, ask, look at the demo, and end the server by the signal of the file."""
    for folder in ("/opt", "/var/lib"):
        mount("-t", "tmpfs", "tmpfs", folder)
    steps = instructions(dockerfile.read_text())
    environment = build(steps, context)
    last = dict(steps)  # of a repeated instruction, the one that counts
    mount("-t", "tmpfs", "-o", "mode=1777", "tmpfs", "/tmp")
    mount("--bind", "/", "/")
    mount("-o", "remount,ro,bind", "/")
    mount("-o", "remount,ro", "/opt")

    def run(command: list[str], **variables: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            command,
            cwd=last["WORKDIR"],
            env=environment | variables,
            user=NUMBER,
            group=NUMBER,
            extra_groups=[],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    serve = [*json.loads(last["ENTRYPOINT"]), *json.loads(last["CMD"])]
    server = run(serve, BLEMISH_INSECURE="true")
    check = json.loads(last["HEALTHCHECK"].partition("CMD ")[2])
    deadline = time.monotonic() + PATIENCE_S
    while run(check).wait():
        assert server.poll() is None, server.communicate()[0]
        assert time.monotonic() < deadline
        time.sleep(0.2)
    data = Path(environment["BLEMISH_DATA_DIR"])
    os.environ["AWS_CONFIG_FILE"] = str(data / "aws" / "config")
    os.environ["AWS_SHARED_CREDENTIALS_FILE"] = str(data / "aws" / "credentials")
    client = boto3.Session(profile_name="blemish").client("lookoutvision")
    client.create_project(ProjectName="contained")
    projects = [project["ProjectName"] for project in client.list_projects()["Projects"]]
    demo = run(["blemish", "demo", "--data-dir", "/tmp/demo"])
    printed, _ = demo.communicate(timeout=PATIENCE_S * 5)
    server.send_signal(getattr(signal, last["STOPSIGNAL"]))
    server.communicate(timeout=PATIENCE_S)
    refused = run([*serve, "--data-dir", "/tmp/other"])
    reason, _ = refused.communicate(timeout=PATIENCE_S)
    return {
        "projects": projects,
        "demo": printed,
        "status": server.returncode,
        "owner": data.stat().st_uid,
        "unprotected": reason,
        "size_mib": int(subprocess.check_output(["du", "-sm", "/opt/blemish"]).split()[0]),
    }


def mount(*arguments: str) -> None:
    """Mount something in this namespace."""
    subprocess.run(["mount", *arguments], check=True)


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1]), Path(sys.argv[2]))))  # noqa: T201
