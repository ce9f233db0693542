"""Limits on the command line: the end of a run's time, lines about limits, requests that change them."""

from __future__ import annotations

import json
import os
import sys
from time import localtime

import pytest

from asyncstore import Sink
from asyncstore.control.client import ask
from support import trees
from support.commands import asyncstore, finished, started
from support.oracle import until

pytestmark = pytest.mark.slow

_FILES = 40


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    folder = tmp_path_factory.mktemp("archive")
    trees.instances(folder, _FILES)
    return folder


def _lines(path, kind):
    return [line for line in map(json.loads, path.read_text().splitlines()) if line["type"] == kind]


async def _sent(sink, archive, *options):
    return await asyncstore("send", "-nh", *options, "127.0.0.1", str(sink.port), archive)


async def test_when_the_time_is_up_the_run_says_how_to_go_on_and_resume_sends_the_rest(archive, tmp_path):
    journal, lines = tmp_path / "run.db", tmp_path / "lines"
    limits = ("--limit-stores", "30", "--max-duration", "0.5s")
    async with Sink(port=0) as sink:
        done = await _sent(sink, archive, "--journal", journal, "--json", lines, *limits)
        stored = sink.tally.instances
        assert done.returncode == 2, done
        assert stored < _FILES
        assert f"The time was up: stored {stored} of " in done.err
        assert "the time of the run was up before it was sent" in done.err
        assert f"asyncstore resume {journal} sends the rest." in done.err
        [summary] = _lines(lines, "summary")
        assert (summary["exit_code"], summary["stored"]) == (2, stored)
        [limit] = _lines(lines, "rate")
        assert limit["stores_per_second"] == 30
        while sink.tally.instances < _FILES:
            done = await asyncstore("resume", journal)
        assert done.returncode == 0, done
        report = await asyncstore("report", journal)
        assert report.returncode == 0, report
        assert "its time was up" in report.out


async def test_the_rest_of_a_list_on_standard_input_needs_the_list_again(archive, tmp_path):
    journal, names = tmp_path / "run.db", b"".join(os.fsencode(path) + b"\n" for path in archive.rglob("*.dcm"))
    words = ("--files-from", "-", "--journal", journal, "--limit-stores", "30", "--max-duration", "0.5s")
    async with Sink(port=0) as sink:
        done = await asyncstore("send", "-nh", *words, "127.0.0.1", str(sink.port), stdin=names)
    assert f"asyncstore resume {journal}, given the same list again, sends the rest." in done.err


async def test_a_run_that_ends_in_time_is_like_any_other(archive):
    async with Sink(port=0) as sink:
        done = await _sent(sink, archive, "--max-duration", "1h", "--limit-rate", "off")
    assert done.returncode == 0, done
    assert f"Stored all {_FILES} files" in done.err


async def test_a_run_whose_time_ends_in_a_pause_is_not_one_that_could_not_begin(archive):
    async with Sink(port=0) as sink:
        done = await _sent(sink, archive, "-v", "--limit-rate", "pause", "--max-duration", "0.5s")
        assert sink.tally.associations_total == 0
    assert done.returncode == 2, done
    assert "I: nothing begins" in done.err


async def test_a_wrong_limit_is_one_line_with_an_example(archive):
    async with Sink(port=0) as sink:
        done = await _sent(sink, archive, "--limit-rate", "Mun 07:00,2M")
    assert done.returncode == 1, done
    assert done.err == (
        "asyncstore send: --limit-rate: 'Mun' is none of Mon, Tue, Wed, Thu, Fri, Sat, Sun; write, for example, 2M, or "
        "'Mon-Fri 07:00,2M 18:00,off'; see asyncstore send --help\n"
    )


@pytest.mark.skipif(sys.platform == "win32", reason="there are no Unix sockets that asyncio can use")
async def test_requests_change_the_limits_of_a_run(archive, tmp_path):
    journal = tmp_path / "run.db"
    async with Sink(port=0) as sink:
        words = ("--journal", journal, "--limit-rate", "pause", "127.0.0.1", str(sink.port), archive)
        process = await started("send", "-nh", *words)
        try:
            await until((tmp_path / "run.db-ctl").exists)
            answer = await ask(str(journal), "limit-stores", "07:00,fast")
            assert not answer["ok"]
            assert "'fast' is no rate of stores" in answer["error"]
            assert (await ask(str(journal), "limit-stores", "00:00,500"))["message"] == "from now on nothing begins"
            shown = await asyncstore("ctl", journal, "status")
            assert "Limited: nothing begins." in shown.out
            assert sink.tally.instances == 0
            answer = await ask(str(journal), "limit-rate", "off")
            assert answer["message"] == "from now on limited to 500 stores/s"
            ended = await finished(process)
            assert ended.returncode == 0, ended
        finally:
            if process.returncode is None:
                process.kill()
                await process.communicate()
        assert sink.tally.instances == _FILES


@pytest.mark.skipif(sys.platform == "win32", reason="there are no Unix sockets that asyncio can use")
async def test_a_time_table_that_sets_no_limit_now_says_when_it_will(archive, tmp_path):
    journal = tmp_path / "run.db"
    hour = localtime().tm_hour
    begun, next_one = f"{(hour + 18) % 24:02}:00", f"{(hour + 6) % 24:02}:00"
    async with Sink(port=0) as sink:
        words = ("--journal", journal, "--limit-rate", "pause", "127.0.0.1", str(sink.port), archive)
        process = await started("send", "-nh", *words)
        try:
            await until((tmp_path / "run.db-ctl").exists)
            answer = await ask(str(journal), "limit-rate", f"{begun},off {next_one},2M")
            assert answer["message"] == f"from now on without a limit (time table, until {next_one})"
        finally:
            process.kill()
            await process.communicate()
