"""A run of ``asyncstore scan``: what files hold, the contexts they need, and which of these a peer accepts.

It prints the plan of ``send --dry-run``, for people or as JSON lines. New versions may add fields, and remove none:

    {"type":"context","sop_class_uid":...,"sop_class":...,"transfer_syntax_uid":...,"transfer_syntax":...,
     "instances":12,"bytes":33600,"accepted":true,"answer":"accepted","decompressed_bytes":null}
    {"type":"unsendable","reason":"not a DICOM file","files":1,"example":"/archive/README.txt"}
    {"type":"repeated","path":"/archive/b.dcm","earlier":"/archive/a.dcm"}
    {"type":"summary","instances":12,"bytes":33600,"unsendable":1,"pairs":1,"contexts":2,"associations":1,"peer":...,
     "exit_code":2,"repeated_sop_instance_uids":1}

There is a ``context`` line for each pair of SOP class and transfer syntax. ``contexts`` is the number of presentation
contexts that ``send`` proposes for them, transfer syntaxes for conversion included, and ``associations`` the number of
requests for that. ``decompressed_bytes`` is what the data sets of a context have when they are decompressed; null: they
are not compressed, no codec is installed, or the catalogue has instances that were not measured (``unmeasured`` in its
summary). The first files whose SOP instance UID came before have a ``repeated`` line. ``accepted``, ``answer`` and
``peer`` are null if no peer was asked. The peer is asked after all files were probed: only then the contexts are known.
"""

from __future__ import annotations

import io
import json
import logging
from contextlib import ExitStack
from itertools import islice
from typing import TYPE_CHECKING

from asyncstore import __version__
from asyncstore.cli.commands.findings import look_into
from asyncstore.cli.engine import sender_of
from asyncstore.cli.exits import EXIT_INTERRUPTED, EXIT_NOT_ATTEMPTED
from asyncstore.cli.logging.logs import logging_to
from asyncstore.cli.loop import interrupts, run_loop
from asyncstore.cli.options import command_table as cmd
from asyncstore.cli.options import rows as opt
from asyncstore.cli.proposal import identity_of
from asyncstore.cli.standard_output import put
from asyncstore.cli.text.page import broken, page_width
from asyncstore.cli.text.uid_names import uid_name
from asyncstore.errors import AsyncstoreError, WriteFailed
from asyncstore.named_files import private, refuse_other, refusing
from asyncstore.network.addresses import address_of
from asyncstore.observe.formatting import counted, format_bytes, printable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from asyncstore.cli.commands.catalogue import Catalogued, Scan
    from asyncstore.cli.commands.findings import Findings
    from asyncstore.cli.options.table import Parsed
    from asyncstore.protocol.associate import UserIdentity

_AT_ONCE = 1000
"""Lines that are written together."""


def run(parsed: Parsed) -> int:
    """Run the command and return its exit code."""
    return run_loop(_scan(parsed, identity_of(parsed)))


async def _scan(parsed: Parsed, identity: UserIdentity | None) -> int:
    """Probe all files, ask the peer, print, and return the exit code."""
    peer = _peer(parsed)
    with ExitStack() as stack:
        stack.enter_context(logging_to(logging.StreamHandler(), parsed))
        journal = parsed[opt.JOURNAL]
        scan = None if journal is None else _journalled(parsed, journal, stack)  # before --json replaces a file
        file = _json_file(parsed, stack)
        catalogued = None
        if scan is None or journal is None:
            findings = await look_into(parsed)
        else:
            stack.enter_context(interrupts(scan.interrupt))
            await scan.run()
            findings, catalogued = scan.read(journal)
        failure = None
        is_interrupted = catalogued is not None and catalogued.scan.is_interrupted
        if peer is not None and findings.found and not is_interrupted:
            failure = await _ask(parsed, peer, identity, findings)
        code = EXIT_INTERRUPTED if is_interrupted else findings.exit_code if failure is None else EXIT_NOT_ATTEMPTED
        if file is not None:
            _write(file, parsed, _lines(findings, peer, code, catalogued))
        if parsed[cmd.SCAN_JSON] == opt.STANDARD_STREAM:
            put(*_lines(findings, peer, code, catalogued))
        elif not parsed[opt.QUIET]:
            width = page_width()
            put(*findings.report(width=width))
            if catalogued is not None:
                put(*catalogued.report(width))
            put(*(line for said in _peer_lines(findings, peer) for line in broken(said, width)))
        if failure is not None:
            raise failure
    return code


def _journalled(parsed: Parsed, path: str, stack: ExitStack) -> Scan:
    """The scan that fills the catalogue at this path.

    Raises:
        JournalError: it cannot be used.
    """
    from asyncstore.cli.commands.catalogue import Scan  # few scans have a journal
    from asyncstore.journal.journal import Journal

    journal = Journal.open(path, None, version=__version__, allow_network=parsed[opt.JOURNAL_ON_NETWORK])
    return Scan(parsed, stack.enter_context(journal))


