"""Every error that asyncstore raises to its callers: one tree. Each error carries facts as attributes.

Rules:

1. Every problem with input, peers or options is raised as a subclass of :class:`AsyncstoreError`. Errors of other
   libraries are translated where they are met.
2. ``str(error)`` is one line for a person: which peer or file, what happened, why. It names no option of the command
   line, which adds its advice itself: it reads the error's class and attributes.
3. ``is_transient`` tells whether the same attempt may succeed later, with nothing changed.
4. Kinds of reasons are texts of a ``Literal``: every command imports this module, and making
   an enumeration takes 0.1 ms and 20 µs more a member.
"""

from __future__ import annotations

from typing import Any, Literal

from asyncstore.named_tuple import NamedTuple


class AsyncstoreError(Exception):
    """The root of the tree."""

    is_transient: bool = False
    """Whether the same attempt may succeed later, with nothing changed."""

    def __reduce__(self) -> tuple[Any, ...]:
        """It is copied and pickled with its facts: most classes take them instead of the text."""
        return Exception.__new__, (type(self), *self.args), self.__dict__


class UsageError(AsyncstoreError):
    """A request that cannot be carried out: an unknown option, a value out of range, an excluded combination."""


TlsMistake = Literal[
    "wrong password",
    "not DER",  # the file is a PEM file, and DER was asked for
    "is DER",  # the file looks like DER, and PEM was asked for
    "no key",
    "nothing trusted",
    "unknown cipher suite",
    "wrong profile",  # the security profile does not allow the cipher suite; another one does
]
"""Mistakes in settings of TLS for which there is more to say than what is wrong."""


class TlsSettingRefused(UsageError):
    """A setting of TLS cannot be used.

    Attributes:
        setting: the field of :class:`~asyncstore.network.tls.TlsOptions`.
        value: what it holds: a file, a directory or a name; ``None`` if it holds nothing.
        problem: what is wrong with it, in words.
        mistake: the kind of problem, if it is one of these.
        profile: the security profile that allows the cipher suite.
    """

    _NAMES: dict[str, str] = {  # noqa: RUF012 - it is never changed
        "key": "private key",
        "certificate": "certificate",
        "trusted": "trusted certificate",
        "trusted_directories": "directory of trusted certificates",
        "revocation_lists": "revocation list",
        "profile": "security profile",
        "cipher_suites": "cipher suite",
        "server_name": "server name",
        "dh_parameters": "Diffie-Hellman parameters",
        "seed": "seed",
        "new_seed": "new seed",
    }

    def __init__(
        self,
        setting: str,
        value: str | None,
        problem: str,
        mistake: TlsMistake | None = None,
        profile: str | None = None,
    ) -> None:
        subject = "TLS" if value is None else f"{self._NAMES[setting]} {value}"
        super().__init__(f"{subject}: {problem}")
        self.setting = setting
        self.value = value
        self.problem = problem
        self.mistake = mistake
        self.profile = profile


class CannotListen(UsageError):
    """An address where something should listen cannot be used.

    Attributes:
        address: the address, as ``host:port``.
        cause: the reason in words.
        errno: the system's number of the reason; ``None`` if it gave none.
    """

    def __init__(self, address: str, cause: str, errno: int | None = None) -> None:
        super().__init__(f"cannot listen at {address}: {cause}")
        self.address = address
        self.cause = cause
        self.errno = errno


class RequestTooLong(UsageError):
    """User identity and extended negotiation do not fit into an A-ASSOCIATE-RQ (PS3.8 9.3.2.3).

    Attributes:
        excess: by how many bytes.
    """

    def __init__(self, excess: int) -> None:
        super().__init__(
            f"user identity and extended negotiation are {excess} bytes longer than an association request has room for"
        )
        self.excess = excess


class ReadFailed(AsyncstoreError):
    """A file that was named does not exist, or a list of names cannot be read to its end."""


class WriteFailed(AsyncstoreError):
    """The output of a command cannot be written to its end, to a file or to standard output."""


