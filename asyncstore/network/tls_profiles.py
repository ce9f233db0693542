"""The security profiles of PS3.15 annex B and their cipher suites: data, and questions about it.

A profile lists the cipher suites that may be negotiated, in the requestor's order of preference.
:mod:`asyncstore.network.tls` knows which of them the installed OpenSSL has.

Sources and choices:

1. PS3.15 B.12 and B.13 (2024e), B.11 (2020d), B.1 (2013). B.12 follows RFC 9325, B.13 narrows it. B.9 to B.11, now
   retired, refer to RFC 7525, which RFC 9325 replaces. RFC 8996 forbids TLS 1.0 and 1.1; only retired profiles allow
   them.
2. The cipher suites, their order and the versions are those of DCMTK 3.7.0 (dcmtls/libsrc/tlsciphr.cc), so that one
   option proposes the same in its programs and ours.
3. Key sizes follow OpenSSL's security level, for both sides' whole chains and the agreed keys. DCMTK works at level 0
   with checks of its own for the profiles of RFC 8996; under B.12 it accepts short keys of requestors.
4. Two cipher suites of B.13 for TLS 1.3 (AES in CCM) and four for TLS 1.2 (Camellia in GCM) are missing: Python chooses
   none for TLS 1.3, and OpenSSL never had the others. So our acceptor lacks some that B.13 requires of acceptors.
"""

from __future__ import annotations

from asyncstore.named_tuple import NamedTuple

CIPHER_SUITES = {
    "TLS_RSA_WITH_NULL_SHA": "NULL-SHA",
    "TLS_RSA_WITH_3DES_EDE_CBC_SHA": "DES-CBC3-SHA",
    "TLS_RSA_WITH_CAMELLIA_128_CBC_SHA": "CAMELLIA128-SHA",
    "TLS_RSA_WITH_AES_128_CBC_SHA": "AES128-SHA",
    "TLS_RSA_WITH_AES_128_CBC_SHA256": "AES128-SHA256",
    "TLS_RSA_WITH_AES_128_GCM_SHA256": "AES128-GCM-SHA256",
    "TLS_RSA_WITH_CAMELLIA_256_CBC_SHA": "CAMELLIA256-SHA",
    "TLS_RSA_WITH_AES_256_CBC_SHA": "AES256-SHA",
    "TLS_RSA_WITH_AES_256_CBC_SHA256": "AES256-SHA256",
    "TLS_RSA_WITH_AES_256_GCM_SHA384": "AES256-GCM-SHA384",
    "TLS_DHE_DSS_WITH_CAMELLIA_128_CBC_SHA": "DHE-DSS-CAMELLIA128-SHA",
    "TLS_DHE_DSS_WITH_AES_128_CBC_SHA": "DHE-DSS-AES128-SHA",
    "TLS_DHE_DSS_WITH_AES_128_CBC_SHA256": "DHE-DSS-AES128-SHA256",
    "TLS_DHE_DSS_WITH_AES_128_GCM_SHA256": "DHE-DSS-AES128-GCM-SHA256",
    "TLS_DHE_RSA_WITH_CAMELLIA_128_CBC_SHA": "DHE-RSA-CAMELLIA128-SHA",
    "TLS_DHE_RSA_WITH_AES_128_CBC_SHA": "DHE-RSA-AES128-SHA",
    "TLS_DHE_RSA_WITH_AES_128_CBC_SHA256": "DHE-RSA-AES128-SHA256",
    "TLS_DHE_RSA_WITH_AES_128_GCM_SHA256": "DHE-RSA-AES128-GCM-SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA": "ECDHE-ECDSA-AES128-SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256": "ECDHE-ECDSA-AES128-SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_128_CCM_8": "ECDHE-ECDSA-AES128-CCM8",
    "TLS_ECDHE_ECDSA_WITH_AES_128_CCM": "ECDHE-ECDSA-AES128-CCM",
    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256": "ECDHE-ECDSA-AES128-GCM-SHA256",
    "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA": "ECDHE-RSA-AES128-SHA",
    "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256": "ECDHE-RSA-AES128-SHA256",
    "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256": "ECDHE-RSA-AES128-GCM-SHA256",
    "TLS_DHE_DSS_WITH_CAMELLIA_256_CBC_SHA": "DHE-DSS-CAMELLIA256-SHA",
    "TLS_DHE_DSS_WITH_AES_256_CBC_SHA": "DHE-DSS-AES256-SHA",
    "TLS_DHE_DSS_WITH_AES_256_CBC_SHA256": "DHE-DSS-AES256-SHA256",
    "TLS_DHE_DSS_WITH_AES_256_GCM_SHA384": "DHE-DSS-AES256-GCM-SHA384",
    "TLS_DHE_RSA_WITH_CAMELLIA_256_CBC_SHA": "DHE-RSA-CAMELLIA256-SHA",
    "TLS_DHE_RSA_WITH_AES_256_CBC_SHA": "DHE-RSA-AES256-SHA",
    "TLS_DHE_RSA_WITH_AES_256_CBC_SHA256": "DHE-RSA-AES256-SHA256",
    "TLS_DHE_RSA_WITH_CHACHA20_POLY1305_SHA256": "DHE-RSA-CHACHA20-POLY1305",
    "TLS_DHE_RSA_WITH_AES_256_GCM_SHA384": "DHE-RSA-AES256-GCM-SHA384",
    "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA": "ECDHE-ECDSA-AES256-SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA384": "ECDHE-ECDSA-AES256-SHA384",
    "TLS_ECDHE_ECDSA_WITH_AES_256_CCM_8": "ECDHE-ECDSA-AES256-CCM8",
    "TLS_ECDHE_ECDSA_WITH_AES_256_CCM": "ECDHE-ECDSA-AES256-CCM",
    "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256": "ECDHE-ECDSA-CHACHA20-POLY1305",
    "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384": "ECDHE-ECDSA-AES256-GCM-SHA384",
    "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA": "ECDHE-RSA-AES256-SHA",
    "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA384": "ECDHE-RSA-AES256-SHA384",
    "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256": "ECDHE-RSA-CHACHA20-POLY1305",
    "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384": "ECDHE-RSA-AES256-GCM-SHA384",
}
"""The cipher suites of TLS 1.2 and earlier: IANA's name (also DCMTK's) to OpenSSL's; the weakest first, and those
without forward secrecy before the others. OpenSSL dropped static ECDH in 1.1.0, and never had Camellia in GCM."""