def _peer(parsed: Parsed) -> tuple[str, int] | None:
    """The peer to ask; ``None``: none."""
    if cmd.CHECKED_PEER in parsed:
        return parsed[opt.PEER], parsed[opt.PORT]
    return parsed[cmd.PEER_CHECK]


async def _ask(
    parsed: Parsed, peer: tuple[str, int], identity: UserIdentity | None, findings: Findings
) -> AsyncstoreError | None:
    """Ask the peer what it accepts; the error, if that failed."""
    host, port = peer
    try:
        async with sender_of(parsed.naming({opt.PEER.key: (host,), opt.PORT.key: (str(port),)}), identity) as sender:
            answers = await sender.negotiate(findings.pairs)
    except AsyncstoreError as error:
        return error
    findings.answers = {(answer.sop_class_uid, answer.transfer_syntax_uid): answer for answer in answers}
    return None


def _peer_lines(findings: Findings, peer: tuple[str, int] | None) -> Iterator[str]:
    """A summary of the peer's answers."""
    if peer is None or not findings.answers:
        return
    refused = findings.not_accepted
    name = printable(address_of(*peer))
    yield ""
    if not refused:
        yield f"{name} accepts all of them"
        return
    instances, size = sum(found.instances for found in refused), sum(found.bytes for found in refused)
    accepted = len(findings.answers) - len(refused)
    concerned = f"{counted(instances, 'instance')}, {format_bytes(size)}, cannot be sent to it"
    yield f"{name} takes {accepted} of these {counted(len(findings.answers), 'kind')} of instances: {concerned}"


def _lines(findings: Findings, peer: tuple[str, int] | None, code: int, catalogued: Catalogued | None) -> Iterator[str]:
    """The plan as JSON lines."""
    return (json.dumps(fields, separators=(",", ":")) for fields in _objects(findings, peer, code, catalogued))


def _objects(
    findings: Findings, peer: tuple[str, int] | None, code: int, catalogued: Catalogued | None
) -> Iterator[dict[str, object]]:
    """The plan, an object for each line."""
    for (sop_class, syntax), instances, size, *_, decompressed in findings.found:
        answer = findings.answers.get((sop_class, syntax))
        yield {
            "type": "context",
            "sop_class_uid": sop_class,
            "sop_class": uid_name(sop_class),
            "transfer_syntax_uid": syntax,
            "transfer_syntax": uid_name(syntax),
            "instances": instances,
            "bytes": size,
            "accepted": None if answer is None else answer.is_accepted,
            "answer": None if answer is None else answer.answer,
            "decompressed_bytes": decompressed,
        }
    for _, files, example, reason in findings.refused:
        yield {"type": "unsendable", "reason": reason, "files": files, "example": example}
    repeats = findings.repeats
    for earlier, path in repeats.examples() if repeats is not None else ():
        yield {"type": "repeated", "path": path, "earlier": earlier}
    if catalogued is not None:
        yield from catalogued.objects()
    requests = findings.requests
    yield {
        "type": "summary",
        "instances": findings.instances,
        "bytes": findings.bytes,
        "unsendable": findings.unsendable,
        "pairs": len(findings.pairs),
        "contexts": sum(map(len, requests)),
        "associations": len(requests),
        "peer": None if peer is None else address_of(*peer),
        "exit_code": code,
        "repeated_sop_instance_uids": None if repeats is None else repeats.count(),
        **({} if catalogued is None else catalogued.figures()),
    }


def _json_file(parsed: Parsed, stack: ExitStack) -> io.FileIO | None:
    """The file for the JSON lines, if there is one. It is opened before the work begins.

    It is unbuffered, so that closing it does not try again to write what could not be written.

    Raises:
        UsageError: it cannot be written.
    """
    target = parsed[cmd.SCAN_JSON]
    if target is None or target == opt.STANDARD_STREAM:
        return None
    complaint = f"{cmd.SCAN_JSON.long} {target}: cannot write it"
    refuse_other(target, b"{", complaint)
    with refusing(complaint):
        return stack.enter_context(io.FileIO(target, "w", opener=private))


def _write(file: io.FileIO, parsed: Parsed, lines: Iterator[str]) -> None:
    """Write the lines, and close the file.

    Raises:
        WriteFailed: they cannot be written to their end.
    """
    try:
        with file:  # some network file systems tell of a full disk only when it is closed
            while piece := [f"{line}\n" for line in islice(lines, _AT_ONCE)]:
                rest = memoryview("".join(piece).encode("ascii"))
                while rest:
                    rest = rest[file.write(rest) :]
    except OSError as error:
        failure = WriteFailed(f"{cmd.SCAN_JSON.long} {parsed[cmd.SCAN_JSON]}: cannot write it: {error.strerror}")
        failure.add_note(f"Name a file that lies elsewhere, or {opt.STANDARD_STREAM} for standard output.")
        raise failure from error
