import contextlib
from datetime import datetime, timedelta, timezone

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from raw_server import OK, RawServer, reply

from gateway.contract import RawNotification
from gateway.relay import Guard, Relay

NOON = datetime(2026, 11, 22, 4, 0, tzinfo=timezone.utc)
LOOPBACK = ["127.0.0.0/8"]


@pytest.fixture
def pos():
    """Makes raw servers, and ends them."""
    with contextlib.ExitStack() as stack:

        def make(behave=reply(OK), **options):
            server = RawServer(behave, **options)
            stack.callback(server.close)
            return server

        yield make


@pytest.fixture
def relay():
    return Relay(Guard(LOOPBACK))


@pytest.fixture
def notification():
    def make(body=b"{}", tail="", method="POST", headers=()):
        return RawNotification(method, tail, tuple(headers), body, NOON)

    return make


@pytest.fixture(scope="session")
def authority(tmp_path_factory):
    """`authority(name, **faults)` → (certificate path, key path); `authority.path` is the root to trust."""
    return _Authority(tmp_path_factory.mktemp("certificates"))


class _Authority:
    def __init__(self, folder):
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test root")])
        root = self._certificate(self._name, self._key, self._name, self._key, ca=True)
        self.path = folder / "root.pem"
        self.path.write_bytes(root.public_bytes(serialization.Encoding.PEM))

    def __call__(self, host, *, days=(-1, 30), self_signed=False):
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
        issuer = (name, key) if self_signed else (self._name, self._key)
        certificate = self._certificate(name, key, *issuer, host=host, days=days)
        cert_path = self._folder / f"{host}-{days[0]}-{self_signed}.pem"
        key_path = cert_path.with_suffix(".key")
        cert_path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        key_path.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        return cert_path, key_path

    @staticmethod
    def _certificate(name, key, issuer, issuer_key, *, ca=False, host=None, days=(-1, 30)):
        now = datetime.now(timezone.utc)
        builder = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(issuer)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now + timedelta(days=days[0]))
            .not_valid_after(now + timedelta(days=days[1]))
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        )
        if host:
            builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        return builder.sign(issuer_key, hashes.SHA256())
