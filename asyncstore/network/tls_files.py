"""Loads the files of TLS into an SSL context: private keys, certificates, revocation lists, DH parameters, seeds.

Rules:

1. A bad file is a TlsSettingRefused, which names the setting and the file.
2. OpenSSL never asks for a password itself. After a wrong password the user is asked again.
3. No copy of a private key stays behind. Python's ``ssl`` reads keys and revocation lists from PEM files only, so DER
   goes through a file that only its owner can read, and that is removed at once.
4. OpenSSL only reads regular files: it would read an endless file for ever, and a pipe has been read already. Of others
   it gets a copy as in rule 3.
"""

from __future__ import annotations

import logging
import os
import ssl
import tempfile
from base64 import encodebytes
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from asyncstore.errors import TlsSettingRefused, UsageError
from asyncstore.named_files import first_bytes, read_named

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_log = logging.getLogger(__name__)

_NO_KEY = "there is no private key in it"
_MOST_BYTES = 1 << 26
"""Bytes of a file; the longest, revocation lists of public authorities, have some tens of millions."""
_MOST_SEED_BYTES = 1 << 20
_SEED_BYTES = 1024
"""As many as OpenSSL's RAND_write_file writes."""

_FFDHE_2048 = """\
-----BEGIN DH PARAMETERS-----
MIIBCAKCAQEA//////////+t+FRYortKmq/cViAnPTzx2LnFg84tNpWp4TZBFGQz
+8yTnc4kmz75fS/jY2MMddj2gbICrsRhetPfHtXV/WVhJDP1H18GbtCFY2VVPe0a
87VXE15/V8k1mE8McODmi3fipona8+/och3xWKE2rec1MKzKT0g6eXq8CrGCsyT7
YdEIqUuyyOP7uWrat2DX9GgdT0Kj3jlN9K5W7edjcrsZCwenyO4KbXCeAvzhzffi
7MA0BM0oNC9hkXL+nOmFg/+OTxIy7vKBg8P+OxtMb61zO7X8vC7CIAXFjvGDfRaD
ssbzSibBsu/6iGtCOGEoXJf//////////wIBAg==
-----END DH PARAMETERS-----
"""
"""The public group ffdhe2048 (RFC 7919 A.1): storescp's default, too."""

_SEQUENCE, _INTEGER, _OCTET_STRING = 0x30, 0x02, 0x04
_LONG_FORM = 0x80
"""ASN.1 tags, and the mark of a length of several bytes (X.690 8.1.3)."""


def load_own(
    context: ssl.SSLContext,
    key: str,
    certificate: str,
    password: str | Callable[[], str] | None,
    *,
    attempts: int,
    der: bool,
) -> None:
    """Load our private key and certificate (with the rest of its chain, if the file has it).

    Args:
        context: the context to load them into.
        key: the file with the key.
        certificate: the file with the certificate.
        password: the key's password, or a function that returns it; called only if the key needs one.
        attempts: how often to call the function while the password is wrong.
        der: whether both files are DER.

    Raises:
        UsageError: one of them cannot be used.
    """
    content, chain = _contents("key", key, der=der), _contents("certificate", certificate, der=der)
    if not der and b"PRIVATE KEY-----" not in content:
        raise TlsSettingRefused("key", key, _NO_KEY)
    kind = _kind_of_key(key, content) if der else _PKCS8
    last = attempts if callable(password) else 1
    with (
        _as_pem(certificate, chain, "CERTIFICATE", der=der) as pem,
        _as_pem(key, content, kind, der=der) as own,
    ):
        for attempt in range(1, last + 1):
            callback = _PasswordCallback(key, password)
            try:
                context.load_cert_chain(pem, own, callback)
            except ssl.SSLError as error:
                refusal = _refusal(error, key, certificate, asked=callback.was_called)
                if attempt == last or refusal.mistake != "wrong password":
                    raise refusal from error
                _log.warning("%s", refusal)
            except ValueError as error:
                raise TlsSettingRefused("key", key, str(error)) from error
            else:
                return


def trust_file(context: ssl.SSLContext, file: str, *, der: bool) -> None:
    """Trust the certificates in a file.

    Raises:
        UsageError: there are none.
    """
    content = _contents("trusted", file, der=der)
    try:
        _load(context, file, content, der=der)
    except ssl.SSLError as error:
        raise TlsSettingRefused("trusted", file, "there is no certificate in it") from error


