"""Transport layer security (PS3.15 annex B): what is asked for, and the contexts that OpenSSL works with.

Rules:

1. A context is made once, when a sender or a sink is made: files are read, passwords asked for and mistakes told then,
   and never while associations are opened.
2. Nothing is trusted but what was named: not the authorities that the system trusts, either. Who authenticates peers
   by certificates does not mean every holder of any certificate.
3. The peer's certificate must be made for the host that was dialled, whatever server name it is sent: who may be
   impersonated is the peer that was named. (OpenSSL's s_client, gnutls-cli and curl keep the two apart as well.)
   OpenSSL sees to that, or this module where OpenSSL is told another name, or none; in doubt the peer is refused.
"""

from __future__ import annotations

import logging
import ssl
from functools import partial
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from asyncstore.errors import TlsFailed, TlsMistake, TlsReason, TlsSettingRefused, UsageError
from asyncstore.network.timeouts import ARTIM
from asyncstore.network.tls_failures import wrong_address, wrong_host
from asyncstore.network.tls_files import (
    add_seed,
    load_dh_parameters,
    load_own,
    load_revocation_list,
    trust_directory,
    trust_file,
    write_seed,
)
from asyncstore.network.tls_link import Session, TlsLink, shake_hands
from asyncstore.network.tls_profiles import (
    CIPHER_SUITES,
    DEFAULT_PROFILE,
    PROFILES,
    TLS13_CIPHER_SUITES,
    Profile,
    profile_for,
    strength,
)

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
"""OpenSSL knows nothing in between: it checks the last certificate of a chain, or demands a list for each one."""

_TLS13_NAMES = {name: name for name in reversed(TLS13_CIPHER_SUITES)}
"""Of TLS 1.3 OpenSSL has IANA's names, too."""


class TlsOptions(NamedTuple):
    """How TLS is to be used, as requestor or as acceptor.

    Attributes:
        key: the file with our private key; ``None``: we show no certificate, which an acceptor cannot do without.
        certificate: the file with our certificate, and the rest of its chain if peers need it.
        password: the private key's, or what to call for it if there is need.
        file_format: of keys, certificates and revocation lists.
        trusted: files with the certificates of trusted authorities, or of peers that signed theirs themselves.
        trusted_directories: directories with such files.
        revocation_lists: files with certificate revocation lists.
        revocation: which certificates of a chain have to be on no revocation list; ``"none"`` with revocation lists is
            ``"certificate"``, the peer's own, with a warning that its authorities are not checked.
        profile: one of :data:`~asyncstore.network.tls_profiles.PROFILES`.
        cipher_suites: further cipher suites for TLS 1.2 and earlier, by IANA's names.
        server_name: the name to send of the server that is meant, instead of the host's.
        send_server_name: whether a requestor says which server it means (RFC 6066 3).
        verify_host_name: whether the peer's certificate has to be made for the host that is dialled.
        peer_certificate: whether the peer has to show a certificate that can be trusted, may show none, or whatever
            it wants. An acceptor's certificate is either required or ignored.
        dh_parameters: a file with an acceptor's Diffie-Hellman parameters for DHE; ``None``: a group of 2048 bits that
            is everybody's.
        seed: a file to stir into the random numbers.
        new_seed: where to write a new seed.
        password_attempts: how often to call for the password while it is wrong.
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
        """All but the password."""
        shown = self._asdict() | {"password": None if self.password is None else "***"}
        return f"TlsOptions({', '.join(f'{name}={value!r}' for name, value in shown.items())})"


class TlsRequestor:
    """Makes links to one acceptor.

    Args:
        options: how.
        host: the acceptor's host name or IP address, as it is dialled.

    Raises:
        UsageError: a file cannot be used, or OpenSSL cannot do what is asked for.
    """

    def __init__(self, options: TlsOptions, host: str) -> None:
        if options.server_name is not None and _address(options.server_name) is not None:
            problem = "an IP address is no server name (RFC 6066 3): give a host name"
            raise TlsSettingRefused("server_name", options.server_name, problem)
        self._context = _context(options, ssl.PROTOCOL_TLS_CLIENT)
        self._meant = _meant(options, host)
        self._context.check_hostname = self._meant.is_compared_by_openssl
        if options.peer_certificate == "ignore":
            self._context.verify_mode = ssl.CERT_NONE
        else:
            _demand_trust(options)

    async def secure(self, connected: socket.socket, peer: str, timeouts: Timeouts) -> MakeLink:
        """Do the handshake with the acceptor at the other end of a connection; what makes the link over it.

        Raises:
            AssociationError: there is no TLS to be had with it.
        """
        # storescu knows no limit for the handshake but -ts for each of its reads. The connection is not of use before.
        try:
            session = self._begin(peer)
            if timeouts.connect is None:
                await shake_hands(connected, session, timeouts.acse, "acse")
            else:
                await shake_hands(connected, session, timeouts.connect, "connect")
            host = self._meant.compared_here
            if host is not None:
                _check_host(session, host)
        except BaseException:
            connected.close()
            raise
        return partial(TlsLink, connected, session)

    def _begin(self, peer: str) -> Session:
        told, certified = self._meant
        try:
            return Session.begin(self._context, peer, server_name=told, host=certified)
        except ValueError as error:
            raise TlsFailed(peer, f"{told!r} cannot be sent as a server name", TlsReason.SERVER_NAME) from error


class TlsAcceptor:
    """Makes links to requestors.

    Args:
        options: how.

    Raises:
        UsageError: a file cannot be used, or OpenSSL cannot do what is asked for.
    """

    def __init__(self, options: TlsOptions) -> None:
        if options.key is None:
            problem = "an acceptor of associations needs a private key and a certificate"
            raise TlsSettingRefused("key", None, problem, TlsMistake.NO_KEY)
        self._context = _context(options, ssl.PROTOCOL_TLS_SERVER)
        self._context.verify_mode = {
            "require": ssl.CERT_REQUIRED,
            "verify": ssl.CERT_OPTIONAL,
            "ignore": ssl.CERT_NONE,
        }[options.peer_certificate]
        if options.peer_certificate != "ignore":
            _demand_trust(options)
        load_dh_parameters(self._context, options.dh_parameters)

    async def secure(self, connected: socket.socket, peer: str) -> MakeLink:
        """Do the handshake with the requestor at the other end of a connection; what makes the link over it.

        Raises:
            AssociationError: there is no TLS to be had with it.
        """
        try:
            session = Session.begin(self._context, peer, is_acceptor=True)
            await shake_hands(connected, session, ARTIM)
        except BaseException:
            connected.close()
            raise
        return partial(TlsLink, connected, session)


def available_cipher_suites() -> tuple[str, ...]:
    """The cipher suites that the installed OpenSSL has, by IANA's names, the weakest first."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.set_ciphers("ALL:eNULL:@SECLEVEL=0")
    known = {cipher["name"] for cipher in context.get_ciphers()}
    return tuple(name for name, own in {**CIPHER_SUITES, **_TLS13_NAMES}.items() if own in known)


