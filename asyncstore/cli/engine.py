"""From the options of a command line to the arguments of the engine: a function for each part of it."""

from __future__ import annotations

import os
import stat
from contextlib import contextmanager
from itertools import chain
from typing import TYPE_CHECKING

from asyncstore.cli.choices import format_of, ip_version_of
from asyncstore.cli.editing import edit_of
from asyncstore.cli.options import edit_rows as edit_opt
from asyncstore.cli.options import rows as opt
from asyncstore.cli.options import source_rows as source_opt
from asyncstore.cli.proposal import proposal_of, too_long
from asyncstore.cli.tls import tls_of
from asyncstore.discovery.lists import OtherSeparator, files_from
from asyncstore.discovery.walk import NOT_OPENED, WalkOptions, archive_in
from asyncstore.errors import ReadFailed, RequestTooLong, UsageError
from asyncstore.members import is_url
from asyncstore.named_files import refusing
from asyncstore.negotiation import Transcode
from asyncstore.network.timeouts import Timeouts
from asyncstore.prepare.converter import ConversionOptions
from asyncstore.renaming import Renamer, name_now
from asyncstore.schedule.pacing import Limits
from asyncstore.schedule.peer_health import PATIENCE, Patience
from asyncstore.schedule.retry import OUT_OF_RESOURCES, RetryOptions
from asyncstore.sender import Sender

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from io import FileIO

    from asyncstore.cli.options.table import Parsed
    from asyncstore.discovery.limits import ArchiveLimits
    from asyncstore.model import Unsendable
    from asyncstore.network.tls import TlsOptions
    from asyncstore.prepare.invention import Invent
    from asyncstore.protocol.associate import UserIdentity


def sender_of(parsed: Parsed, identity: UserIdentity | None, tls: TlsOptions | None = None) -> Sender:
    """The sender that these options describe, for this user identity.

    Args:
        parsed: the options.
        identity: the user identity.
        tls: how to use TLS; ``None``: as the options say.

    Raises:
        UsageError: the options do not fit together, or a file that they name cannot be used.
    """
    try:
        return _sender_of(parsed, identity, tls or tls_of(parsed))
    except RequestTooLong as error:
        raise too_long(parsed, identity, error.excess) from None


def _sender_of(parsed: Parsed, identity: UserIdentity | None, tls: TlsOptions | None) -> Sender:
    patience = parsed[opt.WAIT_FOR_PEER]
    return Sender(
        parsed[opt.PEER],
        parsed[opt.PORT],
        calling_ae_title=parsed[opt.CALLING_AE_TITLE],
        called_ae_title=parsed[opt.CALLED_AE_TITLE],
        associations=parsed[opt.ASSOCIATIONS],
        async_operations=parsed[opt.ASYNC_OPS],
        affinity=parsed[opt.AFFINITY],
        workers=parsed[opt.WORKERS],
        file_format=format_of(parsed),
        timeouts=timeouts_of(parsed),
        max_pdu=parsed[opt.MAX_PDU] // 2 * 2,  # as storescu does
        max_send_pdu=parsed[opt.MAX_SEND_PDU],
        halt_on_failure=not parsed[opt.NO_HALT],
        abort_at_end=parsed[opt.ABORT],
        retry=RetryOptions(parsed[opt.RETRIES], (OUT_OF_RESOURCES, *parsed[opt.RETRY_STATUSES])),
        patience=PATIENCE if patience is None else Patience(patience, patience),
        limits=limits_of(parsed),
        conversion=conversion_of(parsed),
        proposal=proposal_of(parsed),
        identity=identity,
        tls=tls,
        ip_version=ip_version_of(parsed),
    )


def limits_of(parsed: Parsed) -> Limits:
    """How fast the run may be."""
    zone = parsed[opt.TIME_ZONE]
    rate, stores = (
        None if table is None else table._replace(zone=zone)
        for table in (parsed[opt.LIMIT_RATE], parsed[opt.LIMIT_STORES])
    )
    return Limits(rate, stores, parsed[opt.GUARD_ECHO])