def trust_directory(context: ssl.SSLContext, directory: str, *, der: bool) -> None:
    """Trust all certificates in the files of a directory, whatever their names.

    Raises:
        UsageError: there are none.
    """
    found = 0
    try:
        files = sorted(path for path in Path(directory).iterdir() if path.is_file())
    except OSError as error:
        raise TlsSettingRefused("trusted_directories", directory, f"cannot read it: {error.strerror}") from error
    for file in files:
        try:
            _load(context, str(file), _read("trusted_directories", str(file)), der=der)
        except (OSError, UsageError) as error:  # SSLError is an OSError
            _log.debug("%s holds no certificate: %s", file, error)
        else:
            found += 1
    if not found:
        problem = f"no file in it holds a certificate in {'DER' if der else 'PEM'}"
        raise TlsSettingRefused("trusted_directories", directory, problem)


def load_revocation_list(context: ssl.SSLContext, file: str, *, der: bool) -> None:
    """Load a certificate revocation list.

    Raises:
        UsageError: the file holds none.
    """
    content = _contents("revocation_lists", file, der=der)
    with _as_pem(file, content, "X509 CRL", der=der) as pem:
        try:
            context.load_verify_locations(pem)
        except ssl.SSLError as error:
            raise TlsSettingRefused("revocation_lists", file, "there is no revocation list in it") from error


def load_dh_parameters(context: ssl.SSLContext, file: str | None) -> None:
    """Load an acceptor's Diffie-Hellman parameters (PEM); OpenSSL needs them for DHE.

    Args:
        context: a context whose cipher suites are set.
        file: their file; ``None``: the 2048 bits of RFC 7919, if a cipher suite uses DHE.

    Raises:
        UsageError: the file holds none, or they are too short.
    """
    if file is None:
        if any(suite.get("kea") == "kx-dhe" for suite in context.get_ciphers()):
            with _temporary(_FFDHE_2048.encode("ascii")) as own:
                context.load_dh_params(own)
        return
    try:
        with _as_pem(file, _read("dh_parameters", file), "DH PARAMETERS", der=False) as pem:
            context.load_dh_params(pem)
    except ssl.SSLError as error:
        if error.reason == "DH_KEY_TOO_SMALL":
            problem = (
                "they are too short for the security profile, which wants 2048 bits; without this file a group of that "
                "size is used"
            )
            raise TlsSettingRefused("dh_parameters", file, problem) from error
        raise TlsSettingRefused("dh_parameters", file, "there are none in PEM in it") from error


def add_seed(file: str) -> None:
    """Stir a file's contents into the random numbers. They are good without it, so a missing file is no error."""
    try:
        content = first_bytes(file, _MOST_SEED_BYTES + 1)
    except OSError as error:
        _log.warning("seed %s: cannot read it: %s", file, error.strerror)
        return
    if len(content) > _MOST_SEED_BYTES:
        _log.warning("seed %s: it is longer than %d bytes; the rest of it is not used", file, _MOST_SEED_BYTES)
    ssl.RAND_add(content, 0.0)


def write_seed(file: str) -> None:
    """Write a new seed; the file is replaced completely or not at all.

    Raises:
        UsageError: it cannot be written.
    """
    path = Path(file)
    try:
        descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)  # with mode 0600
        with os.fdopen(descriptor, "wb") as seed:
            seed.write(ssl.RAND_bytes(_SEED_BYTES))
        Path(temporary).replace(path)
    except OSError as error:
        raise TlsSettingRefused("new_seed", file, f"cannot write it: {error.strerror}") from error


_PKCS8, _ENCRYPTED, _PKCS1, _SEC1 = "PRIVATE KEY", "ENCRYPTED PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY"
"""The labels of PEM (RFC 7468 10 and 11, RFC 5915 4, and PKCS #1 as OpenSSL writes it)."""


def _kind_of_key(file: str, content: bytes) -> str:
    """The PEM label of a private key in DER, by the first two elements of its sequence.

    Raises:
        UsageError: it is no known kind.
    """
    tags = _first_tags(content)
    if tags == (_SEQUENCE, _OCTET_STRING):
        return _ENCRYPTED  # RFC 5958 3: the encryption algorithm, the encrypted key
    if tags == (_INTEGER, _SEQUENCE):
        return _PKCS8  # RFC 5958 2: version, algorithm
    if tags == (_INTEGER, _INTEGER):
        return _PKCS1  # RFC 8017 A.1.2: version, modulus
    if tags == (_INTEGER, _OCTET_STRING):
        return _SEC1  # RFC 5915 3: version, private key
    raise TlsSettingRefused("key", file, _NO_KEY)