class JournalError(AsyncstoreError):
    """A journal cannot be used, or can no longer be written.

    Attributes:
        path: the journal.
        problem: what is wrong, without the path.
    """

    def __init__(self, path: str, problem: str) -> None:
        super().__init__(f"journal {path}: {problem}")
        self.path = path
        self.problem = problem


class JournalMissing(JournalError):
    """There is no such file."""

    def __init__(self, path: str) -> None:
        super().__init__(path, "no such file")


class NotAJournal(JournalError):
    """The file is no journal: a directory, no database, or a database of another program."""


class JournalTooNew(JournalError):
    """A newer asyncstore made the journal.

    Attributes:
        version: the version of its tables.
        known: the newest version that this asyncstore knows.
    """

    def __init__(self, path: str, version: int, known: int) -> None:
        super().__init__(path, f"a newer asyncstore made it: its tables have version {version}, and {known} is known")
        self.version = version
        self.known = known


class JournalFault(JournalError):
    """Something is wrong with the journal, for a reason that the system or SQLite gives.

    Attributes:
        cause: the reason in words.
    """

    _fault: str

    def __init__(self, path: str, cause: str) -> None:
        super().__init__(path, f"{self._fault}: {cause}")
        self.cause = cause


class JournalNotReadable(JournalFault):
    """The journal may not be read."""

    _fault = "it cannot be read"


class JournalNotWritable(JournalFault):
    """The journal, or the directory in which it lies, cannot be written to."""

    _fault = "it cannot be written to"


class JournalDamaged(JournalFault):
    """The journal is truncated, or its contents contradict each other."""

    _fault = "it is damaged"


class JournalOnNetwork(JournalError):
    """The journal lies on a network file system, where locks and shared memory cannot be relied on.

    Attributes:
        file_system: its type, such as ``nfs4``.
    """

    def __init__(self, path: str, file_system: str) -> None:
        super().__init__(path, f"it lies on a network file system ({file_system})")
        self.file_system = file_system


class JournalInUse(JournalError):
    """Another run writes to the journal.

    Attributes:
        pid: the number of its process, if it is known.
    """

    def __init__(self, path: str, pid: int | None = None) -> None:
        super().__init__(path, "another run writes to it" + (f" (process {pid})" if pid else ""))
        self.pid = pid


class Difference(NamedTuple):
    """A fact that two migrations do not share; ``None``: one of them lacks it."""

    fact: str
    """Its name in words."""
    recorded: str | None
    now: str | None

    def __str__(self) -> str:
        recorded, now = ("nothing" if value is None else value for value in (self.recorded, self.now))
        return f"{self.fact}: recorded {recorded}, now {now}"


ADDRESS = frozenset(("host", "port", "calling AE title", "called AE title"))
"""The facts of a migration that say where its peer is, and under which AE titles."""


class OtherMigration(JournalError):
    """The journal belongs to a migration with another peer, other AE titles or other changes to the data sets.

    Attributes:
        differences: the facts that differ.
    """

    def __init__(self, path: str, differences: tuple[Difference, ...]) -> None:
        super().__init__(path, f"it belongs to another migration ({'; '.join(map(str, differences))})")
        self.differences = differences

    @property
    def may_be_same_peer(self) -> bool:
        """Whether only the address or the AE titles differ: the peer may have moved."""
        return all(one.fact in ADDRESS for one in self.differences)


class JournalWriteFailed(JournalFault):
    """The journal could not be written any more: the disk is full, or an I/O error. Nothing is committed after that.

    Attributes:
        is_full: whether there is no space left.
    """

    _fault = "it could not be written"

    def __init__(self, path: str, cause: str, *, is_full: bool = False) -> None:
        super().__init__(path, cause)
        self.is_full = is_full


class JournalRemoved(JournalError):
    """Another program removed, renamed or replaced the journal while a run wrote to it."""

    def __init__(self, path: str) -> None:
        super().__init__(path, "it was removed or replaced during the run")


