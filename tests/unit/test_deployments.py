"""What the files in `deploy` must have in common with each other."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

DEPLOY = Path(__file__).parents[2] / "deploy"


def read(name: str) -> list[Any]:
    return list(yaml.safe_load_all((DEPLOY / name).read_text()))


@pytest.mark.parametrize("server", ["one", "two"])
def test_servers_believe_the_balancer_alone_who_asks(server: str) -> None:
    (compose,) = read("compose-servers.yaml")
    services = compose["services"]

    trusted = services[server]["environment"]["FORWARDED_ALLOW_IPS"]

    assert trusted == services["haproxy"]["networks"]["default"]["ipv4_address"]
    hosts = ProxyHeadersMiddleware(print, trusted_hosts=trusted).trusted_hosts  # type: ignore[arg-type]
    assert trusted in hosts
    assert "172.30.18.130" not in hosts


def test_pods_say_whom_they_believe() -> None:
    (pods,) = [part for part in read("kubernetes-servers.yaml") if part["kind"] == "StatefulSet"]
    (container,) = pods["spec"]["template"]["spec"]["containers"]

    settings = {setting["name"]: setting.get("value") for setting in container["env"]}

    assert settings["FORWARDED_ALLOW_IPS"] == ""
