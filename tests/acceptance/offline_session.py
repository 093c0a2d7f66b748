"""Run as a program: serve, and ask the server for something, inside one network namespace.

The arguments are the `blemish` command and, where the namespace is new, `--loopback`.
"""

from __future__ import annotations

import fcntl
import os
import socket
import struct
import subprocess
import sys

import boto3

# Source: netdevice(7) and linux/if.h.
SIOCSIFFLAGS = 0x8914
IFF_UP = 0x1


def bring_up_loopback() -> None:
    """Do what `ip link set lo up` does, where there may be no `ip`."""
    request = struct.pack("16sh14x", b"lo", IFF_UP)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        fcntl.ioctl(control, SIOCSIFFLAGS, request)


def main(blemish: str) -> None:
    """Print the projects that the server has after one was made."""
    command = [blemish, "serve", "--port", "0", "--data-dir", "data"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        for line in server.stdout:
            name, _, value = line.strip().partition("=")
            if name.startswith("AWS_"):
                os.environ[name] = value
            if name == "AWS_PROFILE":
                break
        try:
            client = boto3.client("lookoutvision")
            client.create_project(ProjectName="offline")
            print([project["ProjectName"] for project in client.list_projects()["Projects"]])  # noqa: T201
        finally:
            server.terminate()


if __name__ == "__main__":
    if "--loopback" in sys.argv:
        bring_up_loopback()
    main(sys.argv[1])