def _first_tags(content: bytes) -> tuple[int, int] | None:
    """The tags of the first two elements of a sequence; ``None``: it is no sequence."""
    try:
        if content[0] != _SEQUENCE:
            return None
        first, _ = _value(content, 0)
        _, after = _value(content, first)
        return content[first], content[after]
    except IndexError:
        return None


def _value(content: bytes, position: int) -> tuple[int, int]:
    """The begin and end of an element's value (X.690 8.1.3)."""
    length, begin = content[position + 1], position + 2
    if length & _LONG_FORM:
        end = begin + (length & ~_LONG_FORM)
        length, begin = int.from_bytes(content[begin:end], "big"), end
    return begin, begin + length


def _load(context: ssl.SSLContext, file: str, content: bytes, *, der: bool) -> None:
    if der:
        context.load_verify_locations(cadata=content)
        return
    with _as_pem(file, content, "CERTIFICATE", der=False) as pem:
        context.load_verify_locations(pem)


def _contents(setting: str, file: str, *, der: bool) -> bytes:
    """The contents of a file.

    Raises:
        UsageError: it cannot be read, or has the other format.
    """
    content = _read(setting, file)
    is_pem = b"-----BEGIN " in content
    if der and is_pem:
        raise TlsSettingRefused(setting, file, "it is a PEM file, and DER was asked for", "not DER")
    if not der and not is_pem:
        looks_der = content[:1] == bytes([_SEQUENCE])
        raise TlsSettingRefused(setting, file, "it is not a PEM file", "is DER" if looks_der else None)
    return content


def _read(setting: str, file: str) -> bytes:
    """All of a file.

    Raises:
        UsageError: it cannot be read.
    """
    try:
        return read_named(file, _MOST_BYTES, "cannot read it")
    except UsageError as error:
        raise TlsSettingRefused(setting, file, str(error)) from None


@contextmanager
def _as_pem(file: str, content: bytes, label: str, *, der: bool) -> Iterator[str]:
    """The path of a PEM file with this content: the file itself, or a copy that only this user can read."""
    if not der and Path(file).is_file():
        yield file
        return
    pem = f"-----BEGIN {label}-----\n".encode() + encodebytes(content) + f"-----END {label}-----\n".encode()
    with _temporary(pem if der else content) as copy:
        yield copy


@contextmanager
def _temporary(content: bytes) -> Iterator[str]:
    """The path of a temporary file with this content that only this user can read."""
    with tempfile.TemporaryDirectory(prefix="asyncstore-") as directory:  # with mode 0700
        copy = Path(directory) / "pem"
        copy.touch(mode=0o600)
        copy.write_bytes(content)
        yield str(copy)


class _PasswordCallback:
    """Gives OpenSSL the password of a private key; called only if the key has one."""

    def __init__(self, key: str, password: str | Callable[[], str] | None) -> None:
        self.was_called = False
        self._key = key
        self._password = password

    def __call__(self) -> bytes:
        self.was_called = True
        if self._password is None:
            raise TlsSettingRefused("key", self._key, "it has a password, and none was given", "wrong password")
        password = self._password if isinstance(self._password, str) else self._password()
        return password.encode("utf-8", "surrogateescape")  # the very bytes of the command line


def _refusal(error: ssl.SSLError, key: str, certificate: str, *, asked: bool) -> TlsSettingRefused:
    """The fault of our key and certificate."""
    if error.reason in ("KEY_VALUES_MISMATCH", "KEY_TYPE_MISMATCH", "NO_CERTIFICATE_ASSIGNED"):
        problem = f"it does not belong to the certificate in {certificate}: give the two files that belong together"
        return TlsSettingRefused("key", key, f"{problem}, the key first")
    if error.reason in ("EE_KEY_TOO_SMALL", "CA_KEY_TOO_SMALL", "CA_MD_TOO_WEAK"):
        problem = "its key or its signature is too weak for the security profile; a retired one takes it"
        return TlsSettingRefused("certificate", certificate, problem)
    if asked:
        problem = "the password is wrong, or this is no private key"
        return TlsSettingRefused("key", key, problem, "wrong password")
    problem = f"it or {certificate} is damaged or of an unknown kind: copy it again from its source"
    return TlsSettingRefused("key", key, problem)