def conversion_of(parsed: Parsed) -> ConversionOptions:
    """How data sets are changed before they are sent."""
    return ConversionOptions(
        _invent_of(parsed),
        not parsed[opt.DISABLE_NEW_VR],
        parsed[opt.COMPRESSION_LEVEL],
        parsed[opt.MAX_INFLATED],
        Transcode(parsed[opt.TRANSCODE]),
        edit_of(parsed),
        parsed[edit_opt.REPAIR],
    )


def _invent_of(parsed: Parsed) -> Invent | None:
    """The identities to invent, if any."""
    if not any(row in parsed for row in opt.INVENTIONS):
        return None
    from asyncstore.prepare.invention import Invent

    return Invent(parsed[opt.INVENT_SERIES], parsed[opt.INVENT_STUDY], parsed[opt.INVENT_PATIENT])


def timeouts_of(parsed: Parsed) -> Timeouts:
    """The timeouts, for every command that opens associations."""
    socket = parsed[opt.SOCKET_TIMEOUT]
    return Timeouts(
        connect=parsed[opt.TIMEOUT],
        socket=socket if socket > 0 else None,
        acse=parsed[opt.ACSE_TIMEOUT],
        dimse=parsed[opt.DIMSE_TIMEOUT],
    )


def walk_of(parsed: Parsed) -> WalkOptions:
    """How directories are walked: whole trees, unless ``-r`` is given, or ``+sd`` for storescu's rules."""
    options = WalkOptions(
        repeat=parsed[opt.REPEAT],
        resume=parsed[opt.RENAME],
        archives=_archives_of(parsed),
        ahead=parsed[source_opt.AHEAD],
        remote=_is_remote(parsed),
        own_files=_own_files(parsed),
    )
    if not parsed[opt.SCAN_DIRECTORIES]:
        return options._replace(recurse=not parsed[opt.NO_RECURSE])
    return options._replace(recurse=parsed[opt.RECURSE], pattern=parsed[opt.SCAN_PATTERN])


def _own_files(parsed: Parsed) -> frozenset[str]:
    """The files that the command writes: they may lie in a folder that is sent."""
    written = (parsed[opt.JSON], parsed[opt.METRICS_FILE])
    own = frozenset(os.path.realpath(name) for name in written if name and name != opt.STANDARD_STREAM)
    journal = parsed[opt.JOURNAL]
    if journal is None:
        return own
    from asyncstore.journal.place import own_files  # few runs have a journal

    return own | own_files(journal)


def _is_remote(parsed: Parsed) -> bool:
    """Whether URLs of remote stores may be among the files: named ones, those of a list, and those of a catalogue."""
    inputs = parsed[opt.INPUTS]
    return parsed[opt.FILES_FROM] is not None or not inputs or any(map(is_url, inputs))


def _archives_of(parsed: Parsed) -> ArchiveLimits | None:
    """What archives may hold; ``None``: they are not opened."""
    if not parsed[source_opt.ARCHIVES]:
        return None
    from asyncstore.discovery.limits import ArchiveLimits

    return ArchiveLimits(
        parsed[source_opt.ARCHIVE_RATIO],
        parsed[source_opt.ARCHIVE_BYTES],
        parsed[source_opt.ARCHIVE_FILE_BYTES],
        parsed[source_opt.ARCHIVE_FILES],
    )


def renamer_of(parsed: Parsed) -> Renamer | None:
    """The object that renames files by their outcomes; ``None``: files keep their names.

    Raises:
        UsageError: there are objects of a remote store among the files.
    """
    if parsed[opt.RENAME] and any(map(is_url, parsed[opt.INPUTS])):
        error = UsageError(f"{opt.RENAME.long} cannot rename the objects of a remote store")
        error.add_note(f"{opt.JOURNAL.long} remembers what was stored.")
        raise error
    return Renamer(parsed[opt.REPEAT], keeps_unsendable=parsed[opt.REQUIRED]) if parsed[opt.RENAME] else None


