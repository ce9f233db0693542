"""The values that travel between the stages, one frozen type a stage.

    SourceFile --> Instance = Identity + Payload --> Outcome = SourceFile + Identity + Attempt

Data sets travel in memory as :class:`Buffer` and :class:`Piece`. Observers sample :class:`Progress` and :class:`Lane`.
:class:`PairAnswer` is a peer's answer where nothing is sent. Frozen values are named tuples, because there are
millions of them: a named tuple costs a third of a frozen dataclass. Paths are ``str`` with undecodable bytes as
surrogates (:func:`os.fsdecode`), so ``os.fsencode`` gives back exactly the name of the file.

Properties of composed types pass on the fields of their parts. They take ten times as long as a field: code that runs
for every instance reads the fields.

Instances name their transfer syntax by its UID; the four without compressed pixel data have names here.
"""

from __future__ import annotations

from enum import IntFlag, StrEnum
from typing import TYPE_CHECKING, Final, Protocol

from asyncstore.named_tuple import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Self

    from asyncstore.errors import AssociationError


IMPLICIT_VR_LITTLE_ENDIAN = "1.2.840.10008.1.2"
"""The default transfer syntax of DICOM (PS3.5 10.1)."""
EXPLICIT_VR_LITTLE_ENDIAN = "1.2.840.10008.1.2.1"
EXPLICIT_VR_BIG_ENDIAN = "1.2.840.10008.1.2.2"
"""Retired."""
DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN = "1.2.840.10008.1.2.1.99"
"""The whole data set is deflated (PS3.5 A.5)."""


class Result(StrEnum):
    """How one file ended."""

    STORED = "stored"
    """The SCP answered success."""
    WARNING = "warning"
    """The SCP stored it and answered a warning status (Bxxx, 0001, 0107 or 0116, PS3.7 C.4)."""
    FAILED = "failed"
    """The SCP answered a failure."""
    NOT_SENT = "not_sent"
    """It never reached the SCP as a whole: not DICOM, unreadable, no accepted context, or the run ended before."""
    UNKNOWN = "unknown"
    """The association ended between its first byte and the response: the SCP may hold it or not."""
    SKIPPED = "skipped"
    """The journal says that the SCP holds it already, or another file with the same bytes."""


class SourceFile(NamedTuple):
    """A file that the walk found and nobody has read yet.

    The ordinal is its place in the order of delivery, from 1. Files that cannot be sent have one as well, and a file
    that is delivered twice has two. Every later stage keeps its source file, and everything that asks for order
    compares ordinals: halting, giving back, invented identities. (Those count instances alone: see
    :meth:`asyncstore.prepare.converter.Converter.pass_over`.) 0 stands for none.
    """

    path: str
    ordinal: int = 0


class Reason(str):
    """Why a file is not stored: one readable clause and its parts, the most general first.

    Any other text is divided at its colons: ``cannot be opened: Permission denied``.
    """

    __slots__ = ("parts",)

    def __new__(cls, text: str, *parts: str) -> Self:
        """Make a text with these parts; the first is the kind of reason."""
        reason = super().__new__(cls, text)
        reason.parts = parts
        return reason

    parts: tuple[str, ...]


class Head(NamedTuple):
    """The study, series and patient of an instance, as its data set names them; empty: it does not."""

    study_instance_uid: str = ""
    series_instance_uid: str = ""
    patient_id: bytes = b""
    """As it is encoded: it is compared and never shown."""
    study_date: str = ""
    """``YYYYMMDD``."""
    modality: str = ""


class Details(NamedTuple):
    """Facts about a file that are read only if the run asks for them: a journal records them."""

    size: int
    """Of the file, in bytes."""
    mtime: int
    """When the file was modified, in nanoseconds of Unix time."""
    head: Head = Head()


