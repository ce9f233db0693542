"""Translates OpenSSL's errors: what went wrong, on whose side, and what to do."""

from __future__ import annotations

import re
import ssl
from typing import TYPE_CHECKING, NamedTuple

from asyncstore.errors import NoCommonTls, NotTls, OurCertificateRefused, PeerCertificateRefused, TlsFailed

if TYPE_CHECKING:
    from collections.abc import Mapping


class _Words(NamedTuple):
    cause: str
    hint: str | None = None


_TRUST = (
    "Give the certificate of the authority that signed it, or the peer's own if nobody did, with +cf. "
    "-ic takes any certificate."
)
_CLOCK = "Its owner has to renew it, unless the clock of this machine is wrong."
_HOST = "Use the host name it was made for, or --no-verify-hostname if that is how it has to be."
_LISTS = "Give the revocation list of each of its issuers with +crl."
_REVOKED = (
    "Its owner has to get a new one; what it is used for until then may be somebody else's. If it was revoked by "
    "mistake, its authority has to publish another list (+crl)."
)
_USE = "Its owner needs one whose extended key usage has serverAuth where it accepts, clientAuth where it requests."
_NEW_ONE = "Get a new one from its authority, and give it with +tls KEY CERTIFICATE."
_WEAK = "A retired profile (+py, +px) takes weaker ones; better is a new certificate."

_CERTIFICATE_ERRORS: Mapping[int, _Words] = {
    2: _Words("the peer's certificate is not trusted: its issuer is not known here", _TRUST),
    3: _Words(
        "whether the peer's certificate is revoked is unknown: the revocation list of its issuer is missing", _LISTS
    ),
    9: _Words("the peer's certificate is not valid yet", _CLOCK),
    10: _Words("the peer's certificate has expired", _CLOCK),
    11: _Words("the revocation list for the peer's certificate is not valid yet", _LISTS),
    12: _Words("the revocation list for the peer's certificate has expired", _LISTS),
    18: _Words("the peer's certificate is signed by itself and not trusted here", _TRUST),
    19: _Words("the peer's certificate is not trusted: the root of its chain is not known here", _TRUST),
    20: _Words("the peer's certificate is not trusted: its issuer is not known here", _TRUST),
    21: _Words("the peer's certificate is not trusted: its issuer is not known here", _TRUST),
    23: _Words("the peer's certificate is revoked", _REVOKED),
    26: _Words("the peer's certificate was not made for this use (its extended key usage)", _USE),
    62: _Words("the peer's certificate was made for another host name", _HOST),
    64: _Words("the peer's certificate was not made for this IP address", _HOST),
    66: _Words("the key of the peer's certificate is too short for the security profile", _WEAK),
    67: _Words("the key of the authority of the peer's certificate is too short for the security profile", _WEAK),
    68: _Words("the signature of the peer's certificate is too weak for the security profile", _WEAK),
}
"""X509_V_ERR_... of OpenSSL's x509_vfy.h, in words."""

_HOST_MISMATCH, _ADDRESS_MISMATCH = 62, 64

_SHOW_ONE = "Give our private key and certificate with +tls KEY CERTIFICATE."
_KNOW_OURS = "The peer has to know our certificate's authority; its log says more."
_VERSIONS = (
    "Older peers need a retired profile, as +px with TLS 1.0 and 1.1; newer ones may need the default, +pg, with 1.3. "
    "+ph lists them all."
)
_SUITES = (
    "+ph lists the cipher suites of each profile: older peers need those of a retired one (+px, +pa), newer ones those "
    "of the default (+pg). +cs adds a single one."
)
_PLAIN = "Without +tls and +tla plain TCP is used; or its port for TLS is another one."
_NO_CERTIFICATE = "the peer wants a certificate of ours"
_NO_VERSION = "no version of TLS that both sides allow"
_NO_CIPHER = "no cipher suite that both sides allow"

