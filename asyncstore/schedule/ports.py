"""The interfaces that this room uses: associations, readers, converters and outlets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Mapping
    from contextlib import AbstractAsyncContextManager

    from asyncstore.errors import AssociationError
    from asyncstore.model import Instance, OnAttempt, Outcome, Piece, SourceFile, Unsendable
    from asyncstore.negotiation import Pair
    from asyncstore.protocol.associate import ProposedContext


class Association(Protocol):
    """An established association; :class:`asyncstore.network.association.Association` says what each member means."""

    peer: str
    error: AssociationError | None
    data_bytes_sent: int

    @property
    def accepted(self) -> Mapping[Pair, int]: ...
    @property
    def results(self) -> Mapping[Pair, str]: ...
    @property
    def is_idle(self) -> bool: ...
    @property
    def in_hand(self) -> int: ...

    def submit(self, pieces: Iterable[Piece]) -> None: ...
    def submit_whole(self, instances: Iterable[Instance], load: Callable[[Instance], Piece | None]) -> None: ...
    async def taken(self) -> list[Instance]: ...
    def is_taking(self, instance: Instance) -> bool: ...
    def withdraw(self) -> list[Instance]: ...
    def current(self) -> tuple[Instance, float] | None: ...
    def abort(self) -> None: ...
    async def settled(self) -> None: ...
    async def release(self) -> None: ...
    async def close(self) -> None: ...


class OpenAssociation(Protocol):
    """Opens the association with this number; raises :class:`~asyncstore.errors.AssociationError`."""

    async def __call__(
        self,
        contexts: tuple[ProposedContext, ...],
        number: int,
        on_attempt: OnAttempt,
        on_end: Callable[[], None],
    ) -> Association: ...


class Reader(Protocol):
    """Reads data sets: at once, or ahead in pieces; :class:`asyncstore.prepare.reading.Reader` says how."""

    def is_direct(self, instances: Iterable[Instance]) -> bool: ...
    def load(self, instance: Instance) -> Piece | None: ...
    def read(self, instances: Iterable[Instance]) -> AsyncIterator[list[Piece]]: ...
    def close(self) -> None: ...


class Converter(Protocol):
    """Re-encodes data sets; :class:`asyncstore.prepare.converter.Converter` says how."""

    changes_everything: bool

    def converted(
        self, instances: Iterable[Instance], transfer_syntax_uid: str
    ) -> AbstractAsyncContextManager[list[Instance | Unsendable]]: ...


class ProbeAgain(Protocol):
    """Probes a file that changed since the walk found it; raises :class:`~asyncstore.errors.PrepareError`."""

    async def __call__(self, file: SourceFile, /) -> Instance | Unsendable: ...


class Outlet(Protocol):
    """Takes outcomes."""

    def put(self, outcomes: Iterable[Outcome]) -> None:
        """Hand outcomes on; never waits."""

    def put_one(self, outcome: Outcome) -> None:
        """Hand an outcome on; never waits."""

    async def room(self) -> None:
        """Wait until the consumer has kept up."""