TLS13_CIPHER_SUITES = ("TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256", "TLS_AES_128_GCM_SHA256")
"""Python's fixed offer for TLS 1.3; they can be chosen from Python 3.15 on."""

_FORWARD_SECRET = (
    "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
    "TLS_DHE_RSA_WITH_AES_128_GCM_SHA256",
    "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
    "TLS_DHE_RSA_WITH_AES_256_GCM_SHA384",
)
"""RFC 7525 4.2, for the three profiles of BCP 195 before RFC 9325; the first one is preferred (4.2.1)."""

_RECOMMENDED = (
    "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
    "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
)
"""RFC 9325 4.2."""

_3DES = "TLS_RSA_WITH_3DES_EDE_CBC_SHA"
_AES = "TLS_RSA_WITH_AES_128_CBC_SHA"
_NULL = "TLS_RSA_WITH_NULL_SHA"


class Profile(NamedTuple):
    """A secure transport connection profile.

    Attributes:
        title: its name in the standard.
        clause: the clause that defines, or defined, it.
        cipher_suites: for TLS 1.2 and earlier, by IANA's names, the preferred one first.
        versions: the lowest and the highest version of TLS.
        security_level: OpenSSL's, which sets the least key sizes and hashes. 2: RSA and DHE of 2048 bits, elliptic
            curves of 224, no SHA-1 (RFC 9325 4.5; B.11 wants 2048 bits of DHE as well); 1: RSA and DHE of 1024 bits
            (a last resort in RFC 7525 4.4); 0: anything, which OpenSSL needs for TLS 1.0 and 1.1. (Curves below 255
            bits are never agreed on: OpenSSL offers none. B.11 and B.13 want 256, and X25519 has 255.)
        is_extendable: whether cipher suites may be added to it.
    """

    title: str
    clause: str
    cipher_suites: tuple[str, ...]
    versions: tuple[str, str]
    security_level: int
    is_extendable: bool = True

    def objection(self, cipher_suite: str) -> str | None:
        """Why this cipher suite may not be added to the profile; ``None`` if it may."""
        if not self.is_extendable:
            return f"no cipher suites may be added to the {self.title} ({self.clause})"
        if "_NULL_" in cipher_suite and _NULL not in self.cipher_suites:
            return f"it does not encrypt, which the {self.title} ({self.clause}) demands"
        if cipher_suite.endswith("_SHA") and self.cipher_suites == _RECOMMENDED:
            # As DCMTK since 3.6.8. RFC 9325 discourages most of these (4.1, 4.2.1) and SHA-1 in signatures (4.5).
            return f"it authenticates with SHA-1, which the {self.title} ({self.clause}) does not take here"
        return None