class ControlError(AsyncstoreError):
    """A run cannot be steered.

    Attributes:
        path: its journal, or the socket beside it.
        problem: what is wrong, without the path.
    """

    def __init__(self, path: str, problem: str) -> None:
        super().__init__(f"{path}: {problem}")
        self.path = path
        self.problem = problem


class NoRun(ControlError):
    """No run that could be steered writes to the journal.

    Attributes:
        is_held: whether there is one that cannot be steered.
    """

    def __init__(self, path: str, *, is_held: bool) -> None:
        held = "the run that writes to this journal takes no requests"
        super().__init__(path, held if is_held else "no run writes to this journal now")
        self.is_held = is_held


class ControlDenied(ControlError):
    """The run belongs to another user.

    Attributes:
        owner: the user's name or number, if it is known.
    """

    def __init__(self, path: str, owner: str | None) -> None:
        super().__init__(path, f"the run belongs to {'another user' if owner is None else f'the user {owner}'}")
        self.owner = owner


class ControlFailed(ControlError):
    """The control socket cannot be made, or a run does not answer."""


class PrepareError(AsyncstoreError):
    """Files cannot be read or prepared at all (a single bad file is an outcome, not this error)."""


class NoThread(PrepareError):
    """The system lets this process start no more threads."""

    def __init__(self) -> None:
        super().__init__("no thread can be started: there are too many processes and threads, or memory is short")


class NoTemporaryFolder(PrepareError):
    """No folder for temporary files can be written to, so that no data set can be converted.

    Attributes:
        cause: the reason in words.
    """

    def __init__(self, cause: str) -> None:
        super().__init__(f"there is no temporary folder for converted data sets: {cause}")
        self.cause = cause


class AssociationError(AsyncstoreError):
    """An association ended early, or could not begin.

    Attributes:
        peer: the other side, as ``host:port``.
        problem: what happened, without the peer.
    """

    def __init__(self, peer: str, problem: str) -> None:
        super().__init__(f"{peer}: {problem}")
        self.peer = peer
        self.problem = problem


ConnectProblem = Literal[
    "no answer",  # no address of the host accepted a connection
    "name unknown",
    "name not resolved now",  # the name server did not answer, or said that it cannot answer now
    "other IP version",  # the host is an IP address of another version than the one to use
]
"""Why there is no TCP connection, as far as the advice differs."""


class ConnectFailed(AssociationError):
    """No TCP connection: name not found, refused, unreachable, or no answer in time.

    Attributes:
        cause: the reason in words.
        reason: which kind of reason it is.
        ip_version: 4 or 6 if only addresses of this version were tried.
    """

    is_transient = True  # a peer that restarts refuses connections for a while

    def __init__(
        self,
        peer: str,
        cause: str,
        reason: ConnectProblem = "no answer",
        ip_version: int | None = None,
    ) -> None:
        super().__init__(peer, f"cannot connect: {cause}")
        self.cause = cause
        self.reason = reason
        self.ip_version = ip_version


_REJECT_TRANSIENT = 2
_REJECT_REASONS: dict[tuple[int, int], str] = {
    (1, 1): "no reason given",
    (1, 2): "application context name not supported",
    (1, 3): "calling AE title not recognized",
    (1, 7): "called AE title not recognized",
    (2, 1): "no reason given by its ACSE",
    (2, 2): "protocol version not supported",
    (3, 1): "temporary congestion",
    (3, 2): "local limit exceeded",
}
"""PS3.8 table 9-21: (source, reason/diag.) of A-ASSOCIATE-RJ, in words."""


class AssociationRejected(AssociationError):
    """The peer answered with A-ASSOCIATE-RJ (PS3.8 9.3.4).

    Attributes:
        result: 1 rejected-permanent, 2 rejected-transient.
        source: 1 service-user, 2 service-provider (ACSE), 3 service-provider (presentation).
        reason: the reason/diag. byte, whose meaning depends on ``source`` (PS3.8 table 9-21).
    """

    def __init__(self, peer: str, result: int, source: int, reason: int) -> None:
        words = _REJECT_REASONS.get((source, reason), f"source {source}, reason {reason}")
        kind = "for now" if result == _REJECT_TRANSIENT else "permanently"
        super().__init__(peer, f"the association was rejected {kind}: {words}")
        self.result = result
        self.source = source
        self.reason = reason
        self.is_transient = result == _REJECT_TRANSIENT