_REASONS: Mapping[str, tuple[type[TlsFailed], str, str | None]] = {
    **dict.fromkeys(
        ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "HTTPS_PROXY_REQUEST", "UNKNOWN_PROTOCOL", "PACKET_LENGTH_TOO_LONG",
         "RECORD_LAYER_FAILURE", "BAD_RECORD_TYPE", "ENCRYPTED_LENGTH_TOO_LONG"),
        (NotTls, "the peer does not speak TLS", _PLAIN),
    ),
    **dict.fromkeys(
        ("UNSUPPORTED_PROTOCOL", "PROTOCOL_VERSION", "VERSION_TOO_LOW", "NO_PROTOCOLS_AVAILABLE"),
        (NoCommonTls, _NO_VERSION, _VERSIONS),
    ),
    **dict.fromkeys(
        ("NO_SHARED_CIPHER", "INSUFFICIENT_SECURITY", "NO_CIPHERS_AVAILABLE", "HANDSHAKE_FAILURE",
         "NO_SUITABLE_SIGNATURE_ALGORITHM", "NO_SUITABLE_KEY_SHARE"),
        (NoCommonTls, _NO_CIPHER, _SUITES),
    ),
    **dict.fromkeys(
        ("DH_KEY_TOO_SMALL", "EE_KEY_TOO_SMALL", "CA_KEY_TOO_SMALL", "CA_MD_TOO_WEAK", "WRONG_CURVE"),
        (NoCommonTls, "the peer's key is too short for the security profile", _WEAK),
    ),
    "PEER_DID_NOT_RETURN_A_CERTIFICATE": (
        PeerCertificateRefused, "the peer shows no certificate", "-vc takes peers that show none, -ic takes any.",
    ),
    "CERTIFICATE_REQUIRED": (OurCertificateRefused, _NO_CERTIFICATE, _SHOW_ONE),
    "NO_CERTIFICATE": (OurCertificateRefused, _NO_CERTIFICATE, _SHOW_ONE),
    "UNKNOWN_CA": (OurCertificateRefused, "the peer does not trust our certificate's issuer", _KNOW_OURS),
    "BAD_CERTIFICATE": (OurCertificateRefused, "the peer calls our certificate a bad one", _KNOW_OURS),
    "CERTIFICATE_EXPIRED": (OurCertificateRefused, "the peer says that our certificate has expired", _NEW_ONE),
    "CERTIFICATE_REVOKED": (OurCertificateRefused, "the peer says that our certificate is revoked", _NEW_ONE),
    "CERTIFICATE_UNKNOWN": (OurCertificateRefused, "the peer does not take our certificate", _KNOW_OURS),
    "UNSUPPORTED_CERTIFICATE": (
        OurCertificateRefused, "the peer says that our certificate was not made for this use", _KNOW_OURS,
    ),
    "ACCESS_DENIED": (OurCertificateRefused, "the peer knows our certificate, and denies access", _KNOW_OURS),
    "UNRECOGNIZED_NAME": (
        TlsFailed, "the peer does not go by this server name", "--request-sni gives another one, --no-sni none.",
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
    reason = re.sub("^(SSLV3|TLSV1|TLSV13)_(ALERT_)?", "", error.reason or "")
    if reason == "HANDSHAKE_FAILURE" and session.cipher() is not None:
        # TLS 1.2 has no alert for a missing certificate (RFC 5246 7.4.6), but by then a cipher suite was agreed on.
        reason = "CERTIFICATE_REQUIRED"
    if reason in _REASONS:
        kind, cause, hint = _REASONS[reason]
        return kind(peer, cause, hint)
    return TlsFailed(peer, reason.replace("_", " ").lower() or str(error))


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
    cause, hint = _CERTIFICATE_ERRORS[_HOST_MISMATCH]
    return PeerCertificateRefused(peer, f"{cause}, not for {host!r}", hint, _HOST_MISMATCH)
