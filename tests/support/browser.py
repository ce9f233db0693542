"""A page in headless Chromium: what it shows when its scripts have run, what they complain about, what it asks for."""

from __future__ import annotations

import asyncio
import json
import os
import re
import tempfile
from html.parser import HTMLParser
from pathlib import Path
from typing import NamedTuple

from support.peers.programs import find_program

_QUIET = (
    "--headless",
    "--no-sandbox",  # it refuses to run as root with one
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-sync",
    "--disable-background-networking",
    "--disable-component-update",
    "--proxy-server=127.0.0.1:1",  # nobody listens there
    "--proxy-bypass-list=<-loopback>",
    "--enable-logging=stderr",
    "--virtual-time-budget=2000",
    "--dump-dom",
)
_BROWSER = "not an origin"
"""The initiator of requests that no page began."""
_SCRIPTS = re.compile(r"<script.*?</script>", re.DOTALL)


class Loaded(NamedTuple):
    """A page when its scripts have run."""

    words: str
    """The text of its elements that are not drawings."""
    marks: dict[str, int]
    """For each plot, by its id, the number of lines, points and bars that are drawn."""
    complaints: list[str]
    """Of the console: errors, and what the page's content security policy refused."""
    requests: list[str]
    """The addresses that the page asked for."""


async def load(page, *, width=1300, is_dark=False):
    """Load a page in Chromium; it must have a test's marker ``peers``.

    Args:
        page: the file.
        width: of the window.
        is_dark: whether the system prefers dark pages.
    """
    chromium = find_program("chromium", "chromium")
    with tempfile.TemporaryDirectory(
        prefix="c", dir="/tmp", ignore_cleanup_errors=True
    ) as name:  # sockets need short names
        folder = Path(name)
        log = folder / "network.json"
        words = [
            chromium,
            *_QUIET,
            f"--log-net-log={log}",
            f"--user-data-dir={folder / 'profile'}",
            f"--window-size={width},900",
            *(["--blink-settings=preferredColorScheme=0"] if is_dark else []),
            page.as_uri(),
        ]
        output, errors = await _run(words, os.environ | {"TMPDIR": name, "HOME": name})
        requests = _requests(log)
    drawn = _Drawn(_SCRIPTS.sub("", output))
    complaints = [line for line in errors.splitlines() if "CONSOLE" in line]
    return Loaded(" ".join(" ".join(drawn.text).split()), drawn.marks, complaints, requests)


async def _run(words, environment):
    """Run the browser; its standard output and error."""
    process = await asyncio.create_subprocess_exec(
        *words,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=environment,
    )
    try:
        output, errors = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    complaints = errors.decode(errors="replace")
    assert process.returncode == 0, complaints[-4000:]
    return output.decode(), complaints


def _requests(log):
    """What the page asked for, which stands in the log of the network beside what the browser asks for itself."""
    content = json.loads(log.read_text())
    begun = content["constants"]["logEventTypes"]["URL_REQUEST_START_JOB"]
    found = [event["params"] for event in content["events"] if event["type"] == begun and "params" in event]
    assert found, "the log shows no request at all: not even that for the page"
    return [
        params["url"]
        for params in found
        if params.get("initiator", _BROWSER) != _BROWSER and not params["url"].startswith(("data:", "blob:"))
    ]


class _Drawn(HTMLParser):
    """Finds the marks of plots: what stands in a group of the class ``trace``, ``scatter`` or ``bars``."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.marks, self.text = {}, []
        self._open = []
        self._plot = None
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        kinds = set((attributes.get("class") or "").split())
        if "plot" in kinds:
            self._plot = attributes["id"]
            self.marks[self._plot] = 0
        is_trace = "trace" in kinds
        if tag not in {"meta", "br", "input", "hr", "img", "link"}:
            self._open.append((tag, is_trace))
        inside = any(trace for _, trace in self._open)
        if tag == "path" and inside and attributes.get("d") not in (None, "", "M0,0Z"):
            self.marks[self._plot] += 1

    def handle_endtag(self, tag):
        while self._open and self._open.pop()[0] != tag:
            pass

    def handle_data(self, data):
        if not any(tag in {"svg", "style"} for tag, _ in self._open):
            self.text.append(data)