def openssl_version() -> str:
    """Which OpenSSL is installed, as ``OpenSSL 3.0.19``."""
    return " ".join(ssl.OPENSSL_VERSION.split()[:2])


def _context(options: TlsOptions, role: ssl._SSLMethod) -> ssl.SSLContext:
    """A context with everything but what depends on the role."""
    profile = _profile_of(options)
    der = options.file_format == "der"
    context = ssl.SSLContext(role)
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_CIPHER_SERVER_PREFERENCE
    _set_versions(context, profile)
    _set_cipher_suites(context, options, profile, is_acceptor=role == ssl.PROTOCOL_TLS_SERVER)
    if options.seed is not None:
        add_seed(options.seed)
    if options.new_seed is not None:
        write_seed(options.new_seed)
    if options.key is not None and options.certificate is not None:
        load_own(
            context,
            options.key,
            options.certificate,
            options.password,
            attempts=options.password_attempts,
            der=der,
        )
    for file in options.trusted:
        trust_file(context, file, der=der)
    for directory in options.trusted_directories:
        trust_directory(context, directory, der=der)
    for file in options.revocation_lists:
        load_revocation_list(context, file, der=der)
    if options.revocation == "chain":
        context.verify_flags |= ssl.VERIFY_CRL_CHECK_CHAIN
    elif options.revocation == "certificate" or options.revocation_lists:
        context.verify_flags |= ssl.VERIFY_CRL_CHECK_LEAF
    if options.revocation == "none" and options.revocation_lists:
        _log.warning("%s", _ONLY_THE_LEAF)
    return context


def _profile_of(options: TlsOptions) -> Profile:
    """The profile that is asked for, once the rest makes sense.

    Raises:
        UsageError: it does not.
    """
    if (options.key is None) != (options.certificate is None):
        raise UsageError("a private key is of no use without its certificate, nor a certificate without its key")
    profile = PROFILES.get(options.profile)
    if profile is None:
        raise UsageError(f"there is no security profile {options.profile!r}, but there are {', '.join(PROFILES)}")
    return profile


def _set_versions(context: ssl.SSLContext, profile: Profile) -> None:
    """The lowest and the highest version; TLS 1.0 goes by another name, for which Python gives no warning."""
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
        chosen = sorted(chosen, key=strength, reverse=True)
    names = ":".join(CIPHER_SUITES[name] for name in chosen)
    context.set_ciphers(f"{names}:@SECLEVEL={profile.security_level}")


