"""Simulated associations, readers and an outlet, as :mod:`asyncstore.schedule.ports` describes them, without I/O.

A :class:`World` is one peer and what lies around it. What it does is told beforehand, association by association; what
happened is found in its attributes afterwards.
"""

import asyncio
from collections import deque
from contextlib import asynccontextmanager
from itertools import count
from typing import NamedTuple

from asyncstore.errors import AbortedHere, AssociationError, AssociationRejected, LinkLost
from asyncstore.model import Attempt, Buffer, Details, Head, Piece, Result, Unsendable
from asyncstore.protocol.status import result_of
from asyncstore.schedule.dispatch import Dispatcher
from asyncstore.schedule.gate import Affinity
from asyncstore.schedule.options import DispatchOptions
from support import values

SYNTAX = "1.2.840.10008.1.2.4.50"
"""A compressed one, for which nothing else is proposed."""


_ordinals = count(1)


def instance(name, sop_class_uid="1.1"):
    """An instance to send, the next in order; the world is told elsewhere what becomes of its file.

    Four numbers in a row are a study, and two studies a patient; some instances have no study or patient.
    """
    made = values.instance(str(name), sop_class_uid, f"1.9.{name}", SYNTAX, ordinal=next(_ordinals))
    number = int(name) if str(name).isdigit() else 0
    study, patient = number // 4 if number % 7 else "", b"%d" % (number // 8) if number % 11 else b""
    return made._replace(details=Details(10, 1, Head(str(study), "", patient)))


def no_instance(path, reason):
    """A file that cannot be sent, the next in order."""
    return values.unsendable(path, reason, next(_ordinals))


class Conduct(NamedTuple):
    """What the peer does with one association."""

    opens: bool = True
    refuses: frozenset[str] = frozenset()
    """SOP classes whose contexts it refuses."""
    ignores: frozenset[str] = frozenset()
    """SOP classes whose contexts it does not answer."""
    takes: frozenset[str] | None = None
    """The transfer syntaxes it accepts; ``None``: the first of each context."""
    statuses: tuple[int, ...] = (0,)
    """What it answers, over and over."""
    dies_before: int | None = None
    """The answer, from 0, instead of which the connection is lost; ``None``: it lives."""
    window: int = 1


_GOOD = (Conduct(),)


class Gate(asyncio.Event):
    """What a stage waits at; open at first."""

    def __init__(self):
        super().__init__()
        self.set()
        self.waiting = 0
        """How many wait now."""

    async def wait(self):
        self.waiting += 1
        try:
            return await super().wait()
        finally:
            self.waiting -= 1


class World:
    """One peer, the files, and the consumer of the outcomes.

    Args:
        conducts: the peer's conduct on the first associations, one after the other; the last one holds for all
            others.
        unreadable: paths of files that cannot be read at all.
        breaking: paths of files that cannot be read to their end.
        large: paths of files that come in several pieces.
        broken: paths of files that cannot be converted.
        refused: paths of files that the peer answers with a failure.
        load: how many small files come in one load.
    """

    def __init__(self, conducts=_GOOD, *, unreadable=(), breaking=(), large=(), broken=(), refused=(), load=3):
        self.conducts = conducts
        self.unreadable, self.breaking, self.large, self.load = unreadable, breaking, large, load
        self.broken, self.refused = broken, refused
        self.changes_everything = False
        self.unprepared = None
        self.converting, self.conversions = 0, []
        self.outcomes = []
        self.begun, self.answers = [], {}
        self.associations = []
        self.asked_for = 0
        self.unreleased = 0
        self.readers = 0
        self.options = DispatchOptions()
        self.existing = set()
        """The studies and patients of which the peer has stored something."""
        self.answering, self.reading, self.opening, self.conversion, self.room_left = (Gate() for _ in range(5))

    def dispatcher(self, *, pacing=None, **options):
        """A dispatcher in this world."""
        self.options = DispatchOptions(**options)
        return Dispatcher(self.open, lambda: FakeReader(self), FakeConverter(self), self, self.options, pacing=pacing)

    @property
    def open_now(self):
        """How many associations are open."""
        return sum(not association.is_closed for association in self.associations)

    # The peer.

    async def open(self, contexts, number, on_attempt, on_end):
        self.asked_for += 1
        conduct = self.conducts[min(self.asked_for, len(self.conducts)) - 1]
        await asyncio.sleep(0)
        await self.opening.wait()
        if not conduct.opens:
            raise AssociationRejected("peer:104", 2, 3, 2)
        association = FakeAssociation(self, conduct, contexts, number, on_attempt, on_end)
        self.associations.append(association)
        return association

    def assert_apart(self):
        """What the affinity keeps on one association is on one."""
        affinity = self.options.affinity
        on = {}
        for association in self.associations:
            for one in association.outstanding:
                for key in keys_of(one.found, affinity):
                    on.setdefault(key, []).append(association)
        for key, associations in on.items():
            if affinity is not Affinity.FIRST or key not in self.existing:
                assert len(set(associations)) == 1, f"{key} goes over several associations"
                assert len(associations) == 1 or affinity is not Affinity.FIRST or not self.options.overlaps, key

    # The outlet.

    def put(self, outcomes):
        self.outcomes += outcomes

    def put_one(self, outcome):
        self.outcomes.append(outcome)

    async def room(self):
        await self.room_left.wait()


