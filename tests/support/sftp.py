"""An SFTP server in this process, which serves the files below a folder to one user with one password (paramiko)."""

from __future__ import annotations

import os
import socket
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

import paramiko

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

USER, PASSWORD = "archive", "hunter2"


class Server(NamedTuple):
    """A running server."""

    port: int
    key: paramiko.PKey
    """Its host key."""

    def known_hosts(self) -> str:
        """The line of a file of known hosts that names it."""
        return f"[127.0.0.1]:{self.port} {self.key.get_name()} {self.key.get_base64()}\n"


class _Login(paramiko.ServerInterface):
    """Lets the one user in."""

    def check_auth_password(self, username, password):
        is_right = (username, password) == (USER, PASSWORD)
        return paramiko.AUTH_SUCCESSFUL if is_right else paramiko.AUTH_FAILED

    def check_channel_request(self, kind, chanid):
        del kind, chanid
        return paramiko.OPEN_SUCCEEDED

    def get_allowed_auths(self, username):
        del username
        return "password"


class _Open(paramiko.SFTPHandle):
    """An open file."""

    def stat(self):
        return paramiko.SFTPAttributes.from_stat(os.fstat(self.readfile.fileno()))


class _Files(paramiko.SFTPServerInterface):
    """The files below a folder; nothing is written."""

    def __init__(self, server, folder, *words, **options):
        super().__init__(server, *words, **options)
        self._folder = folder

    def _place(self, path):
        return self._folder / self.canonicalize(path).lstrip("/")

    def list_folder(self, path):
        try:
            found = sorted(self._place(path).iterdir())
            return [paramiko.SFTPAttributes.from_stat(one.lstat(), one.name) for one in found]
        except OSError as error:
            return paramiko.SFTPServer.convert_errno(error.errno)

    def stat(self, path):
        try:
            return paramiko.SFTPAttributes.from_stat(self._place(path).stat())
        except OSError as error:
            return paramiko.SFTPServer.convert_errno(error.errno)

    def open(self, path, flags, attr):
        del flags, attr
        try:
            handle = _Open(os.O_RDONLY)
            handle.readfile = self._place(path).open("rb")
        except OSError as error:
            return paramiko.SFTPServer.convert_errno(error.errno)
        return handle


@contextmanager
def running_sftp(folder: Path) -> Iterator[Server]:
    """Serve the files below a folder."""
    key = paramiko.ECDSAKey.generate()
    transports: list[paramiko.Transport] = []

    def serve() -> None:
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            transport = paramiko.Transport(connection)
            transports.append(transport)
            transport.add_server_key(key)
            transport.set_subsystem_handler("sftp", paramiko.SFTPServer, _Files, folder)
            transport.start_server(threading.Event(), _Login())

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=serve, name="sftp")
        thread.start()
        try:
            yield Server(listening.getsockname()[1], key)
        finally:
            listening.shutdown(socket.SHUT_RDWR)
            thread.join()
            for transport in transports:
                transport.close()
                transport.join()
