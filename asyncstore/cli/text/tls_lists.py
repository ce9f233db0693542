"""The lists of ``--list-ciphers`` and ``--list-profiles``: what the installed OpenSSL can do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from asyncstore.network.tls import available_cipher_suites, openssl_version
from asyncstore.network.tls_profiles import DEFAULT_PROFILE, PROFILES, TLS13_CIPHER_SUITES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


def cipher_suite_list() -> str:
    """The text of ``--list-ciphers``."""
    return "\n".join(
        (f"Cipher suites of {openssl_version()}, the weakest first:", *_indented(available_cipher_suites()))
    )


def profile_list() -> str:
    """The text of ``--list-profiles``."""
    available = available_cipher_suites()
    lines = [f"Security profiles (PS3.15 annex B), as far as {openssl_version()} can do them:"]
    for name, profile in PROFILES.items():
        lowest, highest = profile.versions
        default = ", default" if name == DEFAULT_PROFILE else ""
        lines += ["", f"--profile-{name}: {profile.title} ({profile.clause}{default})"]
        lines.append(f"  TLS {lowest} to {highest}" if lowest != highest else f"  TLS {lowest} only")
        suites = (TLS13_CIPHER_SUITES if highest == "1.3" else ()) + profile.cipher_suites
        lines += _indented(suite if suite in available else f"{suite} (not in this OpenSSL)" for suite in suites)
    return "\n".join(lines)


def _indented(lines: Iterable[str]) -> Iterator[str]:
    return (f"  {line}" for line in lines)