def _check_addition(name: str, profile: Profile, available: Iterable[str]) -> None:
    """See that a cipher suite can be added to the profile.

    Raises:
        UsageError: it cannot.
    """
    if name in TLS13_CIPHER_SUITES:
        raise TlsSettingRefused("cipher_suites", name, "the cipher suites of TLS 1.3 are always offered with it")
    if name not in CIPHER_SUITES:
        problem = "there is no cipher suite of that name"
        raise TlsSettingRefused("cipher_suites", name, problem, TlsMistake.UNKNOWN_CIPHER_SUITE)
    if name not in available:
        raise TlsSettingRefused("cipher_suites", name, f"{openssl_version()} as it is installed here cannot do it")
    objection = profile.objection(name)
    if objection is not None:
        allowing = profile_for(name)
        problem = f"{objection}; the security profile {allowing} takes it"
        raise TlsSettingRefused("cipher_suites", name, problem, TlsMistake.WRONG_PROFILE, allowing)


def _demand_trust(options: TlsOptions) -> None:
    """See that something is trusted.

    Raises:
        UsageError: nothing is, so that no peer could ever be.
    """
    if not options.trusted and not options.trusted_directories:
        raise TlsSettingRefused("trusted", None, "no certificate is trusted", TlsMistake.NOTHING_TRUSTED)


class _Meant(NamedTuple):
    """Which acceptor is meant.

    Attributes:
        told: what OpenSSL is told: a name, which it sends and can compare with the certificate, or an IP address, which
            it can only compare; ``None``: neither.
        certified: the host that the certificate has to be made for; ``None``: any.
    """

    told: str | None
    certified: str | None

    @property
    def is_compared_by_openssl(self) -> bool:
        """Whether OpenSSL sees to it that the certificate is the host's."""
        return self.certified is not None and self.certified == self.told

    @property
    def compared_here(self) -> str | None:
        """The host to compare with the certificate because OpenSSL cannot; ``None``: there is nothing to do."""
        return None if self.is_compared_by_openssl else self.certified


def _meant(options: TlsOptions, host: str) -> _Meant:
    """Which acceptor is meant by a host.

    ===================================  ====================  ====================================
    What is asked for                    What OpenSSL is told  Who compares certificate and host
    ===================================  ====================  ====================================
    nothing                              the host              OpenSSL
    ``--request-sni NAME``               NAME                  this module, unless NAME is the host
    ``--no-sni``                         nothing               this module
    ``--no-verify-hostname`` or ``-ic``  the same              nobody
    ===================================  ====================  ====================================
    """
    told = host if options.server_name is None else options.server_name
    is_compared = options.verify_host_name and options.peer_certificate != "ignore"
    return _Meant(told if options.send_server_name else None, host if is_compared else None)


def _address(name: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(name)
    except ValueError:
        return None


def _check_host(session: Session, host: str) -> None:
    """See that the peer's certificate was made for the host, where OpenSSL, which sends another name or none, cannot.

    Raises:
        PeerCertificateRefused: it was not.
    """
    try:
        dialled = _comparable(host.encode("idna").decode("ascii"))  # as it was resolved
        certificate: dict[str, Any] = session.tls.getpeercert() or {}
    except UnicodeError as error:  # no such host can be dialled, and RFC 5280 4.2.1.6 allows ASCII only
        raise wrong_host(session.peer, host) from error
    alternatives = certificate.get("subjectAltName", ())
    address = _address(dialled)
    if address is not None:  # RFC 6125 1.7.2 leaves addresses to RFC 2818 3.1: an iPAddress, and nothing else
        if address not in [_address(value) for kind, value in alternatives if kind == "IP Address"]:
            raise wrong_address(session.peer)
        return
    names = [value for kind, value in alternatives if kind == "DNS"]
    if not names:  # RFC 6125 6.4.4: only then the common name counts
        names = [value for rdn in certificate.get("subject", ()) for key, value in rdn if key == "commonName"]
    if not any(_matches(_comparable(name), dialled) for name in names if name.isascii()):
        raise wrong_host(session.peer, host)


def _comparable(name: str) -> str:
    """A name in ASCII without what makes no difference: case, and the dot of the root at its end (RFC 1034 3.1)."""
    return name.lower().removesuffix(".")


def _matches(pattern: str, host: str) -> bool:
    """Whether a name in a certificate is the host's; ``*`` may stand for its whole first label (RFC 6125 6.4.3)."""
    label, _, domain = host.partition(".")
    return bool(label) and (pattern == host or ("." in domain and pattern == f"*.{domain}"))