_ABORT_REASONS = {
    0: "reason not specified",
    1: "unrecognized PDU",
    2: "unexpected PDU",
    4: "unrecognized PDU parameter",
    5: "unexpected PDU parameter",
    6: "invalid PDU parameter value",
}
"""PS3.8 table 9-26, for source 2 (service-provider)."""

_ABORT_BY_PROVIDER = 2


class AssociationAborted(AssociationError):
    """The peer sent A-ABORT (PS3.8 9.3.8).

    Attributes:
        source: 0 the service-user, 2 the service-provider.
        reason: the reason/diag. byte; it has a meaning for source 2 only.
        outstanding: the requests that had begun and were not answered.
    """

    is_transient = True  # the next association may well succeed

    def __init__(self, peer: str, source: int, reason: int, outstanding: int = 0) -> None:
        words = _ABORT_REASONS.get(reason, f"reason {reason}") if source == _ABORT_BY_PROVIDER else "by its application"
        super().__init__(peer, f"the peer aborted the association ({words})")
        self.source = source
        self.reason = reason
        self.outstanding = outstanding


class AbortedHere(AssociationError):
    """This side aborted the association: its caller asked for that, or it could not complete a request.

    Attributes:
        cause: the reason in words.
    """

    is_transient = True  # the peer is not to blame

    def __init__(self, peer: str, cause: str) -> None:
        super().__init__(peer, f"the association was aborted on this side: {cause}")
        self.cause = cause


class AssociationReleased(AssociationError):
    """The peer asked to release the association while it was still needed (PS3.8 9.3.6)."""

    is_transient = True  # peers do this when they restart or when an association gets too old for them

    def __init__(self, peer: str) -> None:
        super().__init__(peer, "the peer released the association")


class LinkLost(AssociationError):
    """The TCP connection ended or broke without release or abort.

    Attributes:
        cause: the reason in words.
        may_be_wrong_port: whether the peer had not yet answered as a DICOM peer, over plain TCP.
    """

    is_transient = True  # networks recover

    def __init__(self, peer: str, cause: str, *, may_be_wrong_port: bool = False) -> None:
        super().__init__(peer, f"the connection was lost: {cause}")
        self.cause = cause
        self.may_be_wrong_port = may_be_wrong_port


TlsReason = Literal[
    "untrusted",  # this side does not know the issuer of the peer's certificate
    "not in force",  # the peer's certificate has expired, or is not valid yet
    "no revocation list",  # that of the issuer is missing, has expired, or is not valid yet
    "revoked",
    "wrong use",  # the extended key usage of the peer's certificate does not allow this use
    "wrong host",
    "too weak",  # the key or the signature of the peer's certificate, for the security profile
    "no certificate of peer",
    "no certificate of ours",
    "ours unknown",  # the peer does not know or does not accept our certificate
    "ours not in force",  # the peer says that our certificate has expired or is revoked
    "plain peer",  # it does not speak TLS
    "no common version",
    "no common cipher suite",
    "server name",  # it cannot be sent, or the peer does not know it
    "interrupted",  # the connection ended during the handshake
    "peer's alert",  # one that says none of these
]
"""Why TLS failed, as far as the advice differs."""


class TlsFailed(AssociationError):
    """No TLS session came about, or one ended by a fatal alert (RFC 8446 6.2).

    Attributes:
        cause: the reason in words.
        reason: which kind of reason it is, if it is one of these.
    """

    def __init__(self, peer: str, cause: str, reason: TlsReason | None = None) -> None:
        super().__init__(peer, f"TLS: {cause}")
        self.cause = cause
        self.reason = reason


