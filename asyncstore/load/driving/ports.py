"""The interfaces that this room uses: associations that measure their stores, and timers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from asyncstore.errors import AssociationError
    from asyncstore.model import Instance, Piece
    from asyncstore.network.association import Steps
    from asyncstore.network.timed import OnStored


class Association(Protocol):
    """An established association; :class:`asyncstore.network.timed.TimedAssociation` says what each member means."""

    error: AssociationError | None
    steps: Steps
    window: int

    @property
    def accepted(self) -> Mapping[tuple[str, str], int]: ...
    def submit(self, pieces: Iterable[Piece]) -> None: ...
    def submit_whole(self, instances: Iterable[Instance], load: Callable[[Instance], Piece | None]) -> None: ...
    def withdraw(self) -> list[Instance]: ...
    def abort(self, cause: str = ...) -> None: ...
    async def settled(self) -> None: ...
    async def release(self) -> None: ...
    async def close(self) -> None: ...


class OpenAssociation(Protocol):
    """Opens the association with this number; raises :class:`~asyncstore.errors.AssociationError`."""

    async def __call__(self, number: int, on_stored: OnStored, on_end: Callable[[], None]) -> Association: ...
