"""A port where a scraper of metrics asks for one page with HTTP/1.1 (RFC 9112).

Rules:

1. It lives in the event loop of the run, which never waits for it: a page is made when a request is complete, and a
   scraper that does not read it is cut off.
2. Few connections are open, each for a few seconds, with one request of limited length. If more come, the oldest is
   closed: idle connections keep no scraper out.
3. ``GET`` and ``HEAD`` of ``/metrics`` and ``/`` are answered. Anything else is an error.
4. There is no login and no TLS. The address where it listens decides who may ask.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from asyncstore.errors import CannotListen
from asyncstore.network.addresses import address_of, listen
from asyncstore.network.link import reason_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Self

_SECONDS = 10.0
"""Each connection has this long: Prometheus's default scrape_timeout."""
_MOST_OPEN = 16
"""Connections at once. Prometheus uses one; each takes a file descriptor."""
_MOST_BYTES = 8192
"""The longest head of a request. Prometheus sends 400 bytes; servers take at least 8000 (RFC 9112 3)."""
_PATHS = frozenset(("/metrics", "/"))


class ScrapePort:
    """Answers scrapes; a context manager, which closes the port.

    Args:
        host: the address to listen at.
        port: the TCP port; 0 is any free one.

    Raises:
        CannotListen: the address cannot be used.

    Attributes:
        address: the address where it listens, as ``host:port``.
    """

    def __init__(self, host: str, port: int) -> None:
        try:
            self._listening = listen(host, port)
        except (OSError, UnicodeError) as error:
            raise CannotListen(address_of(host, port), reason_of(error), getattr(error, "errno", None)) from error
        self.address = address_of(*self._listening.getsockname()[:2])
        self._open: dict[asyncio.StreamWriter, None] = {}
        """The connections, the oldest first."""
        self._server: asyncio.Server | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._server is not None:
            self._server.close()
        self._listening.close()
        for connection in list(self._open):
            connection.transport.abort()

    async def serve(self, page: Callable[[], bytes], content_type: str) -> None:
        """From now on answer each request with ``page()``. Connections that came before have waited for this."""

        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            self._open[writer] = None
            if len(self._open) > _MOST_OPEN:
                next(iter(self._open)).transport.abort()
            try:
                async with asyncio.timeout(_SECONDS):
                    writer.write(_response(await _head(reader), page, content_type))
                    writer.close()
                    await writer.wait_closed()
            except (OSError, EOFError, TimeoutError):
                pass  # it has gone, or takes too long
            finally:
                writer.transport.abort()
                del self._open[writer]

        self._server = await asyncio.start_server(answer, sock=self._listening, limit=_MOST_BYTES)


async def _head(reader: asyncio.StreamReader) -> bytes | None:
    """The head of a request; ``None`` if it is too long.

    Raises:
        EOFError: the connection was closed before its end.
    """
    try:
        return await reader.readuntil(b"\r\n\r\n")
    except asyncio.LimitOverrunError:
        return None


def _response(head: bytes | None, page: Callable[[], bytes], content_type: str) -> bytes:
    """The response to a request, with the header fields that it needs."""
    if head is None:
        return _message("431 Request Header Fields Too Large")
    method, _, rest = head.partition(b"\r\n")[0].decode("latin-1").partition(" ")
    target, _, version = rest.partition(" ")
    if not version.startswith("HTTP/1."):
        return _message("400 Bad Request")
    if target.partition("?")[0] not in _PATHS:
        return _message("404 Not Found")
    if method not in {"GET", "HEAD"}:
        return _message("405 Method Not Allowed", "Allow: GET, HEAD\r\n")
    content = page()
    return _message("200 OK", f"Content-Type: {content_type}\r\n", content)[
        : -len(content) if method == "HEAD" else None
    ]


def _message(status: str, fields: str = "", content: bytes = b"") -> bytes:
    head = f"HTTP/1.1 {status}\r\n{fields}Content-Length: {len(content)}\r\nConnection: close\r\n\r\n"
    return head.encode("latin-1") + content
