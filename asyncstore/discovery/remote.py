"""Objects of remote stores (fsspec): S3, Google Cloud Storage, Azure, SFTP, and memory for tests.

Rules:

1. Objects come in the order of their names, directory by directory, as files do. Memory holds the names in the
   directories on the way down.
2. An object is fetched when it is asked for, into the spool; the next ones are fetched meanwhile, in threads, within
   some bytes. Threads are daemons: a server that is gone delays no end.
3. An object is the one that was listed, by its ETag or time and its size; otherwise it has changed, and is not sent.
4. Requests that fail are repeated, except where the answer will not change: no such object, no rights.
5. The usual variables and files of each store have the credentials. A URL with a password is refused: others on the
   machine can read it, and it would be shown. Messages name kinds of errors, and not what a library says about them.
"""

from __future__ import annotations

import os
import re
from collections import deque
from functools import lru_cache, partial
from hashlib import blake2b
from time import sleep
from typing import TYPE_CHECKING, Any, NamedTuple

from asyncstore.discovery.ahead import threads
from asyncstore.errors import UsageError
from asyncstore.members import STORE, Damaged, MemberPath, is_url

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from concurrent.futures import Future

_PACKAGES = {
    "s3": "asyncstore[remote]",
    "s3a": "asyncstore[remote]",
    "gs": "gcsfs",
    "gcs": "gcsfs",
    "az": "adlfs",
    "abfs": "adlfs",
    "abfss": "adlfs",
    "sftp": "paramiko",
    "ssh": "paramiko",
    "memory": "asyncstore[remote]",
}
"""What reads the stores of each scheme."""
_ONE_AT_A_TIME = ("sftp", "ssh")
"""Their library has one connection."""

_SECRETS = re.compile(r"[?&][\w-]*(sig|signature|token|secret|password|key)=", re.IGNORECASE)
"""Parameters of URLs that give access, such as the shared access signatures of Azure."""

_PIECE = 1 << 23
"""Bytes of one request: a larger object takes several, which run side by side."""
_SIDE_BY_SIDE = 8
_PAUSES = (0.5, 1.0, 2.0, 4.0)
"""Seconds before a request is repeated."""
_TIME_BITS = (1 << 63) - 1

_GONE = "no such object"
_CHANGED = "the object was changed since it was found"


def check_url(url: str) -> None:
    """Check that a URL may be shown.

    Raises:
        UsageError: it holds a password or a token.
    """
    store = url.partition(STORE)[2].partition("/")[0]
    if ":" in store.rpartition("@")[0] or _SECRETS.search(url):
        scheme = url.partition(STORE)[0]
        error = UsageError(f"a URL of {scheme} holds a password or a token, which others could read")
        error.add_note(f"Leave it out, and set FSSPEC_{scheme.upper()}_PASSWORD in the environment, or use a key.")
        raise error


class Refused(Exception):
    """A store does not give what is asked for; the message is the reason."""


class Store(NamedTuple):
    """A remote store.

    Attributes:
        root: its URL, without anything in it.
        system: fsspec's object.
        scheme: of its URLs.
    """

    root: str
    system: Any
    scheme: str

    def place(self, name: str) -> str:
        """What fsspec calls the object of this name."""
        return str(self.system._strip_protocol(f"{self.root}/{name}"))  # noqa: SLF001 - fsspec has no other name for it


def opened_store(url: str) -> tuple[Store, str]:
    """The store of a URL, and the name of the object or the prefix.

    Raises:
        UsageError: the URL holds a password.
        Refused: a library is missing, or the store cannot be used.
    """
    check_url(url)
    if not is_url(url):
        raise Refused("not the URL of a store that can be read")
    scheme, _, rest = url.partition(STORE)
    place, _, name = rest.partition("/")
    return _store(f"{scheme}{STORE}{place}", scheme), name


@lru_cache(16)
def _store(root: str, scheme: str) -> Store:
    try:
        from fsspec.core import url_to_fs  # type: ignore[import-untyped]  # noqa: PLC0415 - optional

        system, _ = url_to_fs(f"{root}/")
    except ImportError:
        raise Refused(f"no library that reads {scheme}:// is installed: pip install '{_PACKAGES[scheme]}'") from None
    except Exception as error:
        raise Refused(_reason(error)) from error
    return Store(root, system, scheme)


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
        with _translated():
            info = _repeated(partial(_info, store, name))
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
    with _translated():
        info = _repeated(partial(_info, store, name))
    if info is None or info["type"] != "file":
        raise Refused(_GONE)
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
                yield _object(store, below, info)
        else:
            pending.pop()
    if is_first:
        raise Refused("no such object, and nothing below such a prefix")


def _listing(store: Store, name: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """The entries of one directory, by name."""
    place = store.place(name)
    with _translated():
        entries: list[dict[str, Any]] = _repeated(partial(_ls, store, place))
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
            with _translated():
                info = _repeated(partial(_info, self._store, self._name))
        except Refused:
            return False
        return info is not None and _version(info) == self._version

    def _request(self, start: int) -> Future[bytes]:
        return threads(1 if self._store.scheme in _ONE_AT_A_TIME else _SIDE_BY_SIDE).submit(partial(self._get, start))

    def _get(self, start: int) -> bytes:
        if not self._size:
            return b""
        place = self._store.place(self._name)
        # one byte more than there should be at its end shows that it has grown
        end = start + _PIECE if start + _PIECE < self._size else self._size + 1
        with _translated():
            return bytes(_repeated(lambda: self._store.system.cat_file(place, start=start, end=end)))


def _repeated(request: Callable[[], Any]) -> Any:  # noqa: ANN401 - what fsspec returns
    """Make a request, again if it fails in a way that may pass."""
    for pause in _PAUSES:
        try:
            return request()
        except (FileNotFoundError, PermissionError, ImportError, NotImplementedError):
            raise
        except Exception as error:
            if _is_final(error):
                raise
            sleep(pause)
    return request()


_FINAL = ("NoCredentials", "InvalidAccessKeyId", "SignatureDoesNotMatch", "AccessDenied", "NoSuchBucket", "Credential")


def _is_final(error: BaseException) -> bool:
    """Whether the same request will fail again."""
    return any(word in f"{type(error).__name__} {error}" for word in _FINAL)


class _translated:  # noqa: N801 - used as a function
    """Turns the errors of libraries into :class:`Refused`."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> None:
        if isinstance(error, Exception) and not isinstance(error, Refused):
            raise Refused(_reason(error)) from error


def _reason(error: BaseException) -> str:
    """What went wrong, in our words: those of libraries may hold keys."""
    if isinstance(error, FileNotFoundError):
        return _GONE
    if isinstance(error, PermissionError) or _is_final(error):
        return "the store refuses it: check the credentials, and what they allow"
    if isinstance(error, OSError) and error.errno:
        return f"the store cannot be reached: {os.strerror(error.errno)}"
    return f"the store cannot be reached: {type(error).__name__}"
