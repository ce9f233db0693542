"""What this room needs of the others, as it sees them: associations, readers, and somewhere for outcomes to go."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Mapping
    from contextlib import AbstractAsyncContextManager

    from asyncstore.errors import AssociationError
    from asyncstore.model import Attempt, Instance, Outcome, Piece, Unsendable
    from asyncstore.negotiation import Pair
    from asyncstore.protocol.associate import ProposedContext


class Association(Protocol):
    """An established association; :class:`asyncstore.network.association.Association` says what each member means."""

    error: AssociationError | None
    data_bytes_sent: int

    @property
    def accepted(self) -> Mapping[Pair, int]: ...  # noqa: D102 - see the class
    @property
    def results(self) -> Mapping[Pair, str]: ...  # noqa: D102
    @property
    def is_idle(self) -> bool: ...  # noqa: D102
    @property
    def in_hand(self) -> int: ...  # noqa: D102

    def submit(self, pieces: Iterable[Piece]) -> None: ...  # noqa: D102
    def is_taking(self, instance: Instance) -> bool: ...  # noqa: D102
    def withdraw(self) -> list[Instance]: ...  # noqa: D102
    def current(self) -> tuple[Instance, float] | None: ...  # noqa: D102
    def abort(self) -> None: ...  # noqa: D102
    async def settled(self) -> None: ...  # noqa: D102
    async def release(self) -> None: ...  # noqa: D102
    async def close(self) -> None: ...  # noqa: D102


class OpenAssociation(Protocol):
    """Opens the association with this number; raises :class:`~asyncstore.errors.AssociationError` where it cannot."""

    async def __call__(  # noqa: D102 - see the class
        self,
        contexts: tuple[ProposedContext, ...],
        number: int,
        on_attempt: Callable[[Attempt], None],
        on_end: Callable[[], None],
    ) -> Association: ...


class Reader(Protocol):
    """Reads data sets ahead, in pieces."""

    def read(self, instances: Iterable[Instance]) -> AsyncIterator[list[Piece]]: ...  # noqa: D102 - see the class
    def close(self) -> None: ...  # noqa: D102


class Converter(Protocol):
    """Makes data sets what an association takes; :class:`asyncstore.prepare.converter.Converter` says how."""

    changes_everything: bool

    def converted(  # noqa: D102 - see the class
        self, instances: Iterable[Instance], transfer_syntax_uid: str
    ) -> AbstractAsyncContextManager[list[Instance | Unsendable]]: ...


class Outlet(Protocol):
    """Takes outcomes."""

    def put(self, outcomes: Iterable[Outcome]) -> None:
        """Hand on; never waits."""

    async def room(self) -> None:
        """Wait until whoever takes the outcomes has kept up."""
