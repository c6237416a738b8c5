"""Certificates of servers in tests: signed by an authority of the test's own, or by themselves."""

import datetime as dt
import ssl
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

DAY = dt.timedelta(days=1)


def _named(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


class Authority:
    """Signs for any name; a client that is `trusting` believes it."""

    def __init__(self, directory: Path) -> None:
        self._directory, self._name = directory, _named("Authority of a test")
        self._key = ec.generate_private_key(ec.SECP256R1())
        builder = x509.CertificateBuilder(self._name, self._name, self._key.public_key())
        self._certificate = self._signed(builder, dt.datetime.now(dt.UTC) + DAY, is_authority=True)

    def trusting(self) -> ssl.SSLContext:
        return ssl.create_default_context(cadata=_pem(self._certificate))

    def server(self, host: str, *, ends_in: dt.timedelta = DAY, is_own: bool = False) -> ssl.SSLContext:  # fmt: skip
        """For a server named `host`; with `is_own` nobody but itself signed for it."""
        key, name = ec.generate_private_key(ec.SECP256R1()), _named(host)
        issuer = name if is_own else self._name
        builder = x509.CertificateBuilder(issuer, name, key.public_key()).add_extension(
            x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False
        )
        end = dt.datetime.now(dt.UTC) + ends_in
        certificate = self._signed(builder, end, by=key if is_own else None)
        secret = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        path = self._directory / f"{certificate.serial_number}.pem"
        path.write_bytes(secret + _pem(certificate).encode())
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(path)
        return context

    def _signed(
        self,
        builder: x509.CertificateBuilder,
        end: dt.datetime,
        *,
        by: ec.EllipticCurvePrivateKey | None = None,
        is_authority: bool = False,
    ) -> x509.Certificate:
        constraints = x509.BasicConstraints(ca=is_authority, path_length=None)
        return (
            builder.serial_number(x509.random_serial_number())
            .not_valid_before(end - 3 * DAY)
            .not_valid_after(end)
            .add_extension(constraints, critical=True)
            .sign(by or self._key, hashes.SHA256())
        )
