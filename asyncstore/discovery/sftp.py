"""SFTP by fsspec and paramiko, with what these lack.

Rules:

1. The host key must be known to ssh (``~/.ssh/known_hosts``), unless the user's settings allow others: a password, and
   patients' data, would go to whoever answers.
2. One request is under way at a time: of two threads that wait for answers, paramiko gives one what is the other's.
3. The first request connects. A connection that was lost is made again by the next one. One on which a request failed
   is not used again.
4. The parts of a file are asked for without waiting for one another: with 32 KiB in a round trip it took 12 times as
   long on loopback.
5. Links to files are files. Others are told as links, and not followed: they may lead in a circle.
"""

from __future__ import annotations

import logging
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import paramiko  # type: ignore[import-untyped]
from fsspec.implementations.sftp import SFTPFileSystem  # type: ignore[import-untyped]

if TYPE_CHECKING:
    from collections.abc import Iterator

logging.getLogger("paramiko").setLevel(logging.CRITICAL)
"""It logs errors that it raises as well, with tracebacks."""


class UnknownHostKey(Exception):
    """ssh does not know the key of the host."""


class _Reject(paramiko.MissingHostKeyPolicy):  # type: ignore[misc] # paramiko has no types
    """Refuses keys that are not known."""

    def missing_host_key(self, client: object, hostname: str, key: object) -> None:
        """Refuse this one."""
        del client, hostname, key
        raise UnknownHostKey


_POLICIES = {"reject": _Reject, "auto_add": paramiko.AutoAddPolicy}
"""The names are fsspec's."""


class Sftp(SFTPFileSystem):  # type: ignore[misc] # fsspec has no types
    """A server.

    Args:
        host: its name or address.
        host_key_policy: what is done about host keys that are not known.
        read_seconds: within these an answer must come.
        options: see :meth:`paramiko.SSHClient.connect`.
    """

    cachable = False

    def __init__(self, host: str, host_key_policy: str = "reject", read_seconds: float = 15, **options: Any) -> None:  # noqa: ANN401 - as paramiko has them
        self._lock = threading.RLock()
        self.client: Any = None
        self._policy, self._read_seconds = _POLICIES[host_key_policy](), read_seconds
        super().__init__(host, **options)

    def _connect(self) -> None:
        """Nothing: fsspec would connect when the object is made, where nobody repeats it."""

    def _make_connection(self) -> None:
        self.client = client = paramiko.SSHClient()
        client.load_system_host_keys()
        client.set_missing_host_key_policy(self._policy)
        try:
            client.connect(self.host, **self.ssh_kwargs)
            self.ftp = client.open_sftp()
        except BaseException:
            client.close()
            raise
        self.ftp.get_channel().settimeout(self._read_seconds)

    @contextmanager
    def _connected(self) -> Iterator[Any]:
        """The connection, for one request."""
        with self._lock:
            transport = None if self.client is None else self.client.get_transport()
            if transport is None or not transport.is_active():
                self._make_connection()
            try:
                yield self.ftp
            except (FileNotFoundError, PermissionError):
                raise
            except BaseException:
                self.client.close()
                raise

    def ls(self, path: str, detail: bool = False) -> list[Any]:  # noqa: FBT001, FBT002 - fsspec's signature
        """The entries of a directory."""
        with self._connected():
            found: list[Any] = super().ls(path, detail=detail)
        return [self._followed(one) for one in found] if detail else found

    def _followed(self, entry: dict[str, Any]) -> dict[str, Any]:
        """The entry, or the file that it leads to."""
        if entry["type"] != "link":
            return entry
        try:
            target = self.info(entry["name"])
        except OSError:
            return entry
        return target if target["type"] == "file" else entry

    def info(self, path: str) -> dict[str, Any]:
        """What is known about a file, or a directory."""
        with self._connected():
            known: dict[str, Any] = super().info(path)
            return known

    def cat_file(self, path: str, start: int = 0, end: int = 0, **_: Any) -> bytes:  # noqa: ANN401 - fsspec's signature
        """These bytes of a file."""
        with self._connected() as connection, connection.open(self._strip_protocol(path)) as file:
            count = min(end, file.stat().st_size) - start
            return b"".join(file.readv([(start, count)])) if count > 0 else b""


def opened(url: str, settings: dict[str, Any]) -> Sftp:
    """The server of a URL.

    Args:
        url: without anything on the server.
        settings: arguments of :class:`Sftp`.
    """
    return Sftp(**settings | Sftp._get_kwargs_from_urls(url))  # noqa: SLF001 - fsspec has no other name for it
