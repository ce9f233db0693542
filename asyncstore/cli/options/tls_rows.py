"""The TLS options of storescu, one row each, for every command that has associations.

:mod:`asyncstore.network.tls` does what they say.
"""

from __future__ import annotations

from asyncstore.cli.options.kinds import Pair, Secret, Words
from asyncstore.cli.options.table import Group, Option, flag, text

_ENABLED = ("--enable-tls", "--anonymous-tls")


def _several(long: str, name: str, meaning: str, short: str, excludes: tuple[str, ...] = ()) -> Option[tuple[str, ...]]:
    """An option for TLS that may be given again; all its values count."""
    return Option(long, Words(name), (), meaning, short, accumulates=True, requires=_ENABLED, excludes=excludes)


DISABLE_TLS = flag("--disable-tls", "use plain TCP (default)", "-tls", alternatives="transport")
ENABLE_TLS = Option[tuple[str, str] | None](
    "--enable-tls",
    Pair("KEY", "CERTIFICATE"),
    None,
    "use TLS and show this certificate, whose private key is in the file KEY",
    "+tls",
    alternatives="transport",
)
ANONYMOUS_TLS = flag("--anonymous-tls", "use TLS without a certificate of ours", "+tla", alternatives="transport")
STD_PASSWD = flag(
    "--std-passwd",
    "ask for the private key's password (default): at the terminal, or else on standard input",
    "+ps",
    alternatives="key password",
    requires=("--enable-tls",),
)
USE_PASSWD = Option[str | None](
    "--use-passwd",
    Secret("PASSWORD"),
    None,
    "the private key's password; in ASYNCSTORE_USE_PASSWD no other user sees it",
    "+pw",
    alternatives="key password",
    requires=("--enable-tls",),
)
NULL_PASSWD = flag(
    "--null-passwd",
    "the private key's password is empty",
    "-pw",
    alternatives="key password",
    requires=("--enable-tls",),
)
PEM_KEYS = flag(
    "--pem-keys", "keys and certificates are PEM files (default)", "-pem", alternatives="key format", requires=_ENABLED
)
DER_KEYS = flag(
    "--der-keys", "keys and certificates are DER files", "-der", alternatives="key format", requires=_ENABLED
)
ADD_CERT_FILE = _several("--add-cert-file", "FILE", "trust the certificates in this file; may be given again", "+cf")
ADD_CERT_DIR = _several(
    "--add-cert-dir", "DIRECTORY", "trust the certificates in this directory; may be given again", "+cd"
)
ADD_CRL_FILE = _several(
    "--add-crl-file",
    "FILE",
    "refuse certificates that are revoked in this file; may be given again; implies +crv",
    "+crl",
)
ENABLE_CRL_VFY = flag(
    "--enable-crl-vfy",
    "check whether the peer's certificate is revoked",
    "+crv",
    alternatives="revocation",
    requires=_ENABLED,
)
ENABLE_CRL_ALL = flag(
    "--enable-crl-all",
    "check whether any certificate of its chain is revoked",
    "+cra",
    alternatives="revocation",
    requires=_ENABLED,
)
LIST_PROFILES = flag("--list-profiles", "list the security profiles and exit", "+ph", exits=True)
PROFILE_CHOICES = (
    ("+pg", "--profile-8996", "BCP 195 RFC 8996 (default)"),
    ("+pm", "--profile-8996-mod", "modified BCP 195 RFC 8996"),
    ("+px", "--profile-bcp195", "BCP 195 (retired)"),
    ("+py", "--profile-bcp195-nd", "non-downgrading BCP 195 (retired)"),
    ("+pz", "--profile-bcp195-ex", "extended BCP 195 (retired)"),
    ("+pb", "--profile-basic", "basic TLS (retired)"),
    ("+pa", "--profile-aes", "AES TLS (retired)"),
    ("+pn", "--profile-null", "authenticated and unencrypted (retired, from IHE ATNA)"),
)
"""Short name, long name and meaning of the security profiles."""
PROFILES = {
    name: flag(name, meaning, short, alternatives="security profile", requires=_ENABLED)
    for short, name, meaning in PROFILE_CHOICES
}
"""A row for each security profile, by its long name."""
LIST_CIPHERS = flag("--list-ciphers", "list the cipher suites and exit", "+cc", exits=True)
CIPHER = _several(
    "--cipher",
    "NAME",
    "add this cipher suite to the profile's; may be given again",
    "+cs",
    excludes=("--profile-bcp195-ex", "--profile-8996-mod"),
)
NO_SNI = flag("--no-sni", "send no server name", excludes=("--request-sni",))
REQUEST_SNI = text(
    "--request-sni",
    "NAME",
    "send this server name; the certificate must be for the host of the connection all the same",
    shown_default="its host name",
)
SEED = text("--seed", "FILE", "add this file's contents to the random numbers' seed", "+rs", requires=_ENABLED)
WRITE_SEED = flag("--write-seed", "write a new seed back to it", "+ws", alternatives="seed", requires=("--seed",))
WRITE_SEED_FILE = text(
    "--write-seed-file", "FILE", "write a new seed to this file", "+wf", alternatives="seed", requires=("--seed",)
)
REQUIRE_PEER_CERT = flag(
    "--require-peer-cert",
    "refuse a peer whose certificate cannot be trusted (default)",
    "-rc",
    alternatives="peer certificate",
    requires=_ENABLED,
)
IGNORE_PEER_CERT = flag(
    "--ignore-peer-cert", "take any certificate, or none", "-ic", alternatives="peer certificate", requires=_ENABLED
)
VERIFY_PEER_CERT = flag(
    "--verify-peer-cert",
    "take a peer that shows no certificate; refuse one whose certificate cannot be trusted",
    "-vc",
    alternatives="peer certificate",
    requires=_ENABLED,
)
DH_PARAMETERS = text(
    "--dhparam",
    "FILE",
    "Diffie-Hellman parameters (PEM), for cipher suites with DHE",
    "+dp",
    requires=_ENABLED,
    shown_default="the 2048 bits of RFC 7919",
)
NO_VERIFY_HOSTNAME = flag(
    "--no-verify-hostname", "take a certificate that was made for another host, as storescu does", requires=_ENABLED
)

