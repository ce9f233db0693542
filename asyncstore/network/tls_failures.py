"""Translates OpenSSL's errors to the project's: what went wrong, and on whose side."""

from __future__ import annotations

import re
import ssl
from typing import TYPE_CHECKING

from asyncstore.errors import NoCommonTls, NotTls, OurCertificateRefused, PeerCertificateRefused, TlsFailed, TlsReason
from asyncstore.named_tuple import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping


class _Words(NamedTuple):
    cause: str
    reason: TlsReason | None = None


_CERTIFICATE_ERRORS: Mapping[int, _Words] = {
    **dict.fromkeys(
        (2, 20, 21), _Words("the peer's certificate is not trusted: its issuer is not known here", "untrusted")
    ),
    3: _Words(
        "whether the peer's certificate is revoked is unknown: the revocation list of its issuer is missing",
        "no revocation list",
    ),
    9: _Words("the peer's certificate is not valid yet", "not in force"),
    10: _Words("the peer's certificate has expired", "not in force"),
    11: _Words("the revocation list for the peer's certificate is not valid yet", "no revocation list"),
    12: _Words("the revocation list for the peer's certificate has expired", "no revocation list"),
    18: _Words("the peer's certificate is signed by itself and not trusted here", "untrusted"),
    19: _Words("the peer's certificate is not trusted: the root of its chain is not known here", "untrusted"),
    23: _Words("the peer's certificate is revoked", "revoked"),
    26: _Words("the peer's certificate was not made for this use (its extended key usage)", "wrong use"),
    62: _Words("the peer's certificate was made for another host name", "wrong host"),
    64: _Words("the peer's certificate was not made for this IP address", "wrong host"),
    66: _Words("the key of the peer's certificate is too short for the security profile", "too weak"),
    67: _Words("the key of the authority of the peer's certificate is too short for the security profile", "too weak"),
    68: _Words("the signature of the peer's certificate is too weak for the security profile", "too weak"),
}
"""X509_V_ERR_... of OpenSSL's x509_vfy.h, in words."""

_HOST_MISMATCH, _ADDRESS_MISMATCH = 62, 64

_NO_CERTIFICATE = "the peer wants a certificate of ours"
_NO_VERSION = "no version of TLS that both sides allow"
_NO_CIPHER = "no cipher suite that both sides allow"

