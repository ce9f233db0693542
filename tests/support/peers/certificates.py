"""Certificates for tests of TLS, made when they are needed: an authority of its own for each test session.

authority = Authority.make()
server = authority.certify("localhost")
key, certificate = server.write(folder)
"""

from __future__ import annotations

import ssl
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from typing import TYPE_CHECKING, NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, ExtensionOID, NameOID

from asyncstore import TlsOptions

if TYPE_CHECKING:
    from pathlib import Path

_Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey

_NOW = datetime.now(UTC)
LAST_YEAR = (_NOW - timedelta(days=400), _NOW - timedelta(days=30))
NEXT_YEAR = (_NOW + timedelta(days=30), _NOW + timedelta(days=400))
THIS_YEAR = (_NOW - timedelta(days=30), _NOW + timedelta(days=30))


class Files(NamedTuple):
    """Where a key and its certificate are."""

    key: str
    certificate: str


class Certified(NamedTuple):
    """A private key and the certificate of it."""

    key: _Key
    certificate: x509.Certificate

    def write(
        self,
        folder: Path,
        name: str = "peer",
        *,
        password: str | None = None,
        encoding: Encoding = Encoding.PEM,
        key_format: PrivateFormat = PrivateFormat.PKCS8,
        chain: tuple[Authority, ...] = (),
    ) -> Files:
        """Write both, PEM or DER; in PEM the certificates of authorities may follow, up to the one below the root."""
        folder.mkdir(parents=True, exist_ok=True)
        encryption = NoEncryption() if password is None else BestAvailableEncryption(password.encode())
        key, certificate = folder / f"{name}.key", folder / f"{name}.crt"
        key.write_bytes(self.key.private_bytes(encoding, key_format, encryption))
        certificates = [self.certificate, *(authority.own.certificate for authority in chain)]
        certificate.write_bytes(b"".join(one.public_bytes(encoding) for one in certificates))
        return Files(str(key), str(certificate))


def self_signed(host: str) -> Certified:
    """Make a certificate that no authority signed, for a host name."""
    key = ec.generate_private_key(ec.SECP256R1())
    made = _builder(_name(host), _name(host), key, THIS_YEAR)
    made = made.add_extension(x509.SubjectAlternativeName([_alternative(host)]), critical=False)
    return Certified(key, made.sign(key, hashes.SHA256()))


class Authority(NamedTuple):
    """A certification authority."""

    own: Certified

    @classmethod
    def make(cls, name: str = "an authority of tests", *, rsa_bits: int = 0) -> Authority:
        """Make a new one, which signs its certificate itself; with a key for elliptic curves if no bits are given."""
        key = _new_key(rsa_bits)
        return cls._certified(name, key, _name(name), key)

    def certify_authority(self, name: str = "an authority below") -> Authority:
        """Make another one, whose certificate this one signs."""
        key = ec.generate_private_key(ec.SECP256R1())
        return self._certified(name, key, self.own.certificate.subject, self.own.key)

    @classmethod
    def _certified(cls, name: str, key: _Key, issuer: x509.Name, issuer_key: _Key) -> Authority:
        made = _builder(_name(name), issuer, key, THIS_YEAR).add_extension(
            x509.BasicConstraints(True, None), critical=True
        )
        usage = x509.KeyUsage(False, False, False, False, False, True, True, False, False)
        identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
        made = made.add_extension(usage, critical=True).add_extension(identifier, critical=False)
        authority = x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key())
        made = made.add_extension(authority, critical=False)
        return cls(Certified(key, made.sign(issuer_key, hashes.SHA256())))

    def certify(
        self,
        *hosts: str,
        common_name: str = "a peer of tests",
        valid: tuple[datetime, datetime] = THIS_YEAR,
        rsa_bits: int = 0,
        digest: hashes.HashAlgorithm | None = None,
        dns_name: bytes | None = None,
    ) -> Certified:
        """Make a certificate for host names and IP addresses; with a key for elliptic curves if no bits are given.

        Instead of hosts, there may be a single dNSName of any bytes, also of those that RFC 5280 4.2.1.6 forbids.
        """
        key = _new_key(rsa_bits)
        made = _builder(_name(common_name), self.own.certificate.subject, key, valid)
        if hosts:
            made = made.add_extension(
                x509.SubjectAlternativeName([_alternative(host) for host in hosts]), critical=False
            )
        if dns_name is not None:
            encoded = bytes((0x30, len(dns_name) + 2, 0x82, len(dns_name))) + dns_name
            made = made.add_extension(
                x509.UnrecognizedExtension(ExtensionOID.SUBJECT_ALTERNATIVE_NAME, encoded), critical=False
            )
        both = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH])
        made = made.add_extension(both, critical=False)
        issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(self.own.key.public_key())
        made = made.add_extension(issuer, critical=False)  # Python 3.13's default context insists on it
        return Certified(key, made.sign(self.own.key, digest or hashes.SHA256()))

    def write(self, folder: Path, name: str = "authority", *, encoding: Encoding = Encoding.PEM) -> str:
        """Write its certificate."""
        folder.mkdir(parents=True, exist_ok=True)
        file = folder / f"{name}.crt"
        file.write_bytes(self.own.certificate.public_bytes(encoding))
        return str(file)

    def revoke(
        self, folder: Path, *revoked: Certified, name: str = "revoked", encoding: Encoding = Encoding.PEM
    ) -> str:
        """Write a list of revoked certificates."""
        begin, end = THIS_YEAR
        made = x509.CertificateRevocationListBuilder().issuer_name(self.own.certificate.subject)
        made = made.last_update(begin).next_update(end)
        for one in revoked:
            entry = x509.RevokedCertificateBuilder().serial_number(one.certificate.serial_number).revocation_date(begin)
            made = made.add_revoked_certificate(entry.build())
        file = folder / f"{name}.crl"
        file.write_bytes(made.sign(self.own.key, hashes.SHA256()).public_bytes(encoding))
        return str(file)


def sink_and_requestor(folder: Path) -> tuple[TlsOptions, ssl.SSLContext]:
    """The options of TLS for a sink, and the context for a requestor that it accepts."""
    authority = Authority.make()
    trusted = authority.write(folder)
    key, certificate = authority.certify("127.0.0.1").write(folder, "both")
    requestor = ssl.create_default_context(cafile=trusted)
    requestor.load_cert_chain(certificate, key)
    return TlsOptions(key, certificate, trusted=(trusted,)), requestor


def _new_key(rsa_bits: int) -> _Key:
    return rsa.generate_private_key(65537, rsa_bits) if rsa_bits else ec.generate_private_key(ec.SECP256R1())


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _alternative(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: _Key,
    valid: tuple[datetime, datetime],
) -> x509.CertificateBuilder:
    made = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(key.public_key())
    return made.serial_number(x509.random_serial_number()).not_valid_before(valid[0]).not_valid_after(valid[1])
