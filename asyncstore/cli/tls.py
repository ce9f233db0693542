"""TLS, from a command line to what the engine takes.

The rules on which options go together are in the table (:mod:`asyncstore.cli.tls_options`); what is left to say here
is what they mean together.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Literal

from asyncstore.cli.asking import ask, has_terminal, line_of_standard_input
from asyncstore.cli.options import FILES_FROM, STANDARD_STREAM
from asyncstore.cli.tls_options import (
    ADD_CERT_DIR,
    ADD_CERT_FILE,
    ADD_CRL_FILE,
    ANONYMOUS_TLS,
    CIPHER,
    DER_KEYS,
    DH_PARAMETERS,
    ENABLE_CRL_ALL,
    ENABLE_CRL_VFY,
    ENABLE_TLS,
    IGNORE_PEER_CERT,
    NO_SNI,
    NO_VERIFY_HOSTNAME,
    NULL_PASSWD,
    PROFILES,
    REQUEST_SNI,
    SEED,
    USE_PASSWD,
    VERIFY_PEER_CERT,
    WRITE_SEED,
    WRITE_SEED_FILE,
)
from asyncstore.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from asyncstore.cli.table import Parsed
    from asyncstore.network.tls import TlsOptions

_MOST_ATTEMPTS = 3
"""Passwords that may be typed, as many as ssh allows; what comes out of a pipe is not mistyped."""


_log = logging.getLogger(__name__)

_ONLY_THE_LEAF = (
    f"{ADD_CRL_FILE.short} ({ADD_CRL_FILE.long}) alone looks up the peer's own certificate only: "
    f"{ENABLE_CRL_ALL.short} ({ENABLE_CRL_ALL.long}) looks up the whole chain, and needs a list of each authority in "
    f"it; {ENABLE_CRL_VFY.short} ({ENABLE_CRL_VFY.long}) says that the peer's own certificate is enough"
)


def tls_of(parsed: Parsed) -> TlsOptions | None:
    """How TLS is to be used; ``None`` for plain TCP."""
    own = parsed[ENABLE_TLS]
    if own is None and not parsed[ANONYMOUS_TLS]:
        return None
    from asyncstore.network.tls import TlsOptions  # noqa: PLC0415 - who does not ask for it does not wait for it

    if parsed[ADD_CRL_FILE] and _revocation(parsed) == "none":
        _log.warning("%s", _ONLY_THE_LEAF)
    key, certificate = own or (None, None)
    from_terminal = has_terminal()
    return TlsOptions(
        key,
        certificate,
        _password(parsed, key, from_terminal=from_terminal),
        "der" if parsed[DER_KEYS] else "pem",
        trusted=parsed[ADD_CERT_FILE],
        trusted_directories=parsed[ADD_CERT_DIR],
        revocation_lists=parsed[ADD_CRL_FILE],
        revocation=_revocation(parsed),
        profile=_profile(parsed),
        cipher_suites=parsed[CIPHER],
        server_name=parsed[REQUEST_SNI],
        send_server_name=not parsed[NO_SNI],
        verify_host_name=not parsed[NO_VERIFY_HOSTNAME],
        peer_certificate=_peer_certificate(parsed),
        dh_parameters=parsed[DH_PARAMETERS],
        seed=parsed[SEED],
        password_attempts=_MOST_ATTEMPTS if from_terminal else 1,
        new_seed=parsed[SEED] if parsed[WRITE_SEED] else parsed[WRITE_SEED_FILE],
    )


def _password(parsed: Parsed, key: str | None, *, from_terminal: bool) -> str | Callable[[], str] | None:
    """The private key's password, or who asks for it if the key has one."""
    if parsed[NULL_PASSWD]:
        return ""
    if parsed[USE_PASSWD] is not None or key is None:
        return parsed[USE_PASSWD]
    asker = f"{ENABLE_TLS.long} {key}"
    if from_terminal:
        return lambda: ask(asker, f"Password of the private key {key}: ", USE_PASSWD.variable)
    return lambda: _from_standard_input(asker, holds_names=parsed[FILES_FROM] == STANDARD_STREAM)


def _from_standard_input(asker: str, *, holds_names: bool) -> str:
    """The private key's password where there is no terminal to ask for it at.

    Raises:
        UsageError: it is not there either.
    """
    password = None if holds_names else line_of_standard_input()
    if password is None:
        instead = f"holds the names for {FILES_FROM.long}" if holds_names else "does not hold it"
        raise UsageError(
            f"{asker}: this private key has a password, there is no terminal to ask for it at, and standard input "
            f"{instead}: give it in {USE_PASSWD.variable}, or with {USE_PASSWD.short} ({USE_PASSWD.long})"
        )
    return password


def _revocation(parsed: Parsed) -> Literal["none", "certificate", "chain"]:
    if parsed[ENABLE_CRL_ALL]:
        return "chain"
    return "certificate" if parsed[ENABLE_CRL_VFY] else "none"


def _profile(parsed: Parsed) -> str:
    """The name of the security profile, which is the end of its option's."""
    from asyncstore.network.tls_profiles import DEFAULT_PROFILE  # noqa: PLC0415 - see above

    given = (long for long, row in PROFILES.items() if parsed[row])
    return next(given, DEFAULT_PROFILE).removeprefix("--profile-")


def _peer_certificate(parsed: Parsed) -> Literal["require", "verify", "ignore"]:
    if parsed[IGNORE_PEER_CERT]:
        return "ignore"
    return "verify" if parsed[VERIFY_PEER_CERT] else "require"
