"""A TLS session over a TCP connection: the handshake, then a link with the interface of a plain one.

Rules:

1. OpenSSL works on memory. The plain :class:`~asyncstore.network.link.Link` beneath handles the socket: gather writes,
   waiting, ``TCP_NODELAY``, ``TCP_QUICKACK``, ends. So OpenSSL never waits for the socket, and
   :attr:`TlsLink.bytes_sent` counts the bytes that the kernel took. (Measured: no slower than OpenSSL on the socket
   itself, which reads and writes single records of 16 kB.)
2. Buffers are joined before encryption, because OpenSSL makes a record of each write, even of a PDU's header. Waiting
   data stays unencrypted until the kernel can take it.
3. Before it closes, a link sends a close_notify if the socket takes it at once (RFC 8446 6.1), and awaits none.
"""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Literal, cast

from asyncstore.errors import TimedOut, TlsFailed, TlsInterrupted
from asyncstore.named_tuple import NamedTuple
from asyncstore.network.link import Link, reason_of
from asyncstore.network.tls_failures import translated

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Sequence

    from asyncstore.protocol.pdu import Octets

_JOIN_SIZE = 1 << 18
"""The least bytes to encrypt at a time, if so many wait. Measured: 16 kB are a quarter slower, 64 kB to 1 MB equal."""
_RECEIVE_SIZE = 1 << 18
"""The most decrypted bytes handed over at a time; records hold 16 kB (RFC 8446 5.1)."""
_HANDSHAKE_SIZE = 1 << 16
_CLOSED = ssl.SSLZeroReturnError()
"""The peer's close_notify."""


class Session(NamedTuple):
    """A TLS session, with memory in place of the socket.

    Attributes:
        peer: the other side, as ``host:port``.
        host: the host that the peer's certificate must belong to; ``None``: any.
        tls: OpenSSL's object.
        incoming: received bytes to decrypt.
        outgoing: encrypted bytes to send.
    """

    peer: str
    host: str | None
    tls: ssl.SSLObject
    incoming: ssl.MemoryBIO
    outgoing: ssl.MemoryBIO

    @classmethod
    def begin(
        cls,
        context: ssl.SSLContext,
        peer: str,
        *,
        is_acceptor: bool = False,
        server_name: str | None = None,
        host: str | None = None,
    ) -> Session:
        """A new session, before its handshake."""
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = context.wrap_bio(incoming, outgoing, server_side=is_acceptor, server_hostname=server_name)
        return cls(peer, host, tls, incoming, outgoing)

    def failure(self, error: ssl.SSLError) -> TlsFailed:
        """The project's error for one of OpenSSL's in this session."""
        return translated(error, self.peer, self.tls, self.host)


async def shake_hands(
    connected: socket.socket, session: Session, seconds: float | None, limit: Literal["connect", "acse"] | None = None
) -> None:
    """Do the handshake of a new session.

    Args:
        connected: the connection; the caller closes it.
        session: the session.
        seconds: the time limit; ``None``: no limit.
        limit: the timeout that sets this limit, for the error; ``None``: another one.

    Raises:
        AssociationError: it failed, or took too long.
    """
    connected.setblocking(False)
    try:
        async with asyncio.timeout(seconds):
            await _shake_hands(connected, session)
    except TimeoutError as error:
        has_answered = session.tls.cipher() is not None
        raise TimedOut(
            session.peer, "end of the TLS handshake", seconds or 0.0, limit, may_be_plain=not has_answered
        ) from error
    except OSError as error:
        if isinstance(error, ssl.SSLError):
            raise session.failure(error) from error
        raise _interrupted(session, reason_of(error)) from error


async def _shake_hands(connected: socket.socket, session: Session) -> None:
    loop = asyncio.get_running_loop()
    while True:
        try:
            session.tls.do_handshake()
        except ssl.SSLWantReadError:
            await _flush(connected, session)
        except ssl.SSLError:
            with suppress(OSError):  # try to send the alert that tells the peer why
                await _flush(connected, session)
            raise
        else:
            await _flush(connected, session)
            return
        received = await loop.sock_recv(connected, _HANDSHAKE_SIZE)
        if not received:
            raise _interrupted(session, "closed by the peer")
        session.incoming.write(received)


def _interrupted(session: Session, how: str) -> TlsInterrupted:
    return TlsInterrupted(session.peer, f"the connection was {how} during the handshake", "interrupted")


async def _flush(connected: socket.socket, session: Session) -> None:
    if session.outgoing.pending:
        await asyncio.get_running_loop().sock_sendall(connected, session.outgoing.read())


