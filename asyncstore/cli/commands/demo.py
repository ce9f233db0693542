"""``asyncstore demo``: write a synthetic archive, start a sink, send with the live display, compare what arrived.

All files lie in one temporary folder, which is removed at the end unless ``--keep`` is given. If the demo is killed,
the next one removes it. The sink is a process of its own, so data sets really pass the network. It does not see Ctrl-C
at the terminal, so the run ends before it.
"""

from __future__ import annotations

import hashlib
import re
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import anyio

from asyncstore.cli.commands.send import send
from asyncstore.cli.exits import EXIT_INTERRUPTED, EXIT_NOT_ATTEMPTED, EXIT_NOT_STORED, EXIT_OK
from asyncstore.cli.loop import interrupts, run_loop
from asyncstore.cli.options import command_table as cmd
from asyncstore.cli.options import rows as opt
from asyncstore.cli.options.grammar import parse
from asyncstore.cli.standard_output import put
from asyncstore.cli.text.page import broken, page_width
from asyncstore.errors import AssociationError
from asyncstore.isolated import isolated
from asyncstore.load.archive import write_archive
from asyncstore.load.child_process import running, start
from asyncstore.model import Instance
from asyncstore.observe.formatting import format_bytes, format_count
from asyncstore.surveying import survey
from asyncstore.temporary import temporary_folder
from asyncstore.waiting import called_in_thread, finished

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator

    from asyncstore.cli.options.table import Parsed
    from asyncstore.load.writing import Archive

_LISTENING = re.compile(rb"listening on (\S+):(\d+) as ")
_PREFIX = "asyncstore-demo-"


def run(parsed: Parsed) -> int:
    """Run the command and return its exit code."""
    return run_loop(_demo(parsed))


async def _demo(parsed: Parsed) -> int:
    """Write, send and compare; an interrupt cancels that."""
    with anyio.CancelScope() as scope, interrupts(scope.cancel):
        return await _write_send_compare(parsed)
    return EXIT_INTERRUPTED


async def _write_send_compare(parsed: Parsed) -> int:
    """Write, send and compare, and clean up in any case; the exit code."""
    _say("A synthetic archive, a storage SCP to send it to, and a look at what arrives. No patient is real.", indent=0)
    with _folder(keep=parsed[cmd.KEEP]) as folder:
        sent, received = folder / "archive", folder / "received"
        archive = await finished(called_in_thread(write_archive, sent))
        _say(f"1. A synthetic archive: {_describe(archive)}.")
        put(f"   {sent}")
        async with running(_start_sink(received)) as line:
            port = _port_in(line)
            put("2. A storage SCP on this machine:", f"   asyncstore sink --port {port} --output {received}")
            put(f"3. asyncstore send 127.0.0.1 {port} {sent}")
            code = await send(_send_options(parsed, port, sent))
        if code == EXIT_OK:
            code = await _compare(sent, received)
    if code == EXIT_OK:
        put(_NEXT_STEPS)
    return code


def _say(text: str, indent: int = len("1. ")) -> None:
    """Print a sentence, broken to fit the terminal."""
    put(*broken(text, page_width(), indent))


def _describe(archive: Archive) -> str:
    return (
        f"{archive.patients} patients, {archive.studies} studies, {archive.series} series, "
        f"{format_count(archive.instances)} instances ({', '.join(archive.modalities)}), {format_bytes(archive.bytes)}"
    )


def _send_options(parsed: Parsed, port: int, folder: Path) -> Parsed:
    """The command line of ``send`` that the demo runs."""
    words = ["--progress", parsed[opt.PROGRESS], "--associations", str(parsed[opt.ASSOCIATIONS] or "auto")]
    return parse(cmd.SEND, [*words, "127.0.0.1", str(port), str(folder)], {})


@contextmanager
def _folder(*, keep: bool) -> Iterator[Path]:
    if keep:
        folder = Path(tempfile.mkdtemp(prefix=_PREFIX))
        try:
            yield folder
        finally:
            put(f"Kept: {folder}")
    else:
        with temporary_folder(_PREFIX) as folder:
            yield folder


def _start_sink(output: Path) -> subprocess.Popen[bytes]:
    words = ("sink", "--host", "127.0.0.1", "--port", "0", "--output", str(output))
    return start([*isolated("asyncstore.cli.demo_sink"), *words])


def _port_in(line: bytes) -> int:
    """The port in the sink's first line.

    Raises:
        AssociationError: it is another line, or none.
    """
    match = _LISTENING.match(line)
    if match is None:
        said = line.decode(errors="replace").strip()
        failure = AssociationError("the sink of this demo", f"it did not start, and said {said or 'nothing'!r}")
        failure.add_note("See what asyncstore sink --port 0 says by itself.")
        raise failure
    return int(match[2])


async def _compare(sent: Path, received: Path) -> int:
    """Compare what was sent with what arrived, data set by data set; the exit code."""
    before, after = await _data_sets(sent), await _data_sets(received)
    same = sum(after.get(uid) == data_set for uid, data_set in before.items())
    if same == len(before) == len(after):
        put(f"4. Compared: all {format_count(same)} data sets arrived, byte for byte (SHA-256).")
        return EXIT_OK
    missing = len(before.keys() - after.keys())
    _say(f"4. Compared: {same} of {len(before)} data sets arrived unchanged, {missing} are missing. This is a fault.")
    return EXIT_NOT_STORED if after else EXIT_NOT_ATTEMPTED


async def _data_sets(folder: Path) -> dict[str, tuple[str, str, bytes]]:
    """What must be the same on both sides: SOP class, transfer syntax and digest, by SOP instance UID."""
    found: dict[str, tuple[str, str, bytes]] = {}
    async for batch in survey([folder]):
        for item in batch:
            if isinstance(item, Instance):
                digest = await finished(called_in_thread(_digest, item))
                found[item.sop_instance_uid] = item.sop_class_uid, item.transfer_syntax_uid, digest
    return found


def _digest(instance: Instance) -> bytes:
    with Path(instance.payload.container).open("rb") as file:
        file.seek(instance.payload.offset)
        return hashlib.file_digest(file, "sha256").digest()


_NEXT_STEPS = """
Now with your own files:
  asyncstore echo PEER PORT                      is it there, does it know us?
  asyncstore send --dry-run PEER PORT DIRECTORY  what would be sent, and how?
  asyncstore send PEER PORT DIRECTORY            send it (AE titles: -aet, -aec)
Without a PACS, this in a second terminal listens on 127.0.0.1 11112:
  asyncstore sink --output FOLDER"""
