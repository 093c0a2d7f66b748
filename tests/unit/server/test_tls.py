from __future__ import annotations

import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from blemish.server.tls import CertificateError, RenewedCertificate, read_certificate
from tests.certificates import made, write

NOW = datetime.now(UTC)


def greeted(server: ssl.SSLContext, *, trusting: bytes, name: str | None) -> bytes:
    """Shake hands in memory; return the certificate that a client was shown, in DER."""
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.load_verify_locations(cadata=trusting.decode())
    client.check_hostname = name is not None
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    ours = client.wrap_bio(down, up, server_hostname=name)
    theirs = server.wrap_bio(up, down, server_side=True)
    for _ in range(3):
        for side in (ours, theirs):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
    shown = ours.getpeercert(binary_form=True)
    assert shown is not None
    return shown


def test_what_nobody_else_signed_is_what_clients_have_to_trust(tmp_path: Path) -> None:
    authority = made("factory", authority=True)
    alone = read_certificate(*write(tmp_path, made("localhost")))
    public = read_certificate(*write(tmp_path, made("localhost", by=authority)))
    ours = read_certificate(
        *write(tmp_path, made("localhost", by=authority), after=authority.pem())
    )

    assert alone.authorities.count(b"BEGIN CERTIFICATE") == 1
    assert public.authorities == b""
    assert ours.authorities == authority.pem()


@pytest.mark.parametrize(
    ("names", "host", "expected"),
    [
        (["127.0.0.1", "localhost"], "localhost", "localhost"),
        (["::1"], "::1", "::1"),
        (["blemish.factory", "10.0.0.7"], "0.0.0.0", "blemish.factory"),
        (["10.0.0.7"], "::", "10.0.0.7"),
        (["*.factory", "blemish.example"], "Blemish.factory", "Blemish.factory"),
        (["*.factory", "blemish.example"], "a.b.factory", "blemish.example"),
        (["*.factory"], "0.0.0.0", "0.0.0.0"),
    ],
)
def test_clients_look_for_a_name_that_the_certificate_is_for(
    tmp_path: Path, names: list[str], host: str, expected: str
) -> None:
    certificate = read_certificate(*write(tmp_path, made(*names)))

    assert certificate.name_for(host) == expected


def test_files_that_cannot_be_used_are_named_with_the_reason(tmp_path: Path) -> None:
    good = made("localhost")
    certificate, key = write(tmp_path, good)
    missing, text, sealed, other, nameless = (
        tmp_path / name for name in ("missing", "text", "sealed", "other", "nameless")
    )
    text.write_text("no certificate")
    sealed.write_bytes(good.key_pem(passphrase=b"swordfish"))
    other.write_bytes(made("localhost").key_pem())
    nameless.write_bytes(made().pem())

    for files, reason in [
        ((missing, key), rf"--tls-cert {missing} cannot be read \(No such file"),
        ((certificate, missing), rf"--tls-key {missing} cannot be read \(No such file"),
        ((tmp_path, key), rf"--tls-cert {tmp_path} cannot be read \(Is a directory"),
        ((text, key), f"--tls-cert {text} holds no certificate"),
        ((certificate, text), f"--tls-key {text} and --tls-cert {certificate} cannot be used"),
        ((certificate, sealed), f"--tls-key {sealed} is encrypted"),
        ((certificate, other), f"--tls-key {other} is not the key of --tls-cert {certificate}"),
        ((nameless, key), f"--tls-cert {nameless} names no server"),
    ]:
        with pytest.raises(CertificateError, match=reason):
            read_certificate(*files)


@pytest.mark.parametrize("name", ["localhost", None], ids=["with a name", "without"])
def test_a_renewed_certificate_greets_the_next_connection(tmp_path: Path, name: str | None) -> None:
    old, new = made("localhost"), made("localhost")
    certificate = RenewedCertificate(*write(tmp_path, old), now=lambda: NOW)
    first = greeted(certificate.context, trusting=old.pem(), name=name)
    assert not certificate.look()

    write(tmp_path, new)

    assert certificate.look()
    second = greeted(certificate.context, trusting=new.pem(), name=name)
    assert first == ssl.PEM_cert_to_DER_cert(old.pem().decode())
    assert second == ssl.PEM_cert_to_DER_cert(new.pem().decode())


def test_a_renewal_that_cannot_be_used_changes_nothing(tmp_path: Path) -> None:
    old, new = made("localhost"), made("localhost")
    files = write(tmp_path, old)
    certificate = RenewedCertificate(*files, now=lambda: NOW)

    files[0].write_bytes(new.pem())
    with capture_logs() as logs:
        renewed = certificate.look()
        again = certificate.look()

    assert not renewed
    assert not again
    assert [log["log_level"] for log in logs] == ["error"]
    assert "is not the key of" in logs[0]["reason"]
    assert greeted(certificate.context, trusting=old.pem(), name="localhost")
    files[1].write_bytes(new.key_pem())
    assert certificate.look()


def test_one_that_expires_is_warned_of_once_a_day(tmp_path: Path) -> None:
    clock = [NOW]
    certificate = RenewedCertificate(
        *write(tmp_path, made("localhost", begins_at=NOW, life=timedelta(days=15))),
        now=lambda: clock[0],
    )
    with capture_logs() as logs:
        for hours in (0, 30, 31, 60, 24 * 16):
            clock[0] = NOW + timedelta(hours=hours)
            certificate.look()

    told = [log["trouble"][:10] for log in logs]
    assert told == ["expires on", "expires on", "expired on"]


def test_one_that_is_not_valid_yet_says_so(tmp_path: Path) -> None:
    found = read_certificate(
        *write(tmp_path, made("localhost", begins_at=NOW + timedelta(hours=2)))
    )

    assert "valid only from" in (found.trouble(NOW) or "")


def test_what_is_older_than_tls_1_2_is_refused(tmp_path: Path) -> None:
    found = read_certificate(*write(tmp_path, made("localhost")))

    assert found.context.minimum_version == ssl.TLSVersion.TLSv1_2
