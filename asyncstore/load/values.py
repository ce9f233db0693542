"""The values of a measurement that travel between its stages.

    Source --> Made --> (an association) --> Sample --> a document of results

All times are seconds of one clock, which the driver is given; sizes are bytes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from asyncstore.named_tuple import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from asyncstore.model import Instance, Piece


class Kind(NamedTuple):
    """Instances that are alike: results are told apart by kind."""

    name: str
    """Of the mix: ``ct``; for files: the modality in lower case."""
    modality: str
    """Modality (0008,0060)."""
    sop_class_uid: str
    transfer_syntax_uid: str
    bytes: int
    """Of the data set; for files: the mean."""
    instances_per_study: int
    share: float = 1.0
    """The share of all instances that are of this kind; the shares of a source add up to 1."""


class Made(NamedTuple):
    """An instance to store."""

    instance: Instance
    kind: int
    """The place of its kind in :attr:`Source.kinds`."""
    pieces: tuple[Piece, ...] = ()
    """Its data set in order; empty: it is in ``instance.payload.data``."""


class Source(Protocol):
    """Makes instances without an end. No two have the same SOP Instance UID, unless the user keeps those of files."""

    @property
    def kinds(self) -> Sequence[Kind]:
        """The kinds of its instances."""

    @property
    def corpus(self) -> str:
        """A hash (SHA-256, hexadecimal) over the content that is sent, without the UIDs."""

    def next(self) -> Made:
        """The next instance. Of each kind, studies follow one another."""

    def study(self) -> Iterator[Made]:
        """The instances of a whole new study."""


class Sample(NamedTuple):
    """One store, when it has ended."""

    kind: int
    intended: float
    """When it was to begin; in a closed load: when it began."""
    begun: float
    """When its first byte was handed to the network."""
    sent: float
    """When its last byte was handed to the network."""
    ended: float
    """When its response came, or the association ended."""
    status: int | None
    """The C-STORE-RSP's status; ``None``: there was no response."""


class Opened(NamedTuple):
    """An association that was opened: seconds for each step."""

    at: float
    connect: float
    tls: float
    """0 without TLS."""
    associate: float


class Phase(NamedTuple):
    """A part of a measurement with one load."""

    name: str
    """For people: ``warm-up``, ``8 associations``, ``stage 2``."""
    is_open: bool
    """Whether instances begin at their times (open load), or whenever an association is free (closed load)."""
    associations: int
    """The most that are open."""
    seconds: float
    """How long new stores begin."""
    is_counted: bool = True
    """Whether it counts for results, which warm-up and cool-down do not."""
    repeat: int = 1
    """Which repetition it is, from 1."""
