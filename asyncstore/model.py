"""The values that travel between the stages, one frozen type a stage.

    SourceFile --> Instance --> Attempt --> Outcome

Data sets travel in memory as :class:`Buffer` and :class:`Piece`. Observers sample :class:`Progress` and :class:`Lane`.
:class:`PairAnswer` is a peer's answer where nothing is sent. Frozen values are named tuples, because there are
millions of them: a named tuple costs a third of a frozen dataclass. Paths are ``str`` with undecodable bytes as
surrogates (:func:`os.fsdecode`), so ``os.fsencode`` gives back exactly the name of the file.

Instances name their transfer syntax by its UID; the four without compressed pixel data have names here.
"""

from __future__ import annotations

from enum import IntFlag, StrEnum
from typing import TYPE_CHECKING, NamedTuple, Protocol

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
    """An earlier run's journal says the SCP holds it already."""


class SourceFile(NamedTuple):
    """A file that the walk found and nobody has read yet.

    The ordinal is its place in the order of delivery, from 1. Files that cannot be sent have one as well, and a file
    that is delivered twice has two. It stays with the file, and everything that asks for order compares ordinals:
    halting, giving back, invented identities. (Those count instances alone: see
    :meth:`asyncstore.prepare.converter.Converter.pass_over`.) 0 stands for none. It is the last field of every stage,
    where worker processes set it.
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


class Unsendable(NamedTuple):
    """A file that will not be sent, and why: one readable clause without the path.

    Files are grouped by what their reasons have in common, as :class:`Reason` says.
    """

    path: str
    reason: str
    ordinal: int = 0
    """See :class:`SourceFile`."""


class Oddity(IntFlag):
    """Oddities of an instance that can be sent all the same."""

    ODD_VALUES = 1
    """It has values of odd length (PS3.5 7.1.1): it is rewritten with padding before it is sent."""
    UNUSUAL_UID = 2
    """One of its UIDs has characters other than digits and dots (PS3.5 9.1)."""


FileVersion = tuple[int, int, int, int]
"""Device, inode, and the times of the last modification and change in nanoseconds (fstat(2)): a later read must find
the file that was probed, unchanged. A plain tuple, because it travels between processes."""


class Instance(NamedTuple):
    """A SOP instance in a file, and where its data set lies."""

    path: str
    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str
    offset: int
    """Bytes before the data set (preamble and file meta information)."""
    length: int
    """Bytes of the data set, from ``offset`` to the end of the file."""
    data: bytes | None = None
    """The data set itself, if it is in memory: of small files and of conversions."""
    version: FileVersion | None = None
    """The version of the file, if the data set must still be read from it."""
    oddities: int = 0
    """Flags of :class:`Oddity` as a plain number, because instances travel between processes."""
    original: Instance | None = None
    """The instance as it was found, if this is its conversion; ``path`` is then the file of the converted data set."""
    ordinal: int = 0
    """See :class:`SourceFile`; a conversion has none of its own."""

    @property
    def found(self) -> Instance:
        """The instance as it was found."""
        return self.original or self


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
    """What a piece lies in: a :class:`Buffer`, or a file that is mapped into memory."""

    def release(self) -> Unsendable | None:
        """One piece is no longer needed; why what was sent of it is not the file, if that has come out by now."""


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
    """One attempt to store one instance over one association."""

    instance: Instance
    association: int
    """The number of the association in this run, from 1."""
    sent_transfer_syntax_uid: str
    seconds: float
    """From the first byte of the request to the response (or to the end of the association)."""
    status: int | None
    """The C-STORE-RSP's status; ``None`` when there was no response."""
    error: AssociationError | Unsendable | None
    """Why there was no response: the association ended, or the file could not be read to its end."""


class Outcome(NamedTuple):
    """How one file ended. Every file that the walk finds has exactly one."""

    path: str
    result: Result
    status: int | None = None
    sop_class_uid: str | None = None
    sop_instance_uid: str | None = None
    transfer_syntax_uid: str | None = None
    sent_transfer_syntax_uid: str | None = None
    bytes: int = 0
    """Bytes of the data set as it was (or would have been) sent."""
    seconds: float = 0.0
    """Duration of the last attempt."""
    attempts: int = 0
    association: int | None = None
    """The number of the association that carried the last attempt."""
    error: str | None = None
    """One readable clause, without the path; ``None`` when stored."""
    is_withdrawn: bool = False
    """Whether it was not sent only because the run ended first; the file itself may be good."""


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
    """One lane, as an observer sees it at one moment."""

    number: int
    """The number of the lane, from 1; it stays while its associations come and go."""
    state: LaneState
    association: int
    """The number of the association in this run, from 1; 0 before the first one is asked for."""
    stored: int
    """Responses received in this lane since the run began."""
    path: str | None
    """The file being stored now."""
    bytes: int
    """Its data set's size."""
    seconds: float
    """How long it has been under way."""


class Progress(NamedTuple):
    """A run at one moment. Sampling it does not slow stores."""

    found: int
    """Files found by the walk so far."""
    walking: bool
    """Whether the walk is still under way, so that ``found`` will grow."""
    probed: int
    """Files probed so far."""
    bytes_probed: int
    """Data set bytes of the instances found so far; the total once all files are probed."""
    bytes_sent: int
    """Data set bytes handed to the network so far, including those of unfinished stores."""
    associations_opened: int
    """Associations the peer accepted since the run began."""
    lanes: tuple[Lane, ...]
    is_cut_short: bool = False
    """Whether the walk was stopped early, so there may be more files than were found."""
