"""A batch: instances on their way from the backlog to one association, converted where they have to be, and read.

Rules:

1. They are submitted in their order. An association loads instances at their turn if their data sets are in memory or
   in the page cache. The others are read here and submitted in pieces; the first piece begins the turn.
2. An instance that cannot be converted or read comes as a piece with its problem. At its turn the problem is reported,
   and the others go on.
3. Until its turn an instance can be withdrawn. Nothing of it is submitted then, even if it has been read. Those being
   converted may be left, and one being read for an idle association: begun anew elsewhere, they would take as long
   again, and might be withdrawn there as well, for ever.
4. Converted data sets exist only until they have been read.
"""

from __future__ import annotations

from contextlib import aclosing
from itertools import groupby
from typing import TYPE_CHECKING

from asyncstore.model import KEPT, Instance, Piece, Unsendable

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from asyncstore.negotiation.selection import Selection
    from asyncstore.schedule.ports import Association, Converter, Reader


_NOTHING = memoryview(b"")


class Batch:
    """Instances for one association, and which of them are still here.

    Args:
        instances: what to submit; the association carries all of them.
        association: takes their pieces.
        on_problem: told of each instance that cannot be sent, and why; the batch may be withdrawn then.
    """

    def __init__(
        self, instances: list[Instance], association: Association, on_problem: Callable[[Instance, Unsendable], None]
    ) -> None:
        self._instances = instances
        self._rest = list(instances)
        self._association = association
        self._on_problem = on_problem
        self._is_withdrawn = False
        self._converting = 0
        """How many of the rest, from the first, are being converted."""

    def withdraw(self, *, all_of_it: bool = True) -> list[Instance]:
        """Take back those whose turn has not come: all, or all but those being converted or read for their turn."""
        self._is_withdrawn = True
        kept = 0 if all_of_it else self._converting or int(self._association.is_idle)
        rest = self._rest[kept:]
        del self._rest[kept:]
        return rest

    async def submit(self, selection: Selection, reader: Reader, converter: Converter) -> None:
        """Submit them as ``selection`` says, until all are submitted or withdrawn, or the association has ended.

        Raises:
            PrepareError: nothing can be converted.
        """
        for portion, transfer_syntax in selection.portions(self._instances):
            left = portion
            if transfer_syntax is None and reader.is_direct(portion):
                left = await self._submit_whole(portion, reader)
            if left and not await self._submit_pieces(left, transfer_syntax, reader, converter):
                break
            if self._association.error is not None or self._is_withdrawn:
                break

    async def _submit_whole(self, portion: list[Instance], reader: Reader) -> list[Instance]:
        """Submit a portion to be loaded at its turn. Returns the instances that must be read in pieces after all."""
        del self._rest[: len(portion)]
        self._association.submit_whole(portion, reader.load)
        left = await self._association.taken()
        self._rest[:0] = left
        return [] if self._is_withdrawn else left

    async def _submit_pieces(
        self, portion: list[Instance], transfer_syntax: str | None, reader: Reader, converter: Converter
    ) -> bool:
        """Read and submit a portion. False: the association takes no more, or all others were withdrawn."""
        association = self._association
        self._converting = len(portion) if transfer_syntax is not None else 0
        async with aclosing(_loads(portion, transfer_syntax, reader, converter)) as loads:
            async for pieces in loads:
                self._converting = 0
                self._submit_in_turn(pieces)
                is_over = not self._rest and not association.is_taking(pieces[-1].instance)
                if association.error is not None or is_over:
                    return False
        return True

    def _submit_in_turn(self, pieces: list[Piece]) -> None:
        """Submit ``pieces`` without those of instances that were withdrawn or cannot be sent.

        Those before a problem are submitted before it is reported, so that they can be withdrawn.
        """
        first = sum(piece.is_first for piece in pieces)
        if first <= len(self._rest) and not any(piece.problem and piece.is_first for piece in pieces):
            del self._rest[:first]
            self._association.submit(pieces)
            return
        for piece in pieces:
            if not piece.is_first or self._begins(piece):
                self._association.submit([piece])
            else:
                piece.buffer.release()

    def _begins(self, piece: Piece) -> bool:
        """Whether to send the instance that begins with this piece."""
        if not self._rest:
            return False
        instance = self._rest.pop(0)
        if piece.problem is not None:
            self._on_problem(instance, piece.problem)
        return piece.problem is None


async def _loads(
    portion: list[Instance], transfer_syntax: str | None, reader: Reader, converter: Converter
) -> AsyncGenerator[list[Piece], None]:
    """The pieces of ``portion``, converted if needed, a buffer's load at a time."""
    if transfer_syntax is None:
        async for pieces in reader.read(portion):
            yield pieces
        return
    async with converter.converted(portion, transfer_syntax) as made:
        for is_converted, run in groupby(zip(portion, made, strict=True), _is_converted):
            if is_converted:
                async for pieces in reader.read([there for _, there in run if isinstance(there, Instance)]):
                    yield pieces
            else:
                yield [
                    Piece(one, _NOTHING, is_first=True, is_last=True, buffer=KEPT, problem=there)
                    for one, there in run
                    if isinstance(there, Unsendable)
                ]


def _is_converted(conversion: tuple[Instance, Instance | Unsendable]) -> bool:
    return isinstance(conversion[1], Instance)
