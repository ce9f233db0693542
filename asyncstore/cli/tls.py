"""From the TLS options of a command line to the engine's.

The table (:mod:`asyncstore.cli.options.tls_rows`) says which options go together; this module says what they mean.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Literal

from asyncstore.cli.asking import ask, has_terminal, line_of_standard_input
from asyncstore.cli.options import rows as opt
from asyncstore.cli.options import tls_rows as tls_opt
from asyncstore.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from asyncstore.cli.options.table import Parsed
    from asyncstore.network.tls import TlsOptions

_MOST_ATTEMPTS = 3
"""How often a password may be typed, as for ssh. A password from a pipe is read once."""


_log = logging.getLogger(__name__)

_ONLY_THE_LEAF = (
    "+crl (--add-crl-file) alone looks up the peer's own certificate only: +cra (--enable-crl-all) looks up the whole "
    "chain, and needs a list of each authority in it; +crv (--enable-crl-vfy) says that the peer's own certificate is "
    "enough"
)


class Remembered:
    """Remembers the password that a user typed, so that a second use of the key does not ask again."""

    def __init__(self) -> None:
        self._answer: str | None = None

    def asking(self, tls: TlsOptions) -> TlsOptions:
        """The same options; what is typed is remembered."""
        ask_for_it = tls.password
        if not callable(ask_for_it):
            return tls

        def asked() -> str:
            self._answer = ask_for_it()
            return self._answer

        return tls._replace(password=asked)

    def known(self, tls: TlsOptions) -> TlsOptions:
        """The same options after the first use of the key, which has shown whether it has a password."""
        return tls._replace(password=self._answer) if callable(tls.password) else tls


def tls_of(parsed: Parsed) -> TlsOptions | None:
    """How to use TLS; ``None``: plain TCP."""
    own = parsed[tls_opt.ENABLE_TLS]
    if own is None and not parsed[tls_opt.ANONYMOUS_TLS]:
        return None
    from asyncstore.network.tls import TlsOptions  # its import takes time

    revocation = _revocation(parsed)
    if parsed[tls_opt.ADD_CRL_FILE] and revocation == "none":
        _log.warning("%s", _ONLY_THE_LEAF)
        revocation = "certificate"
    key, certificate = own or (None, None)
    from_terminal = has_terminal()
    return TlsOptions(
        key,
        certificate,
        _password(parsed, key, from_terminal=from_terminal),
        "der" if parsed[tls_opt.DER_KEYS] else "pem",
        trusted=parsed[tls_opt.ADD_CERT_FILE],
        trusted_directories=parsed[tls_opt.ADD_CERT_DIR],
        revocation_lists=parsed[tls_opt.ADD_CRL_FILE],
        revocation=revocation,
        profile=_profile(parsed),
        cipher_suites=parsed[tls_opt.CIPHER],
        server_name=parsed[tls_opt.REQUEST_SNI],
        send_server_name=not parsed[tls_opt.NO_SNI],
        verify_host_name=not parsed[tls_opt.NO_VERIFY_HOSTNAME],
        peer_certificate=_peer_certificate(parsed),
        dh_parameters=parsed[tls_opt.DH_PARAMETERS],
        seed=parsed[tls_opt.SEED],
        password_attempts=_MOST_ATTEMPTS if from_terminal else 1,
        new_seed=parsed[tls_opt.SEED] if parsed[tls_opt.WRITE_SEED] else parsed[tls_opt.WRITE_SEED_FILE],
    )


def _password(parsed: Parsed, key: str | None, *, from_terminal: bool) -> str | Callable[[], str] | None:
    """The private key's password, or a function that asks for it, called only if the key has one."""
    if parsed[tls_opt.NULL_PASSWD]:
        return ""
    if parsed[tls_opt.USE_PASSWD] is not None or key is None:
        return parsed[tls_opt.USE_PASSWD]
    asker = f"{tls_opt.ENABLE_TLS.long} {key}"
    if from_terminal:
        return lambda: ask(asker, f"Password of the private key {key}: ", tls_opt.USE_PASSWD.variable)
    return lambda: _from_standard_input(asker, holds_names=parsed[opt.FILES_FROM] == opt.STANDARD_STREAM)


def _from_standard_input(asker: str, *, holds_names: bool) -> str:
    """The private key's password from standard input, if there is no terminal.

    Raises:
        UsageError: standard input does not hold it.
    """
    password = None if holds_names else line_of_standard_input()
    if password is None:
        instead = f"holds the names for {opt.FILES_FROM.long}" if holds_names else "does not hold it"
        row = tls_opt.USE_PASSWD
        raise UsageError(
            f"{asker}: this private key has a password, there is no terminal to ask for it at, and standard input "
            f"{instead}: give it in {row.variable}, or with {row.short} ({row.long})"
        )
    return password


def _revocation(parsed: Parsed) -> Literal["none", "certificate", "chain"]:
    if parsed[tls_opt.ENABLE_CRL_ALL]:
        return "chain"
    return "certificate" if parsed[tls_opt.ENABLE_CRL_VFY] else "none"


def _profile(parsed: Parsed) -> str:
    """The name of the security profile: its option's without ``--profile-``."""
    from asyncstore.network.tls_profiles import DEFAULT_PROFILE

    given = (long for long, row in tls_opt.PROFILES.items() if parsed[row])
    return next(given, DEFAULT_PROFILE).removeprefix("--profile-")


def _peer_certificate(parsed: Parsed) -> Literal["require", "verify", "ignore"]:
    if parsed[tls_opt.IGNORE_PEER_CERT]:
        return "ignore"
    return "verify" if parsed[tls_opt.VERIFY_PEER_CERT] else "require"
