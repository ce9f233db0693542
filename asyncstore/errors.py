"""Every error asyncstore raises to its callers: one tree, each error carrying facts rather than sentences to be parsed.

Rules:

1. Whatever goes wrong with input, peers or options is raised as a subclass of :class:`AsyncstoreError`. Errors of other
   libraries are translated where they are met.
2. ``str(error)`` is one line for a person: with whom or which file, what, why. What to do next is in
   :attr:`~AsyncstoreError.hint`.
3. ``is_transient`` tells whether the same thing may succeed when it is tried again later with nothing changed.
"""

from __future__ import annotations


class AsyncstoreError(Exception):
    """The root of the tree."""

    hint: str | None = None
    """What the user can do about it, as one sentence; ``None`` where nothing general can be said."""

    @property
    def is_transient(self) -> bool:
        """Whether trying again later, with nothing changed, may succeed."""
        return False


class UsageError(AsyncstoreError):
    """Something was asked for that cannot be: an unknown option, a value out of range, an excluded combination."""


class RequestTooLong(UsageError):
    """What is to be negotiated beyond presentation contexts does not fit into an A-ASSOCIATE-RQ (PS3.8 9.3.2.3).

    Attributes:
        excess: by how many bytes.
    """

    def __init__(self, excess: int) -> None:
        super().__init__(
            f"user identity and extended negotiation are {excess} bytes longer than an association request has room for"
        )
        self.excess = excess


class ReadFailed(AsyncstoreError):
    """What a command was given to read cannot be read: a file that was named, or a list of names to its end."""


class WriteFailed(AsyncstoreError):
    """What a command has to tell cannot be written to its end, to a file or to standard output."""


class PrepareError(AsyncstoreError):
    """The process pool that prepares files cannot work at all (a single bad file is an outcome, not this error)."""


class AssociationError(AsyncstoreError):
    """Whatever ends an association, or keeps it from beginning.

    Attributes:
        peer: the other side, as ``host:port``.
        problem: what happened, without the peer.
    """

    def __init__(self, peer: str, problem: str) -> None:
        super().__init__(f"{peer}: {problem}")
        self.peer = peer
        self.problem = problem


class ConnectFailed(AssociationError):
    """No TCP connection: name not found, refused, unreachable, or no answer in time.

    Attributes:
        cause: the reason in words.
    """

    hint = "Check the host name and the port, that the peer is running, and that no firewall stands between."

    def __init__(self, peer: str, cause: str, hint: str | None = None) -> None:
        super().__init__(peer, f"cannot connect: {cause}")
        self.cause = cause
        self.hint = hint or self.hint

    @property
    def is_transient(self) -> bool:
        """A peer that restarts refuses connections for a while."""
        return True


_REJECT_TRANSIENT = 2
_REJECT_REASONS: dict[tuple[int, int], tuple[str, str | None]] = {
    (1, 1): ("no reason given", "Ask the peer's administrator what its log says."),
    (1, 2): ("application context name not supported", None),
    (1, 3): ("calling AE title not recognized", "Register our AE title at the peer, or give one it knows with -aet."),
    (1, 7): ("called AE title not recognized", "Give the peer's own AE title with -aec."),
    (2, 1): ("no reason given by its ACSE", "Ask the peer's administrator what its log says."),
    (2, 2): ("protocol version not supported", None),
    (3, 1): ("temporary congestion", "Try again later, or with fewer --associations."),
    (3, 2): ("local limit exceeded", "Use fewer --associations, or raise the peer's limit."),
}
"""PS3.8 table 9-21: (source, reason/diag.) of A-ASSOCIATE-RJ, in words, and what its receiver can do."""


class AssociationRejected(AssociationError):
    """The peer answered with A-ASSOCIATE-RJ (PS3.8 9.3.4).

    Attributes:
        result: 1 rejected-permanent, 2 rejected-transient.
        source: 1 service-user, 2 service-provider (ACSE), 3 service-provider (presentation).
        reason: the reason/diag. byte, whose meaning depends on ``source`` (PS3.8 table 9-21).
    """

    def __init__(self, peer: str, result: int, source: int, reason: int) -> None:
        words, hint = _REJECT_REASONS.get((source, reason), (f"source {source}, reason {reason}", None))
        kind = "for now" if result == _REJECT_TRANSIENT else "permanently"
        super().__init__(peer, f"the association was rejected {kind}: {words}")
        self.hint = hint
        self.result = result
        self.source = source
        self.reason = reason

    @property
    def is_transient(self) -> bool:
        """Result 2 is rejected-transient; all else is permanent (PS3.8 table 9-21)."""
        return self.result == _REJECT_TRANSIENT


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

    def __init__(self, peer: str, source: int, reason: int, outstanding: int = 0) -> None:
        words = _ABORT_REASONS.get(reason, f"reason {reason}") if source == _ABORT_BY_PROVIDER else "by its application"
        super().__init__(peer, f"the peer aborted the association ({words})")
        self.source = source
        self.reason = reason
        self.outstanding = outstanding

    @property
    def is_transient(self) -> bool:
        """An abort tells nothing of the next association."""
        return True


class AbortedHere(AssociationError):
    """This side aborted the association: it was told to, or could not complete a request.

    Attributes:
        cause: the reason in words.
    """

    def __init__(self, peer: str, cause: str) -> None:
        super().__init__(peer, f"the association was aborted on this side: {cause}")
        self.cause = cause

    @property
    def is_transient(self) -> bool:
        """The peer is not to blame."""
        return True


