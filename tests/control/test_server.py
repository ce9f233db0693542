"""The socket beside a journal: who may use it, what lies there before and afterwards, and clients that mean no good."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import stat
import sys
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from asyncstore.control.client import ask
from asyncstore.control.place import address_of, socket_of
from asyncstore.control.server import LONGEST_LINE, MOST_CONNECTIONS, Server
from asyncstore.control.steering import request_line
from asyncstore.errors import ControlDenied, ControlFailed, JournalMissing, NoRun
from support.oracle import until

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there are no Unix sockets that asyncio can use")


@pytest.fixture
def journal(tmp_path):
    path = tmp_path / "run.db"
    path.touch()
    return str(path)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def remove(path):
    Path(path).unlink()


@asynccontextmanager
async def serving(journal, world, patience=5.0):
    async with Server(socket_of(journal), world.steering.answer, patience):
        yield


@asynccontextmanager
async def connected(journal):
    with address_of(socket_of(journal)) as address:
        reader, writer = await asyncio.open_unix_connection(address)
        try:
            yield reader, writer
        finally:
            writer.transport.abort()


async def test_a_request_is_answered(journal, world):
    async with serving(journal, world):
        assert (await ask(journal, "pause"))["ok"]
        assert (await ask(journal, "status"))["status"]["state"] == "paused"
        assert "unknown request" in (await ask(journal, "nonsense"))["error"]
    assert world.run.asked == ["pause"]


async def test_only_the_owner_may_use_the_socket_and_nothing_stays_behind(journal, world, tmp_path):
    async with serving(journal, world):
        mode = os.lstat(socket_of(journal)).st_mode
        assert stat.S_ISSOCK(mode)
        assert stat.S_IMODE(mode) == 0o600
        assert names(tmp_path) == ["run.db", "run.db-ctl"]
    assert names(tmp_path) == ["run.db"]


async def test_the_socket_has_its_mode_before_it_has_its_name(journal, world, monkeypatch):
    modes = []
    rename = os.rename

    def renaming(source, target):
        modes.extend(stat.S_IMODE(path.lstat().st_mode) for path in (Path(source).parent, Path(source)))
        rename(source, target)

    monkeypatch.setattr(os, "rename", renaming)
    async with serving(journal, world):
        assert modes == [0o700, 0o600]


async def test_a_socket_that_a_killed_run_left_is_replaced(journal, world):
    left = socket.socket(socket.AF_UNIX)
    left.bind(socket_of(journal))
    left.close()
    async with serving(journal, world):
        assert (await ask(journal, "status"))["ok"]


async def test_a_socket_at_which_somebody_answers_is_not_replaced(journal, world):
    async with serving(journal, world):
        with pytest.raises(ControlFailed, match="another run has it"):
            async with serving(journal, world):
                pass
        assert (await ask(journal, "status"))["ok"]


@pytest.mark.parametrize("kind", ["file", "folder", "link"])
async def test_what_is_no_socket_is_not_replaced(journal, world, kind, tmp_path):
    path = tmp_path / "run.db-ctl"
    {"file": path.touch, "folder": path.mkdir, "link": lambda: path.symlink_to("run.db")}[kind]()
    with pytest.raises(ControlFailed, match="another file"):
        async with serving(journal, world):
            pass
    assert len(names(tmp_path)) == 2


async def test_the_socket_of_somebody_else_who_took_the_name_stays(journal, world):
    async with serving(journal, world):
        remove(socket_of(journal))
        other = socket.socket(socket.AF_UNIX)
        other.bind(socket_of(journal))
    assert names(Path(journal).parent) == ["run.db", "run.db-ctl"]
    other.close()


async def test_a_folder_that_cannot_be_written_to_is_an_error_with_its_reason(world, tmp_path):
    with pytest.raises(ControlFailed, match="No such file or directory"):
        async with serving(str(tmp_path / "gone" / "run.db"), world):
            pass


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere such paths are refused")
async def test_a_path_that_is_too_long_for_a_socket_works_nevertheless(world, tmp_path):
    folder = tmp_path
    for _ in range(4):
        folder /= "x" * 60
    folder.mkdir(parents=True)
    path = folder / f"{'j' * 200}.db"
    path.touch()
    async with serving(str(path), world):
        assert (await ask(str(path), "pause"))["ok"]
        assert len(names(folder)) == 2
    assert len(names(folder)) == 1


async def test_a_path_that_is_too_long_is_an_error_where_proc_is_missing(world, tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "platform", "darwin")
    path = tmp_path / ("j" * 150)
    path.touch()
    with pytest.raises(ControlFailed, match="longer than the 103 bytes"):
        async with serving(str(path), world):
            pass
    assert names(tmp_path) == [path.name]


async def test_without_unix_sockets_there_is_an_error(journal, world, monkeypatch):
    monkeypatch.setattr(sys, "platform", "win32")
    with pytest.raises(ControlFailed, match="no Unix sockets"):
        async with serving(journal, world):
            pass


@pytest.mark.parametrize(
    "sent",
    [b"garbage\n", b"\0\xff" * 100 + b"\n", b"{}\n", b'{"version":1,"request":"pause"', b"x" * (2 * LONGEST_LINE)],
    ids=["garbage", "binary", "no request", "cut off", "a giant line"],
)
async def test_input_that_is_no_request_gets_an_error(journal, world, sent):
    async with serving(journal, world):
        async with connected(journal) as (reader, writer):
            writer.write(sent)
            writer.write_eof()
            answer = json.loads(await reader.readline())
        assert answer["ok"] is False
        assert (await ask(journal, "status"))["ok"]
    assert world.run.asked == []


async def test_a_client_that_says_nothing_is_sent_away(journal, world):
    async with serving(journal, world, patience=0.05), connected(journal) as (reader, _):
        assert await reader.read() == b""


async def test_a_client_that_leaves_at_once_is_no_trouble(journal, world):
    async with serving(journal, world):
        for _ in range(20):
            async with connected(journal):
                pass
            async with connected(journal) as (_, writer):
                writer.write(request_line("status"))
        assert await _soon(journal)


@pytest.mark.slow
async def test_a_client_that_never_reads_is_sent_away(journal):
    async with (
        Server(socket_of(journal), lambda _: b"x" * (1 << 24), 0.05) as server,
        connected(journal) as (reader, writer),
    ):
        writer.transport.pause_reading()
        writer.write(request_line("status"))
        await until(lambda: server._tasks)  # noqa: SLF001 - it knows whom it serves
        await until(lambda: not server._tasks)  # noqa: SLF001 - as above
        writer.transport.resume_reading()
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await reader.readexactly(1 << 24)


async def test_more_clients_than_a_few_are_refused_and_the_others_are_served(journal, world):
    async with serving(journal, world):
        idle = [connected(journal) for _ in range(MOST_CONNECTIONS)]
        opened = [await each.__aenter__() for each in idle]
        assert "too many" in (await ask(journal, "status"))["error"]
        _, writer = opened[0]
        writer.write(request_line("pause"))
        assert json.loads(await opened[0][0].readline())["ok"]
        for each in idle:
            await each.__aexit__(None, None, None)
        assert await _soon(journal)


async def _soon(journal):
    """Whether a request is answered once earlier connections have ended."""
    for _ in range(500):
        if (await ask(journal, "status"))["ok"]:
            return True
        await asyncio.sleep(0.01)
    return False


async def test_clients_end_with_the_server(journal, world):
    async with serving(journal, world):
        opened = connected(journal)
        reader, _ = await opened.__aenter__()
        await asyncio.sleep(0)
    assert await reader.read() == b""
    await opened.__aexit__(None, None, None)


class TestAsking:
    async def test_without_a_journal(self, tmp_path):
        with pytest.raises(JournalMissing):
            await ask(str(tmp_path / "none.db"), "status")

    async def test_without_a_run(self, journal):
        with pytest.raises(NoRun, match="no run writes to this journal now") as caught:
            await ask(journal, "status")
        assert not caught.value.is_held

    async def test_a_run_that_was_killed(self, journal):
        left = socket.socket(socket.AF_UNIX)
        left.bind(socket_of(journal))
        left.close()
        with pytest.raises(NoRun):
            await ask(journal, "status")

    @pytest.mark.parametrize("is_long", [False, True])
    async def test_the_run_of_another_user(self, journal, monkeypatch, is_long):
        async def refuse(*_, **__):
            raise PermissionError(13, "Permission denied")

        if is_long and sys.platform != "linux":
            pytest.skip("elsewhere long paths are refused")
        monkeypatch.setattr(asyncio, "open_unix_connection", refuse)
        with pytest.raises(ControlDenied, match="belongs to"):
            await ask(journal, "status")

    async def test_a_run_that_does_not_answer(self, journal):
        silent = socket.socket(socket.AF_UNIX)
        silent.bind(socket_of(journal))
        silent.listen()
        with pytest.raises(ControlFailed, match=r"did not answer within 0\.05 s"):
            await ask(journal, "status", patience=0.05)
        silent.close()

    @pytest.mark.parametrize(("answer", "words"), [(b"", "ended before it answered"), (b"[]\n", "makes no sense")])
    async def test_an_answer_that_is_none(self, journal, answer, words):
        async def serve(reader, writer):
            await reader.readline()
            writer.write(answer)
            writer.close()

        async with await asyncio.start_unix_server(serve, socket_of(journal)):
            with pytest.raises(ControlFailed, match=words):
                await ask(journal, "status")