_REASONS: Mapping[str, tuple[type[TlsFailed], str, TlsReason]] = {
    **dict.fromkeys(
        ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "HTTPS_PROXY_REQUEST", "UNKNOWN_PROTOCOL", "PACKET_LENGTH_TOO_LONG",
         "RECORD_LAYER_FAILURE", "BAD_RECORD_TYPE", "ENCRYPTED_LENGTH_TOO_LONG"),
        (NotTls, "the peer does not speak TLS", "plain peer"),
    ),
    **dict.fromkeys(
        ("UNSUPPORTED_PROTOCOL", "PROTOCOL_VERSION", "VERSION_TOO_LOW", "NO_PROTOCOLS_AVAILABLE"),
        (NoCommonTls, _NO_VERSION, "no common version"),
    ),
    **dict.fromkeys(
        ("NO_SHARED_CIPHER", "INSUFFICIENT_SECURITY", "NO_CIPHERS_AVAILABLE", "HANDSHAKE_FAILURE",
         "NO_SUITABLE_SIGNATURE_ALGORITHM", "NO_SUITABLE_KEY_SHARE"),
        (NoCommonTls, _NO_CIPHER, "no common cipher suite"),
    ),
    **dict.fromkeys(
        ("DH_KEY_TOO_SMALL", "WRONG_CURVE"),
        (NoCommonTls, "the peer's key is too short for the security profile", "too weak"),
    ),
    **dict.fromkeys(  # only of our own chain: the peer's is refused by a verify code
        ("CA_KEY_TOO_SMALL", "CA_MD_TOO_WEAK"),
        (TlsFailed, "an authority of our own certificate is too weak for the security profile", "too weak"),
    ),
    "PEER_DID_NOT_RETURN_A_CERTIFICATE": (
        PeerCertificateRefused, "the peer shows no certificate", "no certificate of peer",
    ),
    "CERTIFICATE_REQUIRED": (OurCertificateRefused, _NO_CERTIFICATE, "no certificate of ours"),
    "NO_CERTIFICATE": (OurCertificateRefused, _NO_CERTIFICATE, "no certificate of ours"),
    "UNKNOWN_CA": (OurCertificateRefused, "the peer does not trust our certificate's issuer", "ours unknown"),
    "BAD_CERTIFICATE": (OurCertificateRefused, "the peer calls our certificate a bad one", "ours unknown"),
    "CERTIFICATE_EXPIRED": (
        OurCertificateRefused, "the peer says that our certificate has expired", "ours not in force",
    ),
    "CERTIFICATE_REVOKED": (
        OurCertificateRefused, "the peer says that our certificate is revoked", "ours not in force",
    ),
    "CERTIFICATE_UNKNOWN": (OurCertificateRefused, "the peer does not take our certificate", "ours unknown"),
    "UNSUPPORTED_CERTIFICATE": (
        OurCertificateRefused, "the peer says that our certificate was not made for this use", "ours unknown",
    ),
    "ACCESS_DENIED": (
        OurCertificateRefused, "the peer knows our certificate, and denies access", "ours unknown",
    ),
    "UNRECOGNIZED_NAME": (
        TlsFailed, "the peer does not go by this server name", "server name",
    ),
}  # fmt: skip
"""OpenSSL's reasons (sslerr.h), with the alerts of RFC 8446 6.2, without their prefixes."""


def translated(error: ssl.SSLError, peer: str, session: ssl.SSLObject, host: str | None) -> TlsFailed:
    """The project's error for one of OpenSSL's.

    Args:
        error: the error of OpenSSL.
        peer: the other side, as ``host:port``.
        session: its session; an agreed cipher suite changes the meaning of an alert.
        host: the host that the peer's certificate must belong to.
    """
    if isinstance(error, ssl.SSLCertVerificationError):
        return _peer_certificate(error, peer, host)
    reason, is_alert = re.subn("^(SSLV3|TLSV1|TLSV13)_(ALERT_)?", "", error.reason or "")
    if reason == "HANDSHAKE_FAILURE" and session.cipher() is not None:
        # TLS 1.2 has no alert for a missing certificate (RFC 5246 7.4.6), but by then a cipher suite was agreed on.
        reason = "CERTIFICATE_REQUIRED"
    if reason in _REASONS:
        kind, cause, known = _REASONS[reason]
        return kind(peer, cause, known)
    words = reason.replace("_", " ").lower()
    if is_alert:
        return TlsFailed(peer, f"the peer broke off with the alert {words!r}", "peer's alert")
    return TlsFailed(peer, words or str(error))


def _peer_certificate(error: ssl.SSLCertVerificationError, peer: str, host: str | None) -> PeerCertificateRefused:
    words = _CERTIFICATE_ERRORS.get(error.verify_code)
    if words is None:
        words = _Words(f"the peer's certificate cannot be verified: {error.verify_message}")
    if error.verify_code == _HOST_MISMATCH and host is not None:
        return wrong_host(peer, host)
    return PeerCertificateRefused(peer, *words, error.verify_code)


def wrong_address(peer: str) -> PeerCertificateRefused:
    """The error for a trusted certificate of another IP address."""
    return PeerCertificateRefused(peer, *_CERTIFICATE_ERRORS[_ADDRESS_MISMATCH], _ADDRESS_MISMATCH)


def wrong_host(peer: str, host: str) -> PeerCertificateRefused:
    """The error for a trusted certificate of another host."""
    cause, reason = _CERTIFICATE_ERRORS[_HOST_MISMATCH]
    return PeerCertificateRefused(peer, f"{cause}, not for {host!r}", reason, _HOST_MISMATCH)