def keys_of(one, affinity):
    """The study and patient of an instance that the affinity is about."""
    study, _, patient, *_ = one.details.head if one.details is not None else Head()
    is_for = {Affinity.STUDY: [study], Affinity.PATIENT: [patient], Affinity.FIRST: [study, patient]}
    return [key for key in is_for.get(affinity, ()) if key]


class FakeReader:
    """Reads ahead as far as it has buffers; a load of pieces takes one."""

    def is_direct(self, _instances):
        return False

    def __init__(self, world):
        self._world = world
        self._buffers = asyncio.Semaphore(2)
        world.readers += 1

    async def read(self, instances):
        load = []
        for one in instances:
            name = one.path
            if name in self._world.large or name in self._world.breaking:
                if load:
                    yield await self._read(load)
                load = []
                for number in range(3):
                    breaks = name in self._world.breaking and number == 1
                    yield await self._read([(one, number, 3, "cut short" if breaks else None)])
                    if breaks:
                        break
                continue
            load.append((one, 0, 1, "cannot be read" if name in self._world.unreadable else None))
            if len(load) == self._world.load:
                yield await self._read(load)
                load = []
        if load:
            yield await self._read(load)

    async def _read(self, load):
        await self._buffers.acquire()
        await asyncio.sleep(0)
        await self._world.reading.wait()
        buffer = Buffer(0, self._freed)
        buffer.needed = len(load)
        self._world.unreleased += 1
        return [
            Piece(
                whose,
                memoryview(b"data"),
                number == 0,
                number == count - 1,
                buffer,
                Unsendable(whose.file, problem) if problem else None,
            )
            for whose, number, count, problem in load
        ]

    def _freed(self, _):
        self._world.unreleased -= 1
        self._buffers.release()

    def close(self):
        self._world.readers -= 1


class FakeConverter:
    """Converts by naming the transfer syntax; nothing, where the world says that it is unprepared."""

    def __init__(self, world):
        self._world = world
        self.changes_everything = world.changes_everything

    @asynccontextmanager
    async def converted(self, instances, transfer_syntax_uid):
        world = self._world
        world.converting += 1
        try:
            await asyncio.sleep(0)
            await world.conversion.wait()
            if world.unprepared is not None:
                raise world.unprepared
            world.conversions.append([one.path for one in instances])
            yield [
                Unsendable(one.file, "damaged")
                if one.path in world.broken
                else values.changed(one, sop_instance_uid="1.7", transfer_syntax_uid=transfer_syntax_uid, original=one)
                for one in instances
            ]
        finally:
            world.converting -= 1


