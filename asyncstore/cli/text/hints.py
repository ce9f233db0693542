"""What to do about an error: the rooms below carry facts, and only this module knows the options that help.

Rules:

1. Every option that a hint names exists; a test reads this file for that.
2. A hint is for a person at a command line. Nothing is decided by its text.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from asyncstore import errors

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from asyncstore.errors import AsyncstoreError

_LOG = "Ask the peer's administrator what its log says."
_REJECTED: Mapping[tuple[int, int], str] = {
    (1, 1): _LOG,
    (1, 3): "Register our AE title at the peer, or give one that it knows with -aet.",
    (1, 7): "Give the peer's own AE title with -aec.",
    (2, 1): _LOG,
    (3, 1): "Try again later.",
    (3, 2): "Try again later, or raise the peer's limit.",
}
"""By source and reason of A-ASSOCIATE-RJ (PS3.8 table 9-21)."""

_CHECK_PEER = "Check the host name and the port, that the peer is running, and that no firewall stands between."
_CHECK_NAME = "Check how the host name is written, or give its IP address."
_CHECK_NAME_SERVER = "Check that this machine reaches its name server, or give the host's IP address."

_WRONG_PORT = "Perhaps it speaks TLS on this port (+tls, +tla), refuses this machine's address, or is no DICOM peer."

_PLAIN_PORT = "Perhaps it speaks no TLS on this port, and waits for a plain request."

_TIMEOUTS = {"connect": "-to", "socket": "-ts", "acse": "-ta", "dimse": "-td"}
"""The options that set the fields of :class:`~asyncstore.network.timeouts.Timeouts`."""

_PEER_VIOLATED = "The peer's program or its settings are wrong: tell its administrator. -d shows what was agreed."
_SPEAKS_TLS = "It speaks TLS on this port: use TLS with +tls, or with +tla if it wants no certificate of ours."
_NO_DICOM_PORT = "Check that the port is the peer's DICOM port, not that of a web server or another service."

_NO_ECHO = (
    "It may store nevertheless: scan --peer-check asks which contexts it accepts. Ask its "
    "administrator who may use C-ECHO."
)
_NO_CONFIRMATION = "Peers that do not know user identities confirm none: leave out -rsp to send nevertheless."

_TLS: Mapping[errors.TlsReason, str] = {
    "untrusted": (
        "With +cf, give the certificate of the authority that signed it, or the peer's own if nobody did. -ic takes "
        "any certificate."
    ),
    "not in force": "Its owner has to renew it, unless the clock of this machine is wrong.",
    "no revocation list": "Give the revocation list of each of its issuers with +crl.",
    "revoked": (
        "Its owner has to get a new one. Until then somebody else may be using it. If it was revoked by mistake, its "
        "authority has to publish another list (+crl)."
    ),
    "wrong use": (
        "Its owner needs one whose extended key usage has serverAuth where it accepts, clientAuth where it requests."
    ),
    "wrong host": "Use the host name that it was made for. --no-verify-hostname accepts it nevertheless.",
    "too weak": "A retired profile (+py, +px) takes weaker ones; better is a new certificate.",
    "no certificate of peer": "-vc takes peers that show none, -ic takes any.",
    "no certificate of ours": "Give our private key and certificate with +tls KEY CERTIFICATE.",
    "ours unknown": "The peer has to know our certificate's authority; its log says more.",
    "ours not in force": "Get a new one from its authority, and give it with +tls KEY CERTIFICATE.",
    "plain peer": "Leave out +tls and +tla for plain TCP, or give the port where it speaks TLS.",
    "no common version": (
        "Older peers need a retired profile, as +px with TLS 1.0 and 1.1; newer ones may need the default, +pg, with "
        "1.3. +ph lists them all."
    ),
    "no common cipher suite": (
        "+ph lists the cipher suites of each profile: older peers need those of a retired one (+px, +pa), newer ones "
        "those of the default (+pg). +cs adds a single one."
    ),
    "server name": "--request-sni sends another name, --no-sni sends none.",
    "interrupted": ("Perhaps it speaks no TLS on this port, or does not accept our certificate: its log says more."),
    "peer's alert": "The alert says no more than that: the peer's log does.",
}

_TLS_SETTINGS = {
    "key": "+tls (--enable-tls)",
    "certificate": "+tls (--enable-tls)",
    "trusted": "+cf (--add-cert-file)",
    "trusted_directories": "+cd (--add-cert-dir)",
    "revocation_lists": "+crl (--add-crl-file)",
    "cipher_suites": "+cs (--cipher)",
    "server_name": "--request-sni",
    "dh_parameters": "+dp (--dhparam)",
    "new_seed": "+ws (--write-seed) or +wf (--write-seed-file)",
}
"""The options that set the fields of :class:`~asyncstore.network.tls.TlsOptions`."""

_TLS_MISTAKES: Mapping[errors.TlsMistake, str] = {
    "wrong password": "+pw (--use-passwd) or ASYNCSTORE_USE_PASSWD gives another password.",
    "not DER": "Leave out -der (--der-keys) to read PEM files.",
    "is DER": "-der (--der-keys) reads DER.",
    "no key": "Give both with +tls (--enable-tls) KEY CERTIFICATE.",
    "nothing trusted": (
        "Name the authority's certificate, or the peer's own, with +cf (--add-cert-file) or +cd (--add-cert-dir). "
        "-ic (--ignore-peer-cert) takes any certificate."
    ),
    "unknown cipher suite": "+cc (--list-ciphers) lists the cipher suites.",
}

_CANNOT_LISTEN = {
    "EADDRINUSE": "Another program listens there: end it, or choose another port with --port; 0 takes a free one.",
    "EACCES": "Ports this low are for privileged users: choose another one with --port; 0 takes a free one.",
    "EADDRNOTAVAIL": "No network interface here has this address: --host 0.0.0.0 listens at all of them.",
}
_NO_ADDRESS = "Give an address of this machine with --host, one of IPv4 with -i4 and one of IPv6 with -i6."

REASONS = {
    "a data set without file meta information, which is not asked for": (
        "-f and +f (--read-file) take data sets without file meta information, +fo (--read-file-only) does not."
    ),
    "its file meta information names no transfer syntax": (
        "+f (--read-file) recognises the transfer syntax where none is named, +fo (--read-file-only) does not."
    ),
    "only bare data sets are asked for": (
        "-f takes bare data sets only, +f (--read-file) takes files with file meta information as well."
    ),
    ": it is an archive": (
        "--archives sends the files in archives, and of archives in those. Unpack archives that lie deeper."
    ),
    "a file in an archive, and archives are not opened": "--archives opens them.",
    "the store cannot be reached": (
        "Check the URL and the settings of the store, such as AWS_ENDPOINT_URL, that it is running, and that no "
        "firewall stands between."
    ),
    "the host key of the store": (
        "Compare it with what the administrator of the store says. ssh to that host and port, as this user, adds it to "
        "~/.ssh/known_hosts."
    ),
    "more bytes than so many times its size may be": "--archive-ratio allows more, if you trust the archive.",
    "more bytes than an archive may hold": "--archive-bytes allows more.",
    "more files than an archive may hold": "--archive-files allows more.",
    "larger than a file in an archive may be": "--archive-file-bytes allows larger files.",
    "more bytes than a file may have": "--archive-file-bytes allows larger files.",
    "its data set inflates to more than": "--max-inflated allows larger data sets.",
    "is not in the map": "Add what is missing to the table, or --map-others send sends it as it is.",
    "no presentation context accepted": (
        "Ask the peer's administrator to allow these SOP classes and transfer syntaxes; scan --peer-check lists them."
    ),
    "the SOP class is not among those proposed": "-R, or no -x option at all, proposes the SOP classes of the files.",
}
"""Parts of an outcome's reason, and the options that let such files be sent."""