@contextmanager
def paths_of(parsed: Parsed) -> Iterator[Iterable[str | Unsendable]]:
    """The paths of the command line, then those of the DICOMDIR and of the list, which are read as they are needed.

    Raises:
        UsageError: one of these cannot be opened.
    """
    paths: Iterable[str | Unsendable] = parsed[opt.INPUTS]
    directory = parsed[source_opt.DICOMDIR]
    if directory is not None:
        paths = chain(paths, _files_of(directory))
    name = parsed[opt.FILES_FROM]
    if name is None:
        yield paths
        return
    with _open_list(name) as names:
        yield chain(paths, _listed(name, names, null=parsed[opt.NULL]))


def _files_of(directory: str) -> Iterator[str | Unsendable]:
    """The files that a DICOMDIR names.

    Raises:
        UsageError: it cannot be opened.
    """
    from asyncstore.discovery.dicomdir import dicomdir_at, referenced

    path = dicomdir_at(directory)
    with refusing(f"{source_opt.DICOMDIR.long} {directory}: cannot read it"):
        mode = os.stat(path).st_mode
        if not stat.S_ISREG(mode):
            raise ValueError("no DICOMDIR in this folder" if stat.S_ISDIR(mode) else "not a regular file")
        with open(path, "rb"):
            return referenced(path)


def sources_of(parsed: Parsed) -> list[str]:
    """What is walked, as a catalogue names it: each path, or list of paths, with how directories are walked."""
    walk = walk_of(parsed)
    how = f"{'' if walk.recurse else ' without descending'}{'' if walk.pattern is None else f' {walk.pattern}'}"
    name = parsed[opt.FILES_FROM]
    lists = [] if name is None else [name if name == opt.STANDARD_STREAM else os.path.abspath(name)]
    directory = parsed[source_opt.DICOMDIR]
    directories = [] if directory is None else [directory]
    return [
        *(f"{path if is_url(path) else os.path.abspath(path)}{how}" for path in parsed[opt.INPUTS]),
        *(f"{source_opt.DICOMDIR.long} {os.path.abspath(each)}" for each in directories),
        *(f"{opt.FILES_FROM.long} {each}" for each in lists),
    ]


def _open_list(name: str) -> FileIO:
    """The file that lists names, or standard input. Unbuffered: a name is read as soon as it is written."""
    is_stream = name == opt.STANDARD_STREAM
    with refusing(f"{opt.FILES_FROM.long} {name}: cannot read it"):
        return open(0 if is_stream else name, "rb", buffering=0, closefd=not is_stream)


def _listed(name: str, names: FileIO, *, null: bool) -> Iterator[str]:
    """The names in the list of this name.

    Raises:
        ReadFailed: it could not be read to its end.
    """
    try:
        yield from files_from(names, null=null)
    except OSError as error:
        complaint = f"{opt.FILES_FROM.long} {name}: it could not be read to its end: {error.strerror}"
        failure = ReadFailed(complaint)
        if isinstance(error, OtherSeparator):
            failure.add_note(f"{opt.NULL.long} reads such a list." if error.is_null else f"Leave {opt.NULL.long} out.")
        raise failure from error


def refuse_missing(paths: Sequence[str], *, opens_archives: bool = False, renames: bool = False) -> None:
    """Check that the paths of the command line exist, as storescu does before it sends anything.

    Args:
        paths: the paths.
        opens_archives: whether a path may name a member of an archive.
        renames: whether an earlier run may have renamed them.

    Raises:
        ReadFailed: one of them does not.
    """
    for path in paths:
        if is_url(path):
            from asyncstore.discovery.stores import check_url

            check_url(path)
            continue
        try:
            os.stat(path)
        except (OSError, ValueError) as error:
            is_in_archive = archive_in(path) is not None
            if (opens_archives and is_in_archive) or (renames and name_now(path)):
                continue
            reason = error.strerror if isinstance(error, OSError) else str(error)
            refusal = ReadFailed(f"cannot access {path!r}: {NOT_OPENED if is_in_archive else reason}; nothing was sent")
            if is_in_archive:
                from asyncstore.cli.text.hints import hints_for  # only mistakes need it

                refusal.add_note(" ".join(hints_for((NOT_OPENED,))))
            if len(paths) > 1:
                refusal.add_note(
                    f"With {opt.NO_HALT.long} ({opt.NO_HALT.short}) the other files are sent, and this one is reported."
                )
            raise refusal from None
