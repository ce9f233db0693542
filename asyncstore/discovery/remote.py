"""Objects of remote stores (fsspec): S3, Google Cloud Storage, Azure, SFTP, and memory for tests.

Rules:

1. Objects come in the order of their names, directory by directory, as files do. Memory holds the names in the
   directories on the way down.
2. An object is fetched when it is asked for, into the spool; the next ones are fetched meanwhile, in threads, within
   some bytes. Threads are daemons: a server that is gone delays no end.
3. An object is the one that was listed, by its ETag or time and its size; otherwise it has changed, and is not sent.
"""

from __future__ import annotations

from collections import deque
from functools import partial
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

from asyncstore.discovery.ahead import threads
from asyncstore.discovery.stores import GONE, ONE_AT_A_TIME, Refused, opened_store
from asyncstore.members import Damaged, MemberPath

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from concurrent.futures import Future

    from asyncstore.discovery.stores import Store

_PIECE = 1 << 23
"""Bytes of one request: a larger object takes several, which run side by side."""
_SIDE_BY_SIDE = 8
_TIME_BITS = (1 << 63) - 1

_LINK = "a symbolic link that leads to no file, and is not followed"
_CHANGED = "the object was changed since it was found"


def objects(url: str, *, recurse: bool, wanted: Callable[[str], bool]) -> Iterator[MemberPath]:
    """The objects at a URL: one, or all below a prefix.

    Args:
        url: its URL.
        recurse: whether prefixes below it are listed too.
        wanted: whether an object below a prefix is taken, by its last name.

    Raises:
        Refused: there are none, or they cannot be listed.
        UsageError: the URL holds a password.
    """
    store, name = opened_store(url)
    name = name.rstrip("/")
    if name:
        info = store.ask(partial(_info, store, name))
        if info is not None and info["type"] == "file":
            yield _object(store, name, info)
            return
    yield from _below(store, name, recurse=recurse, wanted=wanted)


def object_at(archive: str, name: str) -> MemberPath:
    """The object of this name in the store of this URL.

    Raises:
        Refused: there is none, or it cannot be reached.
    """
    store, _ = opened_store(f"{archive}/")
    info = store.ask(partial(_info, store, name))
    if info is None or info["type"] != "file":
        raise Refused(GONE)
    return _object(store, name, info)


def _below(store: Store, name: str, *, recurse: bool, wanted: Callable[[str], bool]) -> Iterator[MemberPath]:
    """The objects below a prefix, depth first, without recursion."""
    pending = [_listing(store, name)]
    is_first = True
    while pending:
        for below, info in pending[-1]:
            is_first = False
            if info["type"] == "directory":
                if recurse:
                    pending.append(_listing(store, below))
                    break
            elif wanted(below.rpartition("/")[2]):
                yield _link(store, below) if info["type"] == "link" else _object(store, below, info)
        else:
            pending.pop()
    if is_first:
        raise Refused("no such object, and nothing below such a prefix")


def _listing(store: Store, name: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """The entries of one directory, by name."""
    place = store.place(name)
    entries = store.ask(partial(_ls, store, place))
    prefix = f"{name}/" if name else ""
    start = len(place.rstrip("/")) + 1
    named = [(prefix + entry["name"].rstrip("/")[start:], entry) for entry in entries]
    named.sort(key=lambda pair: pair[0])
    for below, info in named:
        if below.rstrip("/") != name:  # some stores have an object for the directory itself
            yield below, info


def _ls(store: Store, place: str) -> list[dict[str, Any]]:
    try:
        return list(store.system.ls(place, detail=True))
    except FileNotFoundError:
        return []
    finally:
        store.system.invalidate_cache()  # it would keep all names in memory


def _info(store: Store, name: str) -> dict[str, Any] | None:
    try:
        info: dict[str, Any] = store.system.info(store.place(name))
    except FileNotFoundError:
        return None
    return info


def _object(store: Store, name: str, info: dict[str, Any]) -> MemberPath:
    size = int(info.get("size") or 0)
    version = _version(info)
    path = MemberPath(store.root, name, size, version)
    fetching = Fetching(store, name, size, version)
    path.unpack, path.start = fetching.pieces, fetching.start
    return path


def _link(store: Store, name: str) -> MemberPath:
    return MemberPath(store.root, name, unpack=_not_followed)


def _not_followed() -> Iterator[bytes]:
    raise Damaged(_LINK)


def _version(info: dict[str, Any]) -> int:
    """A number that changes with the object."""
    for key in ("ETag", "etag", "md5Hash", "mtime", "LastModified", "last_modified", "updated", "created"):
        value = info.get(key)
        if value:
            told = value.timestamp() if hasattr(value, "timestamp") else value  # listings may have a number
            text = f"{key} {told} {info.get('size')}"
            return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "big") & _TIME_BITS
    return 0


class Fetching:
    """Fetches one object.

    Args:
        store: the store.
        name: the object.
        size: its bytes, as they were listed.
        version: as it was listed.
    """

    def __init__(self, store: Store, name: str, size: int, version: int) -> None:
        self._store, self._name, self._size, self._version = store, name, size, version
        self._first: Future[bytes] | None = None

    def start(self) -> int:
        """Begin to fetch it; returns how many bytes that will hold."""
        if self._first is None:
            self._first = self._request(0)
        return max(min(self._size, _PIECE), 1)

    def pieces(self) -> Iterator[bytes]:
        """Its bytes.

        Raises:
            Damaged: it has changed, or cannot be fetched.
        """
        running = deque([self._first or self._request(0)])
        self._first = None
        position = _PIECE
        size = 0
        while running:
            while position < self._size and len(running) < _SIDE_BY_SIDE:
                running.append(self._request(position))
                position += _PIECE
            try:
                piece = running.popleft().result()
            except Refused as reason:
                raise Damaged(str(reason)) from reason
            size += len(piece)
            yield piece
        if size != self._size or (self._size > _PIECE and not self._is_unchanged()):
            raise Damaged(_CHANGED)

    def _is_unchanged(self) -> bool:
        """Whether all requests were answered from one version of it."""
        self._store.system.invalidate_cache()
        try:
            info = self._store.ask(partial(_info, self._store, self._name))
        except Refused:
            return False
        return info is not None and _version(info) == self._version

    def _request(self, start: int) -> Future[bytes]:
        return threads(1 if self._store.scheme in ONE_AT_A_TIME else _SIDE_BY_SIDE).submit(partial(self._get, start))

    def _get(self, start: int) -> bytes:
        if not self._size:
            return b""
        place = self._store.place(self._name)
        # one byte more than there should be at its end shows that it has grown
        end = start + _PIECE if start + _PIECE < self._size else self._size + 1
        return bytes(self._store.ask(lambda: self._store.system.cat_file(place, start=start, end=end)))