_SECTION = "transport layer security (TLS) options"

TLS_GROUPS = (
    Group(_SECTION, (DISABLE_TLS, ENABLE_TLS, ANONYMOUS_TLS), "transport protocol stack"),
    Group(_SECTION, (STD_PASSWD, USE_PASSWD, NULL_PASSWD), "private key password (only with --enable-tls)"),
    Group(_SECTION, (PEM_KEYS, DER_KEYS), "key and certificate file format"),
    Group(
        _SECTION,
        (ADD_CERT_FILE, ADD_CERT_DIR, ADD_CRL_FILE, ENABLE_CRL_VFY, ENABLE_CRL_ALL),
        "certification authority",
    ),
    Group(_SECTION, (LIST_PROFILES, *PROFILES.values()), "security profile"),
    Group(_SECTION, (LIST_CIPHERS, CIPHER), "cipher suite"),
    Group(_SECTION, (NO_SNI, REQUEST_SNI), "server name indication"),
    Group(_SECTION, (SEED, WRITE_SEED, WRITE_SEED_FILE), "random number generator"),
    Group(_SECTION, (REQUIRE_PEER_CERT, IGNORE_PEER_CERT, NO_VERIFY_HOSTNAME), "peer authentication"),
)
"""The groups of the help, for an association's requestor."""


def _accepting(*rows: Option[object]) -> tuple[Option[object], ...]:
    """The same rows for an acceptor, which cannot do without a certificate of its own."""
    return tuple(row._replace(requires=_ENABLED[:1]) if row.requires == _ENABLED else row for row in rows)


ACCEPTOR_TLS_GROUPS = (
    Group(_SECTION, (DISABLE_TLS, ENABLE_TLS), "transport protocol stack"),
    *(
        Group(_SECTION, _accepting(*rows), title)
        for title, rows in (
            ("private key password", (STD_PASSWD, USE_PASSWD, NULL_PASSWD)),
            ("key and certificate file format", (PEM_KEYS, DER_KEYS)),
            ("certification authority", (ADD_CERT_FILE, ADD_CERT_DIR, ADD_CRL_FILE, ENABLE_CRL_VFY, ENABLE_CRL_ALL)),
            ("security profile", (LIST_PROFILES, *PROFILES.values())),
            ("cipher suite", (LIST_CIPHERS, CIPHER, DH_PARAMETERS)),
            ("random number generator", (SEED, WRITE_SEED, WRITE_SEED_FILE)),
            ("peer authentication", (REQUIRE_PEER_CERT, VERIFY_PEER_CERT, IGNORE_PEER_CERT)),
        )
    ),
)
"""The groups of the help, for an association's acceptor."""
