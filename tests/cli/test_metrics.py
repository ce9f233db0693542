"""``send --metrics-port`` and ``--metrics-file`` as processes."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import signal
import stat
from contextlib import suppress
from urllib.request import urlopen

import pytest
from prometheus_client.parser import text_string_to_metric_families

from support import trees
from support.commands import asyncstore, finished, running_sink, started
from support.oracle import until

pytestmark = pytest.mark.slow

HOST = "127.0.0.1"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("archive")
    trees.instances(folder, 60)
    return folder


def _values(text):
    """Every value by its name and the values of its labels, in the order of their names."""
    return {
        (sample.name, *(sample.labels[name] for name in sorted(sample.labels))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


async def _address(process):
    """Where a run has said that its metrics are."""
    while True:
        line = (await asyncio.wait_for(process.stderr.readline(), 60)).decode()
        assert line, "it has ended"
        said = re.fullmatch(r"metrics: (http://\S+)\n", line)
        if said:
            return said[1]


async def _scrape(address):
    def scrape():
        with urlopen(address, timeout=60) as answer:  # noqa: S310 - it is our own
            return answer.read().decode()

    return _values(await asyncio.to_thread(scrape))


async def test_a_run_can_be_scraped_until_its_end(folder):
    async with running_sink("--latency", "0.05") as sink:
        process = await started("send", "--metrics-port", "0", "--associations", "2", HOST, str(sink.port), folder)
        address = await _address(process)
        assert address.startswith(f"http://{HOST}:")
        seen = []

        async def is_under_way():
            seen.append(await _scrape(address))
            return seen[-1]["asyncstore_instances_total", "stored"] >= 2

        while not await is_under_way():
            pass
        done = await finished(process)
    assert done.returncode == 0, done.err
    last = seen[-1]
    assert last["asyncstore_associations_opened_total",] == 2
    assert last["asyncstore_found_files",] == 60
    assert 2 <= last["asyncstore_instances_total", "stored"] < 60
    assert ("asyncstore_exit_code",) not in last
    with pytest.raises(OSError, match="refused"):
        await _scrape(address)


async def test_the_file_holds_the_end_of_the_run(folder, tmp_path):
    path = tmp_path / "nightly.prom"
    async with running_sink("--status", "0xA700") as sink:
        done = await asyncstore("send", "-nh", "--metrics-file", path, HOST, str(sink.port), folder)
    assert done.returncode == 2
    values = _values(path.read_text())
    assert values["asyncstore_instances_total", "failed", "nightly"] == 60
    assert values["asyncstore_responses_total", "nightly", "0xA700"] == 60
    assert values["asyncstore_exit_code", "nightly"] == 2
    assert values["asyncstore_store_duration_seconds_count", "nightly"] == 60
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    assert list(tmp_path.iterdir()) == [path]


async def test_the_file_is_there_while_the_run_goes_on_and_holds_an_interrupt(folder, tmp_path):
    path = tmp_path / "run.prom"
    async with running_sink("--latency", "0.2") as sink:
        process = await started("send", "--metrics-file", path, "--associations", "1", HOST, str(sink.port), folder)
        await until(path.exists)
        assert ("asyncstore_exit_code", "run") not in _values(path.read_text())
        process.send_signal(signal.SIGTERM)
        done = await finished(process)
    assert done.returncode == 130
    assert _values(path.read_text())["asyncstore_exit_code", "run"] == 130


async def test_a_scraper_that_hangs_ends_with_the_run(folder):
    async with running_sink() as sink:
        process = await started("send", "--metrics-port", "0", HOST, str(sink.port), folder)
        port = int((await _address(process)).split(":")[2].partition("/")[0])
        reader, writer = await asyncio.open_connection(HOST, port)
        writer.write(b"GET /metrics HT")
        done = await finished(process)
        with suppress(ConnectionError):
            assert await reader.read() == b""
        writer.close()
    assert (done.returncode, done.err.count("Stored all 60 files")) == (0, 1)


async def test_a_port_in_use_is_an_error_before_anything_is_sent(folder):
    server = await asyncio.start_server(lambda *_: None, HOST, 0)
    port = server.sockets[0].getsockname()[1]
    async with running_sink() as sink:
        done = await asyncstore("send", "--metrics-port", str(port), HOST, str(sink.port), folder)
        sunk = await sink.end()
    server.close()
    assert done.returncode == 1
    complaint, advice = done.err.splitlines()
    assert complaint.startswith(f"asyncstore send: --metrics-port {port}: cannot listen at {HOST}:{port}: ")
    assert advice.startswith("Choose another port, 0 for any that is free")
    assert " in 0 associations" in sunk.out


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("/nowhere/run.prom", "No such file or directory"),
        (os.devnull, "it is not a regular file"),
    ],
)
async def test_a_file_that_cannot_be_written_is_an_error_at_once(folder, path, reason):
    done = await asyncstore("send", "--metrics-file", path, HOST, "104", folder)
    assert (done.returncode, done.err) == (1, f"asyncstore send: --metrics-file {path}: cannot write it: {reason}\n")


async def test_a_file_that_can_no_longer_be_written_is_said_once_and_the_run_goes_on(folder, tmp_path):
    kept = tmp_path / "kept"
    kept.mkdir()
    async with running_sink("--latency", "0.02") as sink:
        process = await started(
            "send", "--metrics-file", kept / "run.prom", "--associations", "2", HOST, str(sink.port), folder
        )
        await until((kept / "run.prom").exists)
        shutil.rmtree(kept)
        done = await finished(process)
    assert done.returncode == 0
    assert done.err.count(f"{kept}/run.prom: cannot write the metrics: No such file or directory") == 1


@pytest.mark.parametrize("option", [("--metrics-port", "0"), ("--metrics-file", "run.prom")])
async def test_without_the_package_it_says_how_to_install_it(folder, tmp_path, option):
    (tmp_path / "prometheus_client.py").write_text(
        "raise ModuleNotFoundError('No module named prometheus_client', name='prometheus_client')"
    )
    environment = {"PYTHONPATH": str(tmp_path)}
    done = await asyncstore("send", *option, HOST, "104", folder, environment=environment)
    assert (done.returncode, done.err.splitlines()) == (
        1,
        [
            f"asyncstore send: {option[0]} needs the package prometheus_client, which is not installed",
            "Install asyncstore with its extra metrics.",
        ],
    )


async def test_a_repeated_command_writes_them_again(folder, tmp_path):
    path = tmp_path / "run.prom"
    async with running_sink() as sink:
        journal = tmp_path / "run.db"
        words = ("--journal", journal, "--metrics-file", path, HOST, str(sink.port), folder)
        assert (await asyncstore("send", *words)).returncode == 0
        path.unlink()
        assert (await asyncstore("resume", journal)).returncode == 0
    assert _values(path.read_text())["asyncstore_instances_total", "skipped", "run"] == 60