class TlsLink(Link):
    """A link over a TLS session.

    Args:
        connected: the socket; the link owns it from now on.
        session: the session, after its handshake.
        on_bytes: as in :class:`~asyncstore.network.link.Link`, with decrypted bytes.
        on_end: the same; called with the error itself if TLS failed.
        on_drained: the same.
    """

    def __init__(
        self,
        connected: socket.socket,
        session: Session,
        on_bytes: Callable[[memoryview], None],
        on_end: Callable[[str | TlsFailed | None], None],
        on_drained: Callable[[], None],
    ) -> None:
        super().__init__(connected, self._encrypted, on_end, self._taken)
        self._session = session
        self._on_plain, self._on_failed, self._on_all_taken = on_bytes, on_end, on_drained
        self._plain: deque[Octets] = deque()
        self._decrypted = self._received
        """Shared with the plain link, whose encrypted bytes the session has copied by then."""
        self._loop.call_soon(self._decrypt)  # the peer's first bytes may have arrived with the end of its handshake

    @property
    def is_blocked(self) -> bool:
        """Whether data waits because the peer does not take it."""
        return bool(self._plain or self._waiting)

    @property
    def is_ready(self) -> bool:
        """Whether data sent now leaves at once: nothing waits, and the connection is open."""
        return not (self._plain or self._waiting or self._is_closed)

    def send(self, buffers: Sequence[Octets]) -> None:
        """Send ``buffers``, which must not change until :attr:`is_blocked` is false. A closed link drops them."""
        if not self._is_closed:
            self._plain.extend(buffers)
            self._encrypt()

    def send_one(self, buffer: Octets) -> None:
        """Send one buffer over a link that :attr:`is_ready`."""
        self.send((buffer,))

    def hand_over(
        self,
        on_bytes: Callable[[memoryview], None],
        on_end: Callable[[str | TlsFailed | None], None],
        on_drained: Callable[[], None],
    ) -> None:
        """Call these callbacks from now on, instead of those that the link was made with."""
        super().hand_over(self._encrypted, on_end, self._taken)
        self._on_plain, self._on_failed, self._on_all_taken = on_bytes, on_end, on_drained

    def close(self) -> None:
        """Close the connection now and drop waiting data."""
        if not self._is_closed and not self.is_blocked:
            with suppress(OSError):  # also SSLWantRead: the peer's close_notify is not awaited
                self._session.tls.unwrap()
            with suppress(OSError):
                self._socket.send(self._session.outgoing.read())
        self._plain.clear()
        super().close()

    def _encrypt(self) -> None:
        """Encrypt and send as much as the kernel takes at once."""
        while self._plain and not self._waiting and not self._is_closed:
            try:
                self._session.tls.write(self._next_chunk())
            except ssl.SSLError as error:
                self._failed(error)
                return
            self._flush()

    def _next_chunk(self) -> Octets:
        chunk = [self._plain.popleft()]
        size = len(chunk[0])
        while self._plain and size < _JOIN_SIZE:
            chunk.append(self._plain.popleft())
            size += len(chunk[-1])
        return chunk[0] if len(chunk) == 1 else b"".join(chunk)

    def _taken(self) -> None:
        """The kernel has taken all encrypted bytes."""
        self._encrypt()
        if not self.is_blocked and not self._is_closed:
            self._on_all_taken()

    def _encrypted(self, data: memoryview) -> None:
        self._session.incoming.write(data)
        self._decrypt()

    def _decrypt(self) -> None:
        """Hand over decrypted bytes, and send the answers of TLS itself."""
        while not self._is_closed:
            length, end = self._read()
            self._flush()
            if length:
                self._on_plain(self._decrypted[:length])
            if end is not None and not self._is_closed:
                self._ended(None) if end is _CLOSED else self._failed(end)
            elif length < _RECEIVE_SIZE:
                return

    def _read(self) -> tuple[int, ssl.SSLError | None]:
        """Decrypt what fits into the buffer. Returns the number of bytes, and the end of the session if it has come."""
        length = 0
        try:
            while length < _RECEIVE_SIZE:
                # With a buffer it returns a number; its type stub does not say so.
                count = cast("int", self._session.tls.read(_RECEIVE_SIZE, self._decrypted[length:]))
                if not count:
                    return length, _CLOSED
                length += count
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLError as error:
            return length, error
        return length, None

    def _flush(self) -> None:
        if self._session.outgoing.pending:
            super().send([self._session.outgoing.read()])

    def _ended(self, reason: str | None) -> None:
        """The connection has ended. If the peer reset it, an unread alert may say why."""
        alert = None if reason is None else self._unread_alert()
        if alert is None:
            super()._ended(reason)
        else:
            self._failed(alert)

    def _unread_alert(self) -> ssl.SSLError | None:
        with suppress(OSError):
            self._session.incoming.write(self._socket.recv(_RECEIVE_SIZE))
        end = self._read()[1]
        return None if end is _CLOSED else end

    def _failed(self, error: ssl.SSLError) -> None:
        self.close()
        self._loop.call_soon(self._on_failed, self._session.failure(error))
