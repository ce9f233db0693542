"""From the options of a command line to what is negotiated: presentation contexts and user identity.

The files that these options name are read here, before anything is sent. A file that cannot be used is bad usage.
"""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING

from asyncstore.cli.asking import ask, has_terminal
from asyncstore.cli.options import rows as opt
from asyncstore.errors import UsageError
from asyncstore.named_files import read_named
from asyncstore.negotiation import Planned, listed
from asyncstore.protocol.associate import MOST_BYTES_OF_ITEM, IdentityKind, UserIdentity

if TYPE_CHECKING:
    from asyncstore.cli.options.table import Option, Parsed
    from asyncstore.negotiation import Proposal

_log = logging.getLogger(__name__)

_MOST_BYTES_OF_CONFIGURATION = 1 << 20
"""Real ones have some 30 kB."""


def proposal_of(parsed: Parsed) -> Proposal:
    """What to propose: by storescu's rules if one of its options is given, otherwise what the files need.

    Raises:
        UsageError: the configuration file cannot be read, or is wrong.
    """
    configuration = parsed[opt.CONFIG_FILE]
    if configuration is not None:
        file, profile = configuration
        return _profile(file, profile)
    choices = [name.removeprefix("--propose-") for name, row in opt.PROPOSE.items() if parsed[row]]
    if not choices and not parsed[opt.REQUIRED] and not parsed[opt.COMBINE]:
        return Planned()
    choice = choices[0] if choices else "uncompr"
    return listed(choice, required=parsed[opt.REQUIRED], combined=parsed[opt.COMBINE])


def _profile(file: str, profile: str) -> Proposal:
    """The proposal of a profile of a configuration file. Entries that are ignored are logged as warnings."""
    from asyncstore.negotiation.profile import read_profile

    text = _content(opt.CONFIG_FILE, file, _MOST_BYTES_OF_CONFIGURATION).decode("utf-8-sig", "replace")
    try:
        profiled = read_profile(text, file, profile)
    except UsageError as error:
        raise UsageError(f"{opt.CONFIG_FILE.long}: {error}") from None
    for remark in profiled.remarks:
        _log.warning("%s", remark)
    return profiled


def identity_of(parsed: Parsed) -> UserIdentity | None:
    """The user identity to send, if the options name one. It may ask for a password.

    Raises:
        UsageError: a file cannot be read or is too long, or there is no terminal to ask at.
    """
    wants_response = parsed[opt.POSITIVE_RESPONSE]
    for row, kind in (
        (opt.KERBEROS, IdentityKind.KERBEROS),
        (opt.SAML, IdentityKind.SAML),
        (opt.JWT, IdentityKind.JWT),
    ):
        file = parsed[row]
        if file is not None:
            return UserIdentity(kind, _content(row, file, MOST_BYTES_OF_ITEM), wants_response=wants_response)
    user = parsed[opt.USER]
    if user is None:
        return None
    password = _password(parsed)
    if password is None:
        return UserIdentity(IdentityKind.USERNAME, os.fsencode(user), wants_response=wants_response)
    return UserIdentity(IdentityKind.USERNAME_AND_PASSCODE, os.fsencode(user), password, wants_response)


def too_long(parsed: Parsed, identity: UserIdentity | None, excess: int) -> UsageError:
    """The error for an identity or a profile that does not fit into an A-ASSOCIATE-RQ."""
    room = "than an association request has room for"
    size = 0 if identity is None else len(identity.primary) + len(identity.secondary)
    if excess >= size:
        file, profile = parsed[opt.CONFIG_FILE] or ("", "")
        what = f"{opt.CONFIG_FILE.long} {file}: roles and extended negotiation of profile {profile!r}"
        return UsageError(f"{what} are {excess} bytes longer {room}; list fewer of them")
    remedy = "give a shorter one"
    if parsed[opt.CONFIG_FILE] is not None:
        remedy += f", or a profile with less extended negotiation ({opt.CONFIG_FILE.short})"
    for row in (opt.KERBEROS, opt.SAML, opt.JWT):
        if parsed[row] is not None:
            return UsageError(f"{row.long} {parsed[row]}: its {size} bytes are {excess} more {room}; {remedy}")
    return UsageError(f"{opt.USER.long}: name and password are {excess} bytes longer {room}; {remedy}")


def _password(parsed: Parsed) -> bytes | None:
    """The password, byte for byte as it was given; ``None``: none is sent."""
    if parsed[opt.ASK_PASSWORD]:
        return _asked_password(parsed[opt.USER] or "")
    if parsed[opt.EMPTY_PASSWORD]:
        return b""
    password = parsed[opt.PASSWORD]
    return None if password is None else os.fsencode(password)


def _asked_password(user: str) -> bytes:
    if not has_terminal():
        raise UsageError(
            f"{opt.ASK_PASSWORD.long}: there is no terminal to ask at; {opt.PASSWORD.variable} can hold the password"
        )
    return ask(opt.ASK_PASSWORD.long, f"Password of {user}: ", opt.PASSWORD.variable).encode()


def _content(row: Option[object], file: str, most: int) -> bytes:
    """All of a file that an option names.

    Raises:
        UsageError: it cannot be read, is empty, or is longer than it may be.
    """
    content = read_named(file, most, f"{row.long} {file}: cannot read it")
    if not content:
        raise UsageError(f"{row.long} {file}: the file is empty")
    return content
