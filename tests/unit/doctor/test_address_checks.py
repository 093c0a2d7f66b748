from __future__ import annotations

from pathlib import Path

import pytest

from blemish.doctor.address_checks import server_findings
from blemish.doctor.report import Level
from blemish.server.tls import read_certificate
from tests.certificates import made, write
from tests.unit.storage.objects.test_s3_store import QuietHandler, served

pytestmark = pytest.mark.acceptance


class ReadyHandler(QuietHandler):
    def do_GET(self) -> None:  # noqa: N802 - named by the base class
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b'{"ready": true, "checks": {"database": "ok"}}')


def test_a_server_of_an_unknown_authority_is_asked_and_its_certificate_is_a_warning(
    tmp_path: Path,
) -> None:
    authority = made("plant", authority=True)
    certificate = read_certificate(*write(tmp_path, made("127.0.0.1", by=authority)))
    root = tmp_path / "ca.pem"

    with served(ReadyHandler, tls=certificate.context) as endpoint:
        refused, ready = server_findings(endpoint, authorities=root)
        root.write_bytes(authority.pem())
        (alone,) = server_findings(endpoint, authorities=root)

    assert (refused.topic, refused.level) == ("certificate", Level.WARNING)
    assert endpoint in refused.message
    assert "ca_bundle" in (refused.remedy or "")
    assert ready == alone
    assert (ready.level, ready.message) == (
        Level.OK,
        f"A server runs at {endpoint} and is ready.",
    )
