"""Steps of a hostile acceptor that choose between two others by all that has come to it, over all associations.

    Behaviour(on_store=every(7, aborts()))
    Behaviour(on_store=first_of_each(2, answers(0xA700)))
    Behaviour(on_store=refuses_duplicates(every(5, closes(), answers())))  # it has stored what it does not answer
    Behaviour(on_request=beyond(4, rejects(2, 3, 2)))
    Behaviour(amid_data=at(uid, resets(), obeys()))

Each call makes a step with a memory of its own. Give the same step to all behaviours of an acceptor. The other step is
:func:`behaves` unless one is given; ``amid_data`` and ``on_connect`` need ``obeys()``.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from support.peers.hostile import accepts, answers

if TYPE_CHECKING:
    from support.peers.acceptor import Acceptor
    from support.peers.hostile import Step


def behaves() -> Step:
    """Accept an association that was requested; answer a C-STORE request with success."""

    async def step(acceptor: Acceptor) -> None:
        await (accepts() if acceptor.store is None else answers())(acceptor)

    return step


def every(number: int, misbehaves: Step, otherwise: Step | None = None) -> Step:
    """Misbehave each ``number``-th time."""
    times = 0

    async def step(acceptor: Acceptor) -> None:
        nonlocal times
        times += 1
        await (misbehaves if times % number == 0 else otherwise or behaves())(acceptor)

    return step


def first(times: int, misbehaves: Step, otherwise: Step | None = None) -> Step:
    """Misbehave so many times."""
    left = times

    async def step(acceptor: Acceptor) -> None:
        nonlocal left
        left -= 1
        await (misbehaves if left >= 0 else otherwise or behaves())(acceptor)

    return step


def first_of_each(times: int, misbehaves: Step, otherwise: Step | None = None) -> Step:
    """Misbehave so many times for each SOP instance."""
    came: Counter[str] = Counter()

    async def step(acceptor: Acceptor) -> None:
        uid = acceptor.store.sop_instance_uid
        came[uid] += 1
        await (misbehaves if came[uid] <= times else otherwise or behaves())(acceptor)

    return step


def at(uid: str, misbehaves: Step, otherwise: Step | None = None) -> Step:
    """Misbehave at one SOP instance."""

    async def step(acceptor: Acceptor) -> None:
        is_it = acceptor.store.sop_instance_uid == uid
        await (misbehaves if is_it else otherwise or behaves())(acceptor)

    return step


def refuses_duplicates(otherwise: Step | None = None) -> Step:
    """Answer 0x0111 (duplicate SOP instance, PS3.7 C.5.15) for each instance that came before."""
    held: set[str] = set()

    async def step(acceptor: Acceptor) -> None:
        uid = acceptor.store.sop_instance_uid
        if uid in held:
            await acceptor.answer(0x0111)
            return
        held.add(uid)
        await (otherwise or behaves())(acceptor)

    return step


def beyond(limit: int, rejects: Step, otherwise: Step | None = None) -> Step:
    """For ``on_request``: reject while so many associations are open."""
    accepted: list[Acceptor] = []

    async def step(acceptor: Acceptor) -> None:
        accepted[:] = [each for each in accepted if each.is_open]
        if len(accepted) >= limit:
            await rejects(acceptor)
            return
        accepted.append(acceptor)
        await (otherwise or behaves())(acceptor)

    return step
