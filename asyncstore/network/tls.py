"""Transport layer security (PS3.15 annex B): its options, and the contexts for OpenSSL.

Rules:

1. A context is made once, with its sender or sink. Only then are files read, passwords asked for and mistakes
   reported, never while associations are opened.
2. Only named certificates are trusted, not the system's authorities: their certificates do not make somebody a peer.
3. The peer's certificate must belong to the dialled host, whatever server name is sent. (OpenSSL's s_client, gnutls-cli
   and curl also separate the two.) OpenSSL checks this, or this module if OpenSSL gets another name or none. In doubt
   the peer is refused.
"""

from __future__ import annotations

import logging
import ssl
from functools import partial
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any, Literal

from asyncstore.errors import TlsFailed, TlsSettingRefused, UsageError
from asyncstore.named_tuple import NamedTuple
from asyncstore.network import tls_files, tls_profiles
from asyncstore.network.timeouts import ARTIM
from asyncstore.network.tls_failures import wrong_address, wrong_host
from asyncstore.network.tls_link import Session, TlsLink, shake_hands
from asyncstore.network.tls_profiles import DEFAULT_PROFILE, PROFILES, Profile

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterable
    from ipaddress import IPv4Address, IPv6Address

    from asyncstore.network.link import MakeLink
    from asyncstore.network.timeouts import Timeouts


_log = logging.getLogger(__name__)

_ONLY_THE_LEAF = (
    "only the peer's own certificate is looked up in revocation lists, as storescu does: a revoked authority between "
    "it and the root is not noticed"
)
"""OpenSSL checks only the last certificate of a chain, or demands a list for each one."""

_VERIFY_MODES = {"require": ssl.CERT_REQUIRED, "verify": ssl.CERT_OPTIONAL, "ignore": ssl.CERT_NONE}
"""A requestor treats OPTIONAL as REQUIRED: acceptors always show a certificate."""

_TLS13_NAMES = {name: name for name in reversed(tls_profiles.TLS13_CIPHER_SUITES)}
"""OpenSSL uses IANA's names for TLS 1.3."""


class TlsOptions(NamedTuple):
    """The options of TLS, for a requestor or an acceptor.

    Attributes:
        key: the file with our private key; ``None``: we show no certificate (an acceptor needs one).
        certificate: the file with our certificate, and the rest of its chain if peers need it.
        password: the private key's password, or a function that returns it when needed.
        file_format: the format of keys, certificates and revocation lists.
        trusted: files with the certificates of trusted authorities, or self-signed ones of peers.
        trusted_directories: directories with such files.
        revocation_lists: files with certificate revocation lists.
        revocation: which certificates of a chain are looked up in revocation lists. ``"none"`` with revocation lists
            acts as ``"certificate"`` (the peer's own), with a warning that its authorities are not checked.
        profile: one of :data:`~asyncstore.network.tls_profiles.PROFILES`.
        cipher_suites: further cipher suites for TLS 1.2 and earlier, by IANA's names.
        server_name: the server name to send instead of the host.
        send_server_name: whether a requestor sends a server name (RFC 6066 3).
        verify_host_name: whether the peer's certificate must belong to the dialled host.
        peer_certificate: ``"require"`` a trusted certificate, ``"verify"`` one if the peer shows it, or ``"ignore"``
            it. An acceptor's certificate is required or ignored.
        dh_parameters: a file with an acceptor's Diffie-Hellman parameters for DHE; ``None``: a public group of 2048
            bits.
        seed: a file to stir into the random numbers.
        new_seed: a file for a new seed.
        password_attempts: how often to ask for the password while it is wrong.
    """

    key: str | None = None
    certificate: str | None = None
    password: str | Callable[[], str] | None = None
    file_format: Literal["pem", "der"] = "pem"
    trusted: tuple[str, ...] = ()
    trusted_directories: tuple[str, ...] = ()
    revocation_lists: tuple[str, ...] = ()
    revocation: Literal["none", "certificate", "chain"] = "none"
    profile: str = DEFAULT_PROFILE
    cipher_suites: tuple[str, ...] = ()
    server_name: str | None = None
    send_server_name: bool = True
    verify_host_name: bool = True
    peer_certificate: Literal["require", "verify", "ignore"] = "require"
    dh_parameters: str | None = None
    seed: str | None = None
    new_seed: str | None = None
    password_attempts: int = 1

    def __repr__(self) -> str:
        """All options, with the password hidden."""
        shown = self._asdict() | {"password": None if self.password is None else "***"}
        return f"TlsOptions({', '.join(f'{name}={value!r}' for name, value in shown.items())})"