class PeerCertificateRefused(TlsFailed):
    """This side does not accept the peer's certificate.

    Attributes:
        code: OpenSSL's number for the reason (X509_V_ERR_...); ``None`` if OpenSSL gave none.
    """

    def __init__(self, peer: str, cause: str, reason: TlsReason | None = None, code: int | None = None) -> None:
        super().__init__(peer, cause, reason)
        self.code = code


class OurCertificateRefused(TlsFailed):
    """The peer wants a certificate of ours and got none, or does not accept the one it got."""


class NoCommonTls(TlsFailed):
    """Both sides speak TLS, but share no protocol version or no cipher suite."""


class NotTls(TlsFailed):
    """The peer does not speak TLS at all."""


class TlsInterrupted(TlsFailed):
    """The peer closed the connection in the middle of the handshake, without an alert."""

    is_transient = True  # peers that restart, or have too many associations, do this too


class TimedOut(AssociationError):
    """The peer did not do something in the time it had.

    Attributes:
        awaited: what was awaited, in words.
        seconds: how long it was awaited.
        timeout: the field of :class:`~asyncstore.network.timeouts.Timeouts` that set this time; ``None``: the time is
            fixed.
        may_be_wrong_port: whether the peer had not yet answered as a DICOM peer, over plain TCP.
        may_be_plain: whether the peer had not yet answered in TLS: without TLS it may wait for the rest of a PDU.
    """

    is_transient = True  # it may be faster next time

    def __init__(
        self,
        peer: str,
        awaited: str,
        seconds: float,
        timeout: Literal["connect", "socket", "acse", "dimse"] | None = None,
        *,
        may_be_wrong_port: bool = False,
        may_be_plain: bool = False,
    ) -> None:
        super().__init__(peer, f"no {awaited} within {seconds:g} s")
        self.awaited = awaited
        self.seconds = seconds
        self.timeout = timeout
        self.may_be_wrong_port = may_be_wrong_port
        self.may_be_plain = may_be_plain


class ProtocolViolation(AssociationError):
    """The peer sent something that the standard does not allow, or that is not DICOM at all.

    Attributes:
        violation: what it sent, in words.
        speaks_dicom: whether it had answered an A-ASSOCIATE-RQ as a DICOM peer does, so that the port is right.
        speaks: the protocol that it speaks instead, ``"TLS"`` or ``"HTTP"``, if its bytes show that.
    """

    def __init__(self, peer: str, violation: str, *, speaks_dicom: bool = False, speaks: str | None = None) -> None:
        super().__init__(peer, f"the peer broke the DICOM protocol: {violation}")
        self.violation = violation
        self.speaks_dicom = speaks_dicom
        self.speaks = speaks


class EchoRefused(AssociationError):
    """The peer accepted the association, but does not answer C-ECHO with success. It may store all the same.

    Attributes:
        refusal: what it answered, in words.
    """

    def __init__(self, peer: str, refusal: str) -> None:
        super().__init__(peer, f"the peer does not answer C-ECHO with success: {refusal}")
        self.refusal = refusal


class IdentityNotConfirmed(AssociationError):
    """The peer accepted the association, but did not confirm our user identity, although a response was requested."""

    def __init__(self, peer: str) -> None:
        super().__init__(peer, "the peer did not confirm our user identity")


class InvalidPdu(AsyncstoreError):
    """Bytes that PS3.8 or PS3.7 do not allow.

    The network room, which knows the peer, turns it into :class:`ProtocolViolation`.

    Attributes:
        violation: what is wrong, in words.
        reason: the reason/diag. byte of the A-ABORT it calls for (PS3.8 table 9-26).
        speaks: the protocol that the peer speaks instead, ``"TLS"`` or ``"HTTP"``, if its bytes show that.
    """

    def __init__(self, violation: str, reason: int, speaks: str | None = None) -> None:
        super().__init__(violation)
        self.violation = violation
        self.reason = reason
        self.speaks = speaks
