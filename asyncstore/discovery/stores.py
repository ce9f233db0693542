"""Remote stores (fsspec): how they are opened and asked, and what their errors mean.

Rules:

1. Requests that fail are repeated, except where the answer will not change: no such object, no rights. A store that
   is not reached is given up, soon if it has never answered, otherwise after a minute. Then requests fail at once, so a
   long list of objects comes to its end. Now and then one is made, to see whether the store is back.
2. The usual variables and files of each store have the credentials. A URL with a password is refused: others on the
   machine can read it, and it would be shown. Messages name kinds of errors, and not what a library says about them.
"""

from __future__ import annotations

import os
import re
from functools import lru_cache
from itertools import count
from time import monotonic, sleep
from typing import TYPE_CHECKING, Any, TypeVar

from asyncstore.errors import UsageError
from asyncstore.members import STORE, is_url

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

T = TypeVar("T")

_S3 = ("s3", "s3a")
_PACKAGES = {
    "s3": "asyncstore with its extra remote",
    "s3a": "asyncstore with its extra remote",
    "gs": "the package gcsfs",
    "gcs": "the package gcsfs",
    "az": "the package adlfs",
    "abfs": "the package adlfs",
    "abfss": "the package adlfs",
    "sftp": "the package paramiko",
    "ssh": "the package paramiko",
    "memory": "asyncstore with its extra remote",
}
"""What reads the stores of each scheme."""
ONE_AT_A_TIME = ("sftp", "ssh")
"""Their library has one connection."""

_SECRETS = re.compile(r"[?&][\w-]*(sig|signature|token|secret|password|key)=", re.IGNORECASE)
"""Parameters of URLs that give access, such as the shared access signatures of Azure."""

_PAUSES = (0.5, 1.0, 2.0, 4.0)
"""Seconds before a request is repeated."""
_MOST_AGAIN = 2
"""How often a request is repeated while the store has not answered yet. If it is silent, it is not asked again."""
_PATIENCE = 60.0
"""Seconds for which requests are repeated while a store that has answered is not reached: it may start again."""
_ASK_AGAIN = 10.0
"""Seconds between two requests to a store that was given up."""
_CONNECT_SECONDS = 10
"""Within these a connection must be made: TCP sends a lost SYN again after 1, 3 and 7 seconds."""
_READ_SECONDS = 15
"""Within these the next bytes must come, as s3fs has it."""
_MOST_WRAPPED = 10

_UNREACHABLE = "the store cannot be reached"
GONE = "no such object"


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


class Store:
    """A remote store.

    Args:
        root: its URL, without anything in it.
        system: fsspec's object.
        scheme: of its URLs.
    """

    def __init__(self, root: str, system: Any, scheme: str) -> None:  # noqa: ANN401 - fsspec has no types
        self.root, self.system, self.scheme = root, system, scheme
        self._answered_at: float | None = None
        """When it answered the last time."""
        self._is_given_up = False
        self._ask_again_at = 0.0
        self._reason = ""
        """Why it was given up."""

    def place(self, name: str) -> str:
        """What fsspec calls the object of this name."""
        return str(self.system._strip_protocol(f"{self.root}/{name}"))  # noqa: SLF001 - fsspec has no other name for it

    def ask(self, request: Callable[[], T]) -> T:
        """Make a request, again if it fails in a way that may pass (rule 1).

        Raises:
            Refused: it failed.
        """
        since: float | None = None
        for attempt in count():
            if self._is_given_up and monotonic() < self._ask_again_at:
                raise Refused(self._reason)
            try:
                answer = request()
            except Exception as error:
                since = monotonic() if since is None else since
                if not self._may_pass(error, attempt, since):
                    raise Refused(_reason(error)) from error
            else:
                self._answered()
                return answer
            sleep(_PAUSES[min(attempt, len(_PAUSES) - 1)])
        raise AssertionError

    def _answered(self) -> None:
        self._answered_at = monotonic()
        self._is_given_up = False

    def _may_pass(self, error: Exception, attempt: int, since: float) -> bool:
        """Whether a request that failed for the first time at ``since`` is made again."""
        problem = _problem_of(error)
        if problem is None:
            self._answered()
            return attempt < len(_PAUSES) and not _is_final(error)
        if self._is_given_up:
            is_again = False
        elif self._answered_at is None:
            is_again = attempt < _MOST_AGAIN and problem not in (_NO_ANSWER, _NO_SSH)
        else:
            is_again = monotonic() - since < _PATIENCE
        if not is_again and (self._answered_at is None or self._answered_at <= since):
            self._is_given_up = True
            self._ask_again_at = monotonic() + _ASK_AGAIN
            self._reason = _reason(error)
        return is_again


def opened_store(url: str) -> tuple[Store, str]:
    """The store of a URL, and the name of the object or the prefix.

    Raises:
        UsageError: the URL holds a password.
        Refused: a library is missing, or the store cannot be used.
    """
    check_url(url)
    if not is_url(url):
        raise Refused("not the URL of a store that can be read")
    root, name = split_url(url)
    return _store(root, root.partition(STORE)[0]), name