def hint_of(error: AsyncstoreError) -> str | None:
    """What the user can do about an error, in one line; ``None`` if nothing general can be said.

    Errors that the command line itself raises carry their hint as a note (:meth:`BaseException.add_note`).
    """
    notes: list[str] = getattr(error, "__notes__", [])
    if notes:
        return " ".join(notes)
    for kind, of_kind in _HINTS.items():
        if isinstance(error, kind):
            return of_kind(error)
    return None


def hints_for(reasons: Iterable[str]) -> Iterator[str]:
    """The advice for files that were not sent for these reasons, each once."""
    told = list(reasons)
    for fact, advice in REASONS.items():
        if any(fact in reason for reason in told):
            yield advice


def _connect_failed(error: errors.ConnectFailed) -> str:
    if error.reason == "name not resolved now":
        return _CHECK_NAME_SERVER
    keeps_to = f"-i{error.ip_version} keeps to IPv{error.ip_version}: -i0 takes every address that the host has."
    if error.reason == "other IP version":
        return keeps_to
    check = _CHECK_NAME if error.reason == "name unknown" else _CHECK_PEER
    return check if error.ip_version is None else f"{check} {keeps_to}"


def _rejected(error: errors.AssociationRejected) -> str | None:
    advice = _REJECTED.get((error.source, error.reason))
    return f"{advice} send --wait-for-peer SECONDS waits for it." if advice and error.is_transient else advice