class TlsRequestor:
    """Makes TLS links to one acceptor.

    Args:
        options: the options of TLS.
        host: the acceptor's host name or IP address, as it is dialled.

    Raises:
        UsageError: a file cannot be used, or OpenSSL does not support an option.
    """

    def __init__(self, options: TlsOptions, host: str) -> None:
        if options.server_name is not None and _address(options.server_name) is not None:
            problem = "an IP address is no server name (RFC 6066 3): give a host name"
            raise TlsSettingRefused("server_name", options.server_name, problem)
        self._context = _context(options, ssl.PROTOCOL_TLS_CLIENT)
        self._sent = (
            (host if options.server_name is None else options.server_name) if options.send_server_name else None
        )
        """The name for OpenSSL, which sends it, and can compare only this name with the certificate."""
        is_compared = options.verify_host_name and options.peer_certificate != "ignore"
        self._certified = host if is_compared else None
        """The host that the certificate must belong to; ``None``: any."""
        self._context.check_hostname = self._certified is not None and self._certified == self._sent
        _set_verification(self._context, options)

    async def secure(self, connected: socket.socket, peer: str, timeouts: Timeouts) -> MakeLink:
        """Do the handshake with the acceptor over a connection. Returns a function that makes the link.

        Raises:
            AssociationError: the handshake failed.
        """
        # storescu only limits each read of the handshake; here it counts as part of opening the connection.
        try:
            session = self._begin(peer)
            if timeouts.connect is None:
                await shake_hands(connected, session, timeouts.acse, "acse")
            else:
                await shake_hands(connected, session, timeouts.connect, "connect")
            if self._certified is not None and not self._context.check_hostname:
                _check_host(session, self._certified)
        except BaseException:
            connected.close()
            raise
        return partial(TlsLink, connected, session)

    def for_blocking_sockets(self) -> tuple[ssl.SSLContext, str | None]:
        """A context and the server name for a library that makes its own connections to the acceptor.

        If the certificate must belong to the dialled host, that is the server name: OpenSSL compares no other.
        """
        self._context.check_hostname = self._certified is not None
        return self._context, self._certified or self._sent

    def _begin(self, peer: str) -> Session:
        try:
            return Session.begin(self._context, peer, server_name=self._sent, host=self._certified)
        except ValueError as error:
            raise TlsFailed(peer, f"{self._sent!r} cannot be sent as a server name", "server name") from error


class TlsAcceptor:
    """Makes TLS links to requestors.

    Args:
        options: the options of TLS.

    Raises:
        UsageError: a file cannot be used, or OpenSSL does not support an option.
    """

    def __init__(self, options: TlsOptions) -> None:
        if options.key is None:
            problem = "an acceptor of associations needs a private key and a certificate"
            raise TlsSettingRefused("key", None, problem, "no key")
        self._context = _context(options, ssl.PROTOCOL_TLS_SERVER)
        _set_verification(self._context, options)
        tls_files.load_dh_parameters(self._context, options.dh_parameters)

    async def secure(self, connected: socket.socket, peer: str) -> MakeLink:
        """Do the handshake with the requestor over a connection. Returns a function that makes the link.

        Raises:
            AssociationError: the handshake failed.
        """
        try:
            session = Session.begin(self._context, peer, is_acceptor=True)
            await shake_hands(connected, session, ARTIM)
        except BaseException:
            connected.close()
            raise
        return partial(TlsLink, connected, session)