class AssociationReleased(AssociationError):
    """The peer asked to release the association while it was still needed (PS3.8 9.3.6)."""

    def __init__(self, peer: str) -> None:
        super().__init__(peer, "the peer released the association")

    @property
    def is_transient(self) -> bool:
        """Peers do this when they restart or when an association gets too old for them."""
        return True


class LinkLost(AssociationError):
    """The TCP connection ended or broke without release or abort.

    Attributes:
        cause: the reason in words.
    """

    def __init__(self, peer: str, cause: str) -> None:
        super().__init__(peer, f"the connection was lost: {cause}")
        self.cause = cause

    @property
    def is_transient(self) -> bool:
        """Networks recover."""
        return True


class TlsFailed(AssociationError):
    """No TLS session came about, or one ended by a fatal alert (RFC 8446 6.2).

    Attributes:
        cause: the reason in words.
    """

    def __init__(self, peer: str, cause: str, hint: str | None = None) -> None:
        super().__init__(peer, f"TLS: {cause}")
        self.cause = cause
        self.hint = hint


class PeerCertificateRefused(TlsFailed):
    """This side does not take the peer's certificate.

    Attributes:
        code: OpenSSL's number for the reason (X509_V_ERR_...); ``None`` where OpenSSL had none.
    """

    def __init__(self, peer: str, cause: str, hint: str | None = None, code: int | None = None) -> None:
        super().__init__(peer, cause, hint)
        self.code = code


class OurCertificateRefused(TlsFailed):
    """The peer wants a certificate of ours and got none, or does not take the one it got."""


class NoCommonTls(TlsFailed):
    """Both sides speak TLS, but share no protocol version or no cipher suite."""


class NotTls(TlsFailed):
    """The peer does not speak TLS at all."""


class TlsInterrupted(TlsFailed):
    """The peer closed the connection in the middle of the handshake, without an alert."""

    @property
    def is_transient(self) -> bool:
        """Peers that restart, or have too many associations, do this too."""
        return True


class TimedOut(AssociationError):
    """The peer did not do something in the time it had.

    Attributes:
        awaited: what was awaited, in words.
        seconds: how long it was awaited.

    Args:
        option: what sets this time; ``None``: nothing does.
    """

    def __init__(self, peer: str, awaited: str, seconds: float, option: str | None = None) -> None:
        super().__init__(peer, f"no {awaited} within {seconds:g} s")
        if option is not None:
            self.hint = f"If the peer is only slow, allow it more time with {option}."
        self.awaited = awaited
        self.seconds = seconds

    @property
    def is_transient(self) -> bool:
        """It may be faster next time."""
        return True


class ProtocolViolation(AssociationError):
    """The peer sent what the standard does not allow, or something that is not DICOM at all.

    Args:
        speaks_dicom: whether it has answered an A-ASSOCIATE-RQ as a DICOM peer does, so that the port is the right one.

    Attributes:
        violation: what it sent, in words.
        speaks: the protocol that it speaks instead, ``"TLS"`` or ``"HTTP"``, where its bytes tell.
    """

    def __init__(self, peer: str, violation: str, *, speaks_dicom: bool = False, speaks: str | None = None) -> None:
        super().__init__(peer, f"the peer broke the DICOM protocol: {violation}")
        self.violation = violation
        self.speaks = speaks
        if speaks_dicom:
            self.hint = (
                "That is a mistake in the peer's program or its settings: tell its administrator; -d shows what was "
                "agreed."
            )
        elif speaks == "TLS":
            self.hint = (
                "It speaks TLS on this port: use TLS with +tls, or with +tla if it wants no certificate of ours."
            )
        else:
            self.hint = "Check that the port is the peer's DICOM port, not its web server's."


class EchoRefused(AssociationError):
    """The peer accepted the association, but answers no C-ECHO with success, which it need not do.

    Attributes:
        refusal: what it said, in words.
    """

    hint = (
        "It may store all the same: scan --peer-check asks which contexts it accepts, and send sends. Whom it answers "
        "C-ECHO is for its administrator to say."
    )

    def __init__(self, peer: str, refusal: str) -> None:
        super().__init__(peer, f"the peer does not answer C-ECHO with success: {refusal}")
        self.refusal = refusal


class IdentityNotConfirmed(AssociationError):
    """The peer accepted the association without the confirmation of our user identity that was asked for."""

    hint = "Peers that do not know user identities confirm none: leave out -rsp to send all the same."

    def __init__(self, peer: str) -> None:
        super().__init__(peer, "the peer did not confirm our user identity")


class InvalidPdu(AsyncstoreError):
    """Bytes that are not what PS3.8 or PS3.7 allow.

    The network room, which knows the peer, turns it into :class:`ProtocolViolation`.

    Attributes:
        violation: what is wrong, in words.
        reason: the reason/diag. byte of the A-ABORT it calls for (PS3.8 table 9-26).
        speaks: the protocol that the peer speaks instead, ``"TLS"`` or ``"HTTP"``, where its bytes tell.
    """

    def __init__(self, violation: str, reason: int, speaks: str | None = None) -> None:
        super().__init__(violation)
        self.violation = violation
        self.reason = reason
        self.speaks = speaks
