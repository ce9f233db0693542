"""Work that is done in threads ahead of its turn: fetch objects, unpack members.

zlib and the network give the interpreter lock free meanwhile, so the threads use more than one core.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from concurrent.futures import Future
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeVar

from asyncstore.waiting import start_thread

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

T = TypeVar("T")

_IDLE_SECONDS = 0.5
_MOST = 1 << 23
"""Larger members are unpacked at their turn."""
_FEWEST = 1 << 15
"""So are smaller ones: to hand one to a thread takes longer than to unpack it."""
_MOST_THREADS = 8


class Threads:
    """Daemon threads that call functions. They are started when there is work, and end when there has been none.

    Args:
        most: how many.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._changed = threading.Condition()
        self._waiting: deque[tuple[Callable[[], Any], Future[Any]]] = deque()
        self._number = self._idle = 0

    def submit(self, function: Callable[[], T]) -> Future[T]:
        """Call a function in one of the threads."""
        future: Future[T] = Future()
        with self._changed:
            if len(self._waiting) >= self._idle and self._number < self._most:
                start_thread("asyncstore-ahead", self._work)
                self._number += 1
            self._waiting.append((function, future))
            self._changed.notify()
        return future

    def _work(self) -> None:
        while True:
            with self._changed:
                self._idle += 1
                has_work = self._changed.wait_for(lambda: self._waiting, _IDLE_SECONDS)
                self._idle -= 1
                if not has_work:
                    self._number -= 1
                    return
                function, future = self._waiting.popleft()
            try:
                future.set_result(function())
            except BaseException as error:  # noqa: BLE001 - the caller gets it
                future.set_exception(error)
            del function, future


@lru_cache
def threads(number: int) -> Threads:
    """The threads of this process, so many of them."""
    return Threads(number)


class UnpackedInThread:
    """A member that a thread unpacks ahead of its turn.

    Args:
        size: its bytes, unpacked.
        unpack: yields them.
    """

    def __init__(self, size: int, unpack: Callable[[], Iterator[bytes]]) -> None:
        self._size, self._unpack = size, unpack
        self._done: Future[list[bytes]] | None = None

    def start(self) -> int:
        """Begin; returns how many bytes that will hold."""
        if not _FEWEST <= self._size <= _MOST:
            return 0
        if self._done is None:
            self._done = threads(min(os.cpu_count() or 1, _MOST_THREADS)).submit(lambda: list(self._unpack()))
        return self._size

    def pieces(self) -> Iterator[bytes]:
        """Its bytes. It raises what ``unpack`` raises."""
        done, self._done = self._done, None
        try:
            return self._unpack() if done is None else iter(done.result())
        finally:
            done = None  # an error that it holds would keep this frame, and so itself