def available_cipher_suites() -> tuple[str, ...]:
    """The cipher suites of the installed OpenSSL, by IANA's names, the weakest first."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.set_ciphers("ALL:eNULL:@SECLEVEL=0")
    known = {cipher["name"] for cipher in context.get_ciphers()}
    return tuple(name for name, own in {**tls_profiles.CIPHER_SUITES, **_TLS13_NAMES}.items() if own in known)


def openssl_version() -> str:
    """The installed OpenSSL, such as ``OpenSSL 3.0.19``."""
    return " ".join(ssl.OPENSSL_VERSION.split()[:2])


def _context(options: TlsOptions, role: ssl._SSLMethod) -> ssl.SSLContext:
    """A context with all settings that do not depend on the role."""
    profile = _profile_of(options)
    der = options.file_format == "der"
    context = ssl.SSLContext(role)
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_CIPHER_SERVER_PREFERENCE
    _set_versions(context, profile)
    _set_cipher_suites(context, options, profile, is_acceptor=role == ssl.PROTOCOL_TLS_SERVER)
    if options.seed is not None:
        tls_files.add_seed(options.seed)
    if options.new_seed is not None:
        tls_files.write_seed(options.new_seed)
    if options.key is not None and options.certificate is not None:
        tls_files.load_own(
            context,
            options.key,
            options.certificate,
            options.password,
            attempts=options.password_attempts,
            der=der,
        )
    for file in options.trusted:
        tls_files.trust_file(context, file, der=der)
    for directory in options.trusted_directories:
        tls_files.trust_directory(context, directory, der=der)
    for file in options.revocation_lists:
        tls_files.load_revocation_list(context, file, der=der)
    if options.revocation == "chain":
        context.verify_flags |= ssl.VERIFY_CRL_CHECK_CHAIN
    elif options.revocation == "certificate" or options.revocation_lists:
        context.verify_flags |= ssl.VERIFY_CRL_CHECK_LEAF
    if options.revocation == "none" and options.revocation_lists:
        _log.warning("%s", _ONLY_THE_LEAF)
    return context


def _profile_of(options: TlsOptions) -> Profile:
    """The profile of the options.

    Raises:
        UsageError: it is unknown, or only one of key and certificate is given.
    """
    if (options.key is None) != (options.certificate is None):
        raise UsageError("a private key is of no use without its certificate, nor a certificate without its key")
    profile = PROFILES.get(options.profile)
    if profile is None:
        raise UsageError(f"there is no security profile {options.profile!r}, but there are {', '.join(PROFILES)}")
    return profile


def _set_versions(context: ssl.SSLContext, profile: Profile) -> None:
    """Set the lowest and the highest version. MINIMUM_SUPPORTED stands for TLS 1.0, which Python warns of by name."""
    lowest, highest = profile.versions
    context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED if lowest == "1.0" else ssl.TLSVersion.TLSv1_2
    context.maximum_version = ssl.TLSVersion.TLSv1_2 if highest == "1.2" else ssl.TLSVersion.MAXIMUM_SUPPORTED


def _set_cipher_suites(context: ssl.SSLContext, options: TlsOptions, profile: Profile, *, is_acceptor: bool) -> None:
    available = available_cipher_suites()
    for name in options.cipher_suites:
        _check_addition(name, profile, available)
    chosen: Iterable[str] = [name for name in profile.cipher_suites if name in available]
    if not chosen and not options.cipher_suites:
        lacking = ", ".join(profile.cipher_suites)
        problem = (
            f"{openssl_version()} as it is installed here cannot do {lacking} any more, and the profile has nothing "
            "else; choose another one"
        )
        raise TlsSettingRefused("profile", options.profile, problem)
    chosen = dict.fromkeys((*chosen, *options.cipher_suites))
    if is_acceptor:
        chosen = sorted(chosen, key=tls_profiles.strength, reverse=True)
    names = ":".join(tls_profiles.CIPHER_SUITES[name] for name in chosen)
    context.set_ciphers(f"{names}:@SECLEVEL={profile.security_level}")


def _check_addition(name: str, profile: Profile, available: Iterable[str]) -> None:
    """Check that a cipher suite can be added to the profile.

    Raises:
        UsageError: it cannot.
    """
    if name in tls_profiles.TLS13_CIPHER_SUITES:
        raise TlsSettingRefused("cipher_suites", name, "the cipher suites of TLS 1.3 are always offered with it")
    if name not in tls_profiles.CIPHER_SUITES:
        problem = "there is no cipher suite of that name"
        raise TlsSettingRefused("cipher_suites", name, problem, "unknown cipher suite")
    if name not in available:
        raise TlsSettingRefused("cipher_suites", name, f"{openssl_version()} as it is installed here cannot do it")
    objection = profile.objection(name)
    if objection is not None:
        allowing = tls_profiles.profile_for(name)
        problem = f"{objection}; the security profile {allowing} takes it"
        raise TlsSettingRefused("cipher_suites", name, problem, "wrong profile", allowing)


def _set_verification(context: ssl.SSLContext, options: TlsOptions) -> None:
    """Set which certificates of the peer are accepted.

    Raises:
        UsageError: only trusted ones, and none is trusted: every peer would be refused.
    """
    context.verify_mode = _VERIFY_MODES[options.peer_certificate]
    if context.verify_mode is not ssl.CERT_NONE and not options.trusted and not options.trusted_directories:
        raise TlsSettingRefused("trusted", None, "no certificate is trusted", "nothing trusted")


def _address(name: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(name)
    except ValueError:
        return None


def _check_host(session: Session, host: str) -> None:
    """Check that the peer's certificate belongs to the host, if OpenSSL sends another name or none.

    Raises:
        PeerCertificateRefused: it does not.
    """
    try:
        dialled = _comparable(host.encode("idna").decode("ascii"))  # as it was resolved
        certificate: dict[str, Any] = session.tls.getpeercert() or {}
    except UnicodeError as error:  # such a host cannot be dialled; RFC 5280 4.2.1.6 allows only ASCII
        raise wrong_host(session.peer, host) from error
    alternatives = certificate.get("subjectAltName", ())
    address = _address(dialled)
    if address is not None:  # RFC 6125 1.7.2 refers to RFC 2818 3.1: only an iPAddress counts
        if address not in [_address(value) for kind, value in alternatives if kind == "IP Address"]:
            raise wrong_address(session.peer)
        return
    names = [value for kind, value in alternatives if kind == "DNS"]
    if not names:  # RFC 6125 6.4.4: the common name counts only now
        names = [value for rdn in certificate.get("subject", ()) for key, value in rdn if key == "commonName"]
    if not any(_matches(_comparable(name), dialled) for name in names if name.isascii()):
        raise wrong_host(session.peer, host)


def _comparable(name: str) -> str:
    """An ASCII name in small letters, without the root's dot at its end (RFC 1034 3.1)."""
    return name.lower().removesuffix(".")


def _matches(pattern: str, host: str) -> bool:
    """Whether a certificate's name matches the host; ``*`` may replace its whole first label (RFC 6125 6.4.3)."""
    label, _, domain = host.partition(".")
    return bool(label) and (pattern == host or ("." in domain and pattern == f"*.{domain}"))
