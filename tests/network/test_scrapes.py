"""The port for scrapers: what it answers, and that bad scrapers neither keep others out nor stay after the run."""

import asyncio
from contextlib import asynccontextmanager, suppress

import pytest

from asyncstore.errors import CannotListen
from asyncstore.network import scrapes
from asyncstore.network.scrapes import ScrapePort
from support.oracle import GUARD, in_both_loops, nothing_left_behind, until

HOST = "127.0.0.1"
PAGE = b"# a page of metrics\n" * 50


@asynccontextmanager
async def _scraped(page=PAGE):
    """A port that answers; gives its number."""
    async with nothing_left_behind():
        with ScrapePort(HOST, 0) as port:
            await port.serve(lambda: page, "text/plain")
            yield int(port.address.rpartition(":")[2])


async def _answer(port, request):
    """The whole answer to the bytes of a request."""
    async with asyncio.timeout(GUARD):
        reader, writer = await asyncio.open_connection(HOST, port)
        writer.write(request)
        try:
            return await reader.read()
        finally:
            writer.close()
            await writer.wait_closed()


def _request(words="GET /metrics HTTP/1.1", fields="Host: here\r\n"):
    return f"{words}\r\n{fields}\r\n".encode()


@in_both_loops
async def test_a_scraper_gets_the_page_and_its_type():
    async with _scraped() as port:
        head, _, content = (await _answer(port, _request())).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"\r\nContent-Type: text/plain" in head
    assert f"\r\nContent-Length: {len(PAGE)}\r\n".encode() in head
    assert content == PAGE


@pytest.mark.parametrize(
    ("words", "status"),
    [
        ("GET / HTTP/1.1", b"200"),
        ("GET /metrics?name[]=up HTTP/1.0", b"200"),
        ("HEAD /metrics HTTP/1.1", b"200"),
        ("GET /other HTTP/1.1", b"404"),
        ("POST /metrics HTTP/1.1", b"405"),
        ("GET /metrics", b"400"),
        ("\x16\x03\x01", b"400"),
        ("GET /metrics HTTP/2.0", b"400"),
    ],
)
async def test_each_request_has_its_status(words, status):
    async with _scraped() as port:
        head, _, content = (await _answer(port, _request(words))).partition(b"\r\n\r\n")
    assert head.split()[1] == status
    assert (content == PAGE) == (status == b"200" and not words.startswith("HEAD"))


@in_both_loops
async def test_a_request_without_end_is_refused():
    async with _scraped() as port:
        assert (await _answer(port, b"GET /" + b"x" * 9000)).startswith(b"HTTP/1.1 431 ")


@in_both_loops
async def test_scrapers_that_came_early_are_answered_when_the_run_begins():
    with ScrapePort(HOST, 0) as port:
        early = asyncio.create_task(_answer(int(port.address.rpartition(":")[2]), _request()))
        await asyncio.sleep(0.01)
        await port.serve(lambda: PAGE, "text/plain")
        assert (await early).endswith(PAGE)


@in_both_loops
async def test_idle_connections_keep_no_scraper_out():
    async with _scraped() as port:
        idle = [await asyncio.open_connection(HOST, port) for _ in range(40)]
        assert (await _answer(port, _request())).endswith(PAGE)
        for _, writer in idle:
            writer.close()


@pytest.mark.slow
@in_both_loops
async def test_a_scraper_that_does_not_read_is_cut_off():
    """In its time, which is short here, the buffers of the system do not take the whole page."""
    original, scrapes._SECONDS = scrapes._SECONDS, 0.2  # noqa: SLF001 - nobody waits 10 s
    try:
        with ScrapePort(HOST, 0) as port:
            await port.serve(lambda: b"x" * (32 << 20), "text/plain")
            reader, writer = await asyncio.open_connection(HOST, int(port.address.rpartition(":")[2]), limit=1)
            writer.write(_request())
            await until(lambda: port._open)  # noqa: SLF001 - it knows whom it serves
            await until(lambda: not port._open)  # noqa: SLF001 - as above
            async with asyncio.timeout(GUARD):
                with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
                    await reader.readexactly(32 << 20)
            writer.transport.abort()
    finally:
        scrapes._SECONDS = original  # noqa: SLF001 - as above


@in_both_loops
async def test_open_connections_end_with_the_port():
    with ScrapePort(HOST, 0) as port:
        await port.serve(lambda: PAGE, "text/plain")
        reader, writer = await asyncio.open_connection(HOST, int(port.address.rpartition(":")[2]))
        writer.write(b"GET /met")
        await until(lambda: port._open)  # noqa: SLF001 - the test is about a connection that the port knows
    async with asyncio.timeout(GUARD):
        with suppress(ConnectionError):  # a reset is an end, too
            assert await reader.read() == b""
    writer.close()


def test_a_port_in_use_cannot_be_listened_at():
    with ScrapePort(HOST, 0) as port:
        number = int(port.address.rpartition(":")[2])
        with pytest.raises(CannotListen, match=f"cannot listen at {HOST}:{number}: "):
            ScrapePort(HOST, number)


def test_a_name_that_is_none_cannot_be_listened_at():
    with pytest.raises(CannotListen):
        ScrapePort("no such host.invalid", 0)