def _timed_out(error: errors.TimedOut) -> str | None:
    advice = []
    if error.timeout is not None:
        advice.append(f"If the peer is only slow, allow it more time with {_TIMEOUTS[error.timeout]}.")
    if error.may_be_wrong_port:
        advice.append(_WRONG_PORT)
    if error.may_be_plain:
        advice.append(_PLAIN_PORT)
    return " ".join(advice) or None


def _violated(error: errors.ProtocolViolation) -> str:
    if error.speaks_dicom:
        return _PEER_VIOLATED
    return _SPEAKS_TLS if error.speaks == "TLS" else _NO_DICOM_PORT


def _tls_setting(error: errors.TlsSettingRefused) -> str | None:
    if error.mistake == "wrong profile":
        return f"--profile-{error.profile} selects that profile."
    if error.mistake is not None:
        return _TLS_MISTAKES[error.mistake]
    option = _TLS_SETTINGS.get(error.setting)
    return None if option is None else f"Check the value of {option}."


def _cannot_listen(error: errors.CannotListen) -> str:
    import errno

    return _CANNOT_LISTEN.get(errno.errorcode.get(error.errno or 0, ""), _NO_ADDRESS)


def _not_writable(error: errors.JournalNotWritable) -> str:
    folder = os.path.dirname(os.path.abspath(error.path))
    if not os.path.isdir(folder):
        return f"There is no folder {folder}: make it, or use another journal."
    return "Let this user write to it and its folder, or use another journal."


def _other_migration(error: errors.OtherMigration) -> str:
    if any(one.fact == "--set" and one.now is None for one in error.differences):
        return "A journal keeps no values of --set: give the whole command again, or keep them in a file for --config."
    if any(one.fact == "--map" and one.recorded and one.now for one in error.differences):
        return "The table has changed. Put the recorded one back, or use another --journal for the new one."
    resume = f"asyncstore resume {error.path} repeats the recorded command."
    if error.may_be_same_peer:
        same = "If it is the same peer, with another address or AE title now, add --peer-moved."
        return f"{same} Otherwise use another --journal. {resume}"
    return f"Use another --journal for this one. {resume}"


def _no_run(error: errors.NoRun) -> str:
    if error.is_held:
        return "Only send takes requests, once it has begun. If it cannot, its log says why."
    return f"asyncstore report {error.path} says what its runs did, asyncstore resume {error.path} goes on."


_HINTS: Mapping[type[AsyncstoreError], Callable[[Any], str | None]] = {
    errors.ConnectFailed: _connect_failed,
    errors.AssociationRejected: _rejected,
    errors.AssociationAborted: lambda _: _LOG,
    errors.LinkLost: lambda error: _WRONG_PORT if error.may_be_wrong_port else None,
    errors.TimedOut: _timed_out,
    errors.ProtocolViolation: _violated,
    errors.TlsFailed: lambda error: _TLS.get(error.reason),
    errors.EchoRefused: lambda _: _NO_ECHO,
    errors.IdentityNotConfirmed: lambda _: _NO_CONFIRMATION,
    errors.TlsSettingRefused: _tls_setting,
    errors.CannotListen: _cannot_listen,
    errors.JournalMissing: lambda _: "send --journal FILE makes a journal.",
    errors.NotAJournal: lambda _: "Give a journal; send --journal and scan --journal make one under a new name.",
    errors.JournalTooNew: lambda _: "Use the newer asyncstore, or begin another journal.",
    errors.JournalNotReadable: lambda _: "Let this user read it, or give another journal.",
    errors.JournalNotWritable: _not_writable,
    errors.JournalDamaged: lambda error: (
        f"asyncstore report --salvage FILE {error.path} reads what can be read of it into a new journal."
    ),
    errors.JournalOnNetwork: lambda _: (
        "Put it on a disk of this machine. --journal-on-network uses it there, if no other machine does."
    ),
    errors.JournalInUse: lambda _: "Wait for the end of that run, or use another journal.",
    errors.OtherMigration: _other_migration,
    errors.JournalWriteFailed: lambda error: (
        f"{'Make room there' if error.is_full else 'Mend that'}, then give the same command again."
    ),
    errors.JournalRemoved: lambda _: (
        "Put it back and give the same command again. Without it another journal sends everything again."
    ),
    errors.NoRun: _no_run,
    errors.ControlDenied: lambda error: (
        "Ask as root, or as the user who started the run" + (f": sudo -u {error.owner}." if error.owner else ".")
    ),
    errors.NoThread: lambda _: "Use fewer --associations, or raise the limit of this user, container or service.",
    errors.NoTemporaryFolder: lambda _: "Set TMPDIR to a folder that can be written to.",
}