class Unsendable(NamedTuple):
    """A file that will not be sent, and why: one readable clause without the path.

    Files are grouped by what their reasons have in common, as :class:`Reason` says.
    """

    file: SourceFile
    reason: str
    details: Details | None = None
    has_changed: bool = False
    """Whether the file is another one than the walk found: it may be sent if it is probed again."""

    @property
    def path(self) -> str:
        """The path of the file."""
        return self.file.path

    @property
    def ordinal(self) -> int:
        """The ordinal of the file."""
        return self.file.ordinal


class Oddity(IntFlag):
    """Oddities that do not keep an instance from being sent."""

    ODD_VALUES = 1
    """It has values of odd length (PS3.5 7.1.1): it is rewritten with padding before it is sent."""
    UNUSUAL_UID = 2
    """One of its UIDs has characters other than digits and dots (PS3.5 9.1)."""
    EDITED_LATER = 4
    """Its data set has not been edited yet, although its identity has: editing it rewrites it as a whole."""
    TAIL_DROPPED = 8
    """Mended: bytes behind its last element are not sent."""
    ITEMS_ENDED = 16
    """Mended: ends of items are missing; it is rewritten with them."""
    UIDS_ADDED = 32
    """Mended: its data set lacks SOP class or instance UID; it is rewritten with those of file meta information."""
    META_COMPLETED = 64
    """Mended: its file meta information lacks a UID, and the data set has it or shows it."""


REPAIRS = int(Oddity.TAIL_DROPPED | Oddity.ITEMS_ENDED | Oddity.UIDS_ADDED | Oddity.META_COMPLETED)
"""The flags of what was mended."""


FileVersion = tuple[int, ...]
"""Device, inode, and the times of the last modification and change in nanoseconds (fstat(2)); then, if a data set does
not end with its container, the size of that. A later read must find the file that was probed, unchanged. Empty: a file
of ours, which may be growing. A plain tuple, because it travels between processes."""


class Identity(NamedTuple):
    """Who a SOP instance is, and how it is encoded; of edited instances, as it is sent."""

    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str


class Payload(NamedTuple):
    """Where a data set lies: in memory, or in a part of a container."""

    container: str
    """The path of a file: the instance's own, that of its archive, or that of a converted data set."""
    offset: int
    """Bytes of the container before the data set: preamble, file meta information, and what else an archive holds."""
    length: int
    """Bytes of the data set."""
    version: FileVersion | None = None
    """The version of the container, if the data set must still be read from it; ``None``: any."""
    data: bytes | None = None
    """The data set itself, if it is in memory: of small files and of conversions."""
    head: bytes = b""
    """The first bytes of the data set, if they are not in the container: of edited instances. They are part of
    ``length``, and the part of the container follows them."""


class Instance(NamedTuple):
    """A SOP instance in a file."""

    file: SourceFile
    identity: Identity
    payload: Payload
    oddities: int = 0
    """Flags of :class:`Oddity` as a plain number, because they come from another process."""
    original: Instance | None = None
    """The instance as it was found, if this is its conversion; it is of the same file."""
    details: Details | None = None
    in_file: Identity | None = None
    """The identity in the file, if the instance was edited."""

    @property
    def found(self) -> Instance:
        """The instance as it was found."""
        return self.original or self

    @property
    def path(self) -> str:
        """The path of the file."""
        return self.file.path

    @property
    def ordinal(self) -> int:
        """The ordinal of the file."""
        return self.file.ordinal

    @property
    def sop_class_uid(self) -> str:
        """The SOP class UID."""
        return self.identity.sop_class_uid

    @property
    def sop_instance_uid(self) -> str:
        """The SOP instance UID."""
        return self.identity.sop_instance_uid

    @property
    def transfer_syntax_uid(self) -> str:
        """The transfer syntax UID."""
        return self.identity.transfer_syntax_uid

    @property
    def offset(self) -> int:
        """Bytes before the data set in its container."""
        return self.payload.offset

    @property
    def length(self) -> int:
        """Bytes of the data set."""
        return self.payload.length

    @property
    def version(self) -> FileVersion | None:
        """The version that the container must still have; ``None``: any."""
        return self.payload.version

    @property
    def data(self) -> bytes | None:
        """The data set itself, if it is in memory."""
        return self.payload.data