def split_url(url: str) -> tuple[str, str]:
    """The URL of the store, and the name in it."""
    scheme, _, rest = url.partition(STORE)
    place, _, name = rest.partition("/")
    return f"{scheme}{STORE}{place}", name


@lru_cache(16)
def _store(root: str, scheme: str) -> Store:
    try:
        system = _system(root, scheme)
    except ImportError:
        raise Refused(f"no library that reads {scheme}:// is installed: install {_PACKAGES[scheme]}") from None
    except Exception as error:
        raise Refused(_reason(error)) from error
    return Store(root, system, scheme)


def _system(root: str, scheme: str) -> Any:  # noqa: ANN401 - fsspec has no types
    """The object of fsspec for a store. It soon notices that a server is gone, unless the user set other times.

    Raises:
        ImportError: a library is not installed.
        Exception: fsspec, or its library, cannot use the store.
    """
    from fsspec.config import conf  # type: ignore[import-untyped]
    from fsspec.core import url_to_fs  # type: ignore[import-untyped]

    if scheme in _S3:
        waits = {"connect_timeout": _CONNECT_SECONDS, "read_timeout": _READ_SECONDS}
        own = {**waits, "retries": {"total_max_attempts": 1}}
        users = conf.get("s3", {}) | conf.get(scheme, {})
        system, _ = url_to_fs(f"{root}/", config_kwargs=own | users.get("config_kwargs", {}))
        system.retries = 1  # requests are repeated here
    elif scheme in ONE_AT_A_TIME:
        from asyncstore.discovery.sftp import opened

        waits = dict.fromkeys(("timeout", "banner_timeout", "auth_timeout"), _CONNECT_SECONDS)
        users = conf.get("sftp", {}) | conf.get("ssh", {})
        system = opened(f"{root}/", {"read_seconds": _READ_SECONDS, **waits} | users)
    else:
        system, _ = url_to_fs(f"{root}/")
    return system


def _is_final(error: BaseException) -> bool:
    """Whether the same request will fail again."""
    if isinstance(error, FileNotFoundError | PermissionError | ImportError | NotImplementedError):
        return True
    if type(error).__name__ in _HOST_KEYS:
        return True
    return _problem_of(error) is None and any(word in f"{type(error).__name__} {error}" for word in _FINAL)


_FINAL = (
    "NoCredentials",
    "InvalidAccessKeyId",
    "SignatureDoesNotMatch",
    "AccessDenied",
    "NoSuchBucket",
    "Credential",
    "Authentication",
)
_HOST_KEYS = {
    "UnknownHostKey": "the host key of the store is not known",
    "BadHostKeyException": "the host key of the store is another one than was known",
}
"""What classes of errors mean. Such a server may not be the one that was meant."""

_NO_SSH = "it does not answer as an SSH server"
_REFUSED, _NO_ANSWER, _NO_HOST = "it refuses connections", "it does not answer", "its host name is not known"
_PROBLEMS = {
    "ConnectionRefusedError": _REFUSED,
    "NoValidConnectionsError": _REFUSED,
    "gaierror": _NO_HOST,
    "ClientConnectorDNSError": _NO_HOST,
    "TimeoutError": _NO_ANSWER,
    "ConnectTimeoutError": _NO_ANSWER,
    "ReadTimeoutError": _NO_ANSWER,
    "FSTimeoutError": _NO_ANSWER,
    "SSHException": _NO_SSH,
    "EndpointConnectionError": "no connection can be made",
}
"""What classes of errors mean, the most telling ones first: each library wraps those of others."""


_ANSWERS = {"AuthenticationException", *_HOST_KEYS}
"""Classes of errors that come with an answer."""


def _problem_of(error: BaseException) -> str | None:
    """Why a store cannot be reached; ``None``: it can be, as far as the error says."""
    names = {kind.__name__ for one in _chain(error) for kind in type(one).__mro__}
    if names & _ANSWERS:
        return None
    return next((problem for name, problem in _PROBLEMS.items() if name in names), None)


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The error, and those behind it."""
    following: BaseException | None = error
    for _ in range(_MOST_WRAPPED):
        if following is None:
            return
        yield following
        following = following.__cause__ or following.__context__


def _address_in(error: BaseException) -> str:
    """Where the request went, as botocore says it."""
    url = str(getattr(error, "kwargs", {}).get("endpoint_url", ""))
    return url.partition(STORE)[2].partition("/")[0].rpartition("@")[2]


def _reason(error: BaseException) -> str:
    """What went wrong, in our words: those of libraries may hold keys."""
    if isinstance(error, FileNotFoundError):
        return GONE
    if type(error).__name__ in _HOST_KEYS:
        return _HOST_KEYS[type(error).__name__]
    if isinstance(error, PermissionError) or _is_final(error):
        return "the store refuses it: check the credentials, and what they allow"
    problem = _problem_of(error)
    if problem is None and isinstance(error, OSError) and error.errno:
        problem = os.strerror(error.errno)
    address = _address_in(error)
    return f"{_UNREACHABLE}{f' at {address}' if address else ''}: {problem or type(error).__name__}"