DEFAULT_PROFILE = "8996"

PROFILES = {
    "8996": Profile(
        "BCP 195 RFC 8996, 9325 TLS Profile", "PS3.15 B.12", _RECOMMENDED, ("1.2", "1.3"), security_level=2
    ),
    "8996-mod": Profile(
        "Modified BCP 195 RFC 8996, 9325 TLS Profile",
        "PS3.15 B.13",
        (
            "TLS_ECDHE_ECDSA_WITH_AES_128_CCM",
            "TLS_ECDHE_ECDSA_WITH_AES_128_CCM_8",
            *_RECOMMENDED[:2],
            "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
            "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
            "TLS_ECDHE_ECDSA_WITH_AES_256_CCM",
            "TLS_ECDHE_ECDSA_WITH_AES_256_CCM_8",
            *_RECOMMENDED[2:],
        ),
        ("1.2", "1.3"),
        security_level=2,
        is_extendable=False,
    ),
    "bcp195": Profile(
        "BCP 195 TLS Profile", "PS3.15 B.9, retired", (*_FORWARD_SECRET, _AES, _3DES), ("1.0", "1.3"), security_level=0
    ),
    "bcp195-nd": Profile(
        "Non-Downgrading BCP 195 TLS Profile", "PS3.15 B.10, retired", _FORWARD_SECRET, ("1.2", "1.3"), security_level=1
    ),
    "bcp195-ex": Profile(
        "Extended BCP 195 TLS Profile",
        "PS3.15 B.11, retired",
        (*_FORWARD_SECRET, *_RECOMMENDED[3:], *_RECOMMENDED[1:2]),
        ("1.2", "1.2"),
        security_level=2,
        is_extendable=False,
    ),
    "basic": Profile("Basic TLS Profile", "PS3.15 B.1, retired", (_3DES,), ("1.0", "1.2"), security_level=0),
    "aes": Profile("AES TLS Profile", "PS3.15 B.3, retired", (_AES, _3DES), ("1.0", "1.2"), security_level=0),
    "null": Profile(
        "Authenticated Unencrypted Communication", "IHE ATNA, retired", (_NULL,), ("1.0", "1.2"), security_level=0
    ),
}
"""The profiles by the ends of their options' names (``--profile-8996``)."""


def profile_for(cipher_suite: str) -> str:
    """The strictest profile that has, or may get, this cipher suite; the last one takes any."""
    strictest_first = sorted(PROFILES, key=lambda name: PROFILES[name].security_level, reverse=True)
    return next(
        name
        for name in strictest_first
        if cipher_suite in PROFILES[name].cipher_suites or PROFILES[name].objection(cipher_suite) is None
    )


def strength(cipher_suite: str) -> int:
    """The rank of a cipher suite; the strongest, which an acceptor prefers, has the highest (RFC 9325 4.2.1)."""
    return list(CIPHER_SUITES).index(cipher_suite)