class FakeAssociation:
    def __init__(self, world, conduct, contexts, number, on_attempt, on_end):
        self.number = number
        self.proposed = [(context.abstract_syntax, context.transfer_syntaxes[0]) for context in contexts]
        self.error: AssociationError | None = None
        self.data_bytes_sent = 0
        self.accepted, self.results = {}, {}
        for context in contexts:
            self._answer_context(conduct, context)
        self.end = None
        """How it ended: released, aborted, or lost."""
        self.is_closed = False
        self.most_outstanding = 0
        self._world, self._conduct = world, conduct
        self._on_attempt, self._on_end = on_attempt, on_end
        self._queue, self._outstanding, self._returned = deque(), [], []
        self._sending = self._taking = None
        self._answered = 0
        self._answering = set()
        self._changed = asyncio.Event()

    def _answer_context(self, conduct, context):
        sop_class, proposed = context.abstract_syntax, context.transfer_syntaxes
        if sop_class in conduct.ignores:
            return
        taken = next((one for one in proposed if conduct.takes is None or one in conduct.takes), None)
        is_accepted = taken is not None and sop_class not in conduct.refuses
        if is_accepted:
            self.accepted.setdefault((sop_class, taken), context.id)
        words = "accepted" if is_accepted else "abstract syntax not supported"
        self.results |= {(sop_class, one): words for one in proposed}

    @property
    def is_idle(self):
        return not (self._queue or self._outstanding)

    @property
    def in_hand(self):
        return len(self._outstanding) + sum(piece.is_first for piece in self._queue)

    @property
    def outstanding(self):
        return tuple(self._outstanding)

    def submit(self, pieces):
        for piece in pieces:
            assert not (piece.is_first and piece.problem)
            if piece.is_first:
                assert (piece.instance.sop_class_uid, piece.instance.transfer_syntax_uid) in self.accepted
                self._taking = piece.instance
            elif piece.instance is not self._taking:
                piece.buffer.release()
                continue
            self._queue.append(piece)
        self._pump()

    def is_taking(self, whose):
        return self._taking is whose

    def withdraw(self):
        self._take_back()
        returned, self._returned = self._returned, []
        return returned

    def current(self):
        return (self._outstanding[0], 0.0) if self._outstanding else None

    def abort(self):
        self._fail(AbortedHere("peer:104", "it was asked for"))

    async def settled(self):
        while not self.is_idle and self.error is None:
            self._changed.clear()
            await self._changed.wait()

    async def release(self):
        assert self.is_idle
        await asyncio.sleep(0)
        if self.error is None:
            self.end = "released"

    async def close(self):
        assert not self.is_closed
        if self.end is None:
            self.abort()
        await asyncio.sleep(0)
        self.is_closed = True
        for task in tuple(self._answering):
            task.cancel()
        assert self._queue == deque()

    def _pump(self):
        while self._queue and self.error is None:
            piece = self._queue[0]
            if piece.is_first:
                if len(self._outstanding) >= self._conduct.window:
                    break
                self._sending = piece.instance
                self._outstanding.append(piece.instance)
                self.most_outstanding = max(self.most_outstanding, len(self._outstanding))
                self._world.begun.append(piece.instance.path)
                self._world.assert_apart()
            elif piece.problem is not None:
                if len(self._outstanding) == 1:
                    self._outstanding.clear()
                    self._report(piece.instance, None, piece.problem)
                    self._fail(AbortedHere("peer:104", "a file could not be read to its end"))
                break
            self._queue.popleft().buffer.release()
            self.data_bytes_sent += len(piece.data)
            if piece.is_last:
                self._sending = None
                task = asyncio.get_running_loop().create_task(self._answer(piece.instance))
                self._answering.add(task)
                task.add_done_callback(self._answering.discard)
        if self.error is not None:
            self._take_back()

    async def _answer(self, whose):
        await self._world.answering.wait()
        if self.error is not None or self.end is not None:
            return
        if self._answered == self._conduct.dies_before:
            self._fail(LinkLost("peer:104", "reset"))
            return
        status = self._conduct.statuses[self._answered % len(self._conduct.statuses)]
        if whose.found.path in self._world.refused:
            status = 0xA700
        self.answer(whose, status)

    def answer(self, whose, status=0):
        """The peer answers a store that was sent to its end, in any order; tests that do so close ``answering``."""
        assert whose is not self._sending
        self._answered += 1
        self._outstanding.remove(whose)
        self._world.answers[whose.path] = status
        if result_of(status) is not Result.FAILED:
            self._world.existing.update(keys_of(whose.found, Affinity.FIRST))
        self._report(whose, status, None)
        self._pump()

    def lose(self, error):
        """The peer ends the association, or is given up."""
        self._fail(error)

    def _fail(self, error):
        if self.error is not None or self.end == "released":
            return
        self.error = error
        self.end = "aborted" if isinstance(error, AbortedHere) else "lost"
        outstanding, self._outstanding, self._sending = self._outstanding, [], None
        for whose in outstanding:
            self._report(whose, None, error)
        self._take_back()
        self._on_end()

    def _report(self, whose, status, error):
        self._changed.set()
        attempt = Attempt(self.number, whose.sop_instance_uid, whose.transfer_syntax_uid, 0.001, status)
        self._on_attempt(whose, attempt, error)

    def _take_back(self):
        self._changed.set()
        kept = deque()
        is_kept = self._sending is not None
        for piece in self._queue:
            is_kept = is_kept and not piece.is_first
            if is_kept:
                kept.append(piece)
                continue
            piece.buffer.release()
            if piece.is_first:
                self._returned.append(piece.instance)
        self._queue = kept
        if self._sending is not self._taking:
            self._taking = None