class Buffer:
    """Memory that holds pieces; it calls ``on_free`` when none of them is needed any more."""

    __slots__ = ("_on_free", "needed", "view")

    def __init__(self, size: int, on_free: Callable[[Buffer], None]) -> None:
        self.view = memoryview(bytearray(size))
        self.needed = 0
        """How many of its pieces are still needed; its filler sets that."""
        self._on_free = on_free

    def release(self) -> None:
        """One piece is no longer needed."""
        self.needed -= 1
        if self.needed == 0:
            self._on_free(self)


class Memory(Protocol):
    """The memory of a piece: a :class:`Buffer`, or a mapped file."""

    def release(self) -> Unsendable | None:
        """One piece is no longer needed. Returns how its file changed while it was sent, if that is known."""


class _Kept:
    """Memory that stays for as long as somebody refers to it."""

    def release(self) -> None:
        """Nothing happens."""


KEPT: Final = _Kept()


class Piece(NamedTuple):
    """A part of an instance's data set in memory, or the reason why it could not be read."""

    instance: Instance
    data: memoryview
    is_first: bool
    is_last: bool
    buffer: Memory
    """Release it when ``data`` is no longer needed."""
    problem: Unsendable | None = None
    """Why the file could not be read from here on; no piece of it follows."""


class Attempt(NamedTuple):
    """An attempt to store an instance over an association.

    Attributes:
        association: the number of the association in this run, from 1.
        sop_instance_uid: the SOP instance UID as it was sent: invented ones differ from the file's.
        seconds: from the first byte of the request to the response (or to the end of the association).
        status: the C-STORE-RSP's status; ``None`` when there was no response.
    """

    association: int
    sop_instance_uid: str
    sent_transfer_syntax_uid: str
    seconds: float
    status: int | None


class OnAttempt(Protocol):
    """Takes every attempt, with its instance.

    Without a response there is an error: the association ended, or the file could not be read to its end.
    """

    def __call__(self, instance: Instance, attempt: Attempt, error: AssociationError | Unsendable | None, /) -> None:
        """The attempt has ended."""


class Outcome(NamedTuple):
    """How one file ended. Every file that the walk finds has exactly one.

    Attributes:
        identity: the instance in the file, if one was found.
        attempt: the last attempt, if there was one.
        bytes: bytes of the data set as it was (or would have been) sent.
        reason: why it is not stored, or with a warning: one readable clause without the path; ``None`` when stored.
        is_withdrawn: whether the run ended before its turn; the file itself may be good.
        is_earlier: whether it ended in an earlier run, as the journal says; this run did nothing with it.
        repairs: flags of :class:`Oddity`: what was mended, if the run mends.
    """

    file: SourceFile
    result: Result
    identity: Identity | None = None
    attempt: Attempt | None = None
    bytes: int = 0
    attempts: int = 0
    reason: str | None = None
    is_withdrawn: bool = False
    details: Details | None = None
    is_earlier: bool = False
    repairs: int = 0

    @property
    def path(self) -> str:
        """The path of the file."""
        return self.file.path

    @property
    def ordinal(self) -> int:
        """The ordinal of the file."""
        return self.file.ordinal

    @property
    def status(self) -> int | None:
        """The C-STORE-RSP's status; ``None`` when there was no response."""
        return None if self.attempt is None else self.attempt.status

    @property
    def sop_class_uid(self) -> str | None:
        """The SOP class UID, if an instance was found."""
        return None if self.identity is None else self.identity.sop_class_uid

    @property
    def sop_instance_uid(self) -> str | None:
        """The SOP instance UID as it was sent; if nothing was sent, that of the file."""
        if self.attempt is not None:
            return self.attempt.sop_instance_uid
        return None if self.identity is None else self.identity.sop_instance_uid

    @property
    def transfer_syntax_uid(self) -> str | None:
        """The transfer syntax UID of the file, if an instance was found."""
        return None if self.identity is None else self.identity.transfer_syntax_uid

    @property
    def sent_transfer_syntax_uid(self) -> str | None:
        """The transfer syntax UID in which it was sent; ``None`` if there was no attempt."""
        return None if self.attempt is None else self.attempt.sent_transfer_syntax_uid

    @property
    def seconds(self) -> float:
        """Duration of the last attempt."""
        return 0.0 if self.attempt is None else self.attempt.seconds

    @property
    def association(self) -> int | None:
        """The number of the association that carried the last attempt."""
        return None if self.attempt is None else self.attempt.association

    @property
    def error(self) -> str | None:
        """The same as ``reason``."""
        return self.reason


class PairAnswer(NamedTuple):
    """A peer's answer to a pair of SOP class and transfer syntax, where nothing is sent."""

    sop_class_uid: str
    transfer_syntax_uid: str
    is_accepted: bool
    answer: str
    """In words: ``accepted``, or why not."""


class LaneState(StrEnum):
    """What a lane is doing."""

    OPENING = "opening"
    SENDING = "sending"
    WAITING = "waiting"
    """Open with nothing to send: the walk or the probe is slower than the peer."""
    CLOSING = "closing"


class Lane(NamedTuple):
    """One lane, as an observer sees it at one moment.

    Attributes:
        number: the number of the lane, from 1; it stays while its associations come and go.
        association: the number of the association in this run, from 1; 0 before the first one is asked for.
        stored: responses received in this lane since the run began.
        path: the file being stored now.
        bytes: its data set's size.
        seconds: how long it has been under way.
    """

    number: int
    state: LaneState
    association: int
    stored: int
    path: str | None
    bytes: int
    seconds: float


class PeerOutage(NamedTuple):
    """A peer that is down: the run waits for it."""

    number: int
    """Which outage of the run it is, from 1."""
    reason: str
    """Why the peer is down: one readable clause without its name."""
    next_trial: float
    """Seconds until the run tries an association again; 0: it does so now."""
    seconds_left: float | None
    """Seconds until the run gives up; ``None``: it never does."""


class Limit(NamedTuple):
    """What limits the speed of a run now."""

    bytes_per_second: float | None
    """Bytes that go to the network; ``None``: no limit."""
    stores_per_second: float | None
    """``None``: no limit."""
    is_paused: bool = False
    """Whether nothing begins: a time table says so."""
    until: float | None = None
    """When a time table changes this, in seconds since 1970; ``None``: no time table will."""
    share: float = 1.0
    """The share of the peer's speed that the guard allows."""
    echo_seconds: float | None = None
    """How long C-ECHO takes, if the guard limits the speed."""


class Progress(NamedTuple):
    """A run at one moment. Sampling it does not slow stores.

    Attributes:
        found: files found by the walk so far.
        walking: whether the walk is still under way, so that ``found`` will grow.
        probed: files probed so far.
        bytes_probed: data set bytes of the instances found so far; the total once all files are probed.
        bytes_sent: data set bytes handed to the network so far, including those of unfinished stores.
        associations_opened: associations the peer accepted since the run began.
        is_cut_short: whether the walk was stopped early, so there may be more files than were found.
        retrying: instances that wait for their next attempt.
        retries: attempts beyond the first of their instances that have ended so far.
        outages: how often the peer was down.
        outage: the outage, while the peer is down.
        limit: what limits its speed now.
    """

    found: int
    walking: bool
    probed: int
    bytes_probed: int
    bytes_sent: int
    associations_opened: int
    lanes: tuple[Lane, ...]
    is_cut_short: bool = False
    retrying: int = 0
    retries: int = 0
    outages: int = 0
    outage: PeerOutage | None = None
    is_paused: bool = False
    limit: Limit | None = None


NOT_BEGUN: Final = Progress(0, True, 0, 0, 0, 0, ())
"""A run before its beginning; its walk begins with it."""
