"""asyncstore sends DICOM instances to a storage SCP: whole archives, as fast as the peer can take them, losing nothing.

    async with asyncstore.Sender("pacs.example.org", 11112) as sender:
        async for outcome in sender.send(["/archive"]):
            print(outcome.result, outcome.path)

``help(asyncstore.Sender)`` and ``help(asyncstore.Run)`` say the rest.
"""

# The public names are imported on first use, because --help and the worker processes need few of them. (So no module
# may have one of these names: once imported, it would replace the object.) Type checkers read the imports below, the
# interpreter reads the table.

from __future__ import annotations

from importlib import import_module

from asyncstore.version import __version__ as __version__

TYPE_CHECKING = False  # typing takes 10 ms to import, in which Ctrl-C would print a traceback
if TYPE_CHECKING:
    from typing import Any  # noqa: I001 - sorted, each alias would be a statement of its own

    from asyncstore.errors import (
        AbortedHere as AbortedHere,
        AssociationAborted as AssociationAborted,
        AssociationError as AssociationError,
        AssociationRejected as AssociationRejected,
        AssociationReleased as AssociationReleased,
        AsyncstoreError as AsyncstoreError,
        ConnectFailed as ConnectFailed,
        EchoRefused as EchoRefused,
        IdentityNotConfirmed as IdentityNotConfirmed,
        JournalError as JournalError,
        LinkLost as LinkLost,
        NoCommonTls as NoCommonTls,
        NotTls as NotTls,
        OurCertificateRefused as OurCertificateRefused,
        PeerCertificateRefused as PeerCertificateRefused,
        PrepareError as PrepareError,
        ProtocolViolation as ProtocolViolation,
        RequestTooLong as RequestTooLong,
        TimedOut as TimedOut,
        TlsFailed as TlsFailed,
        TlsInterrupted as TlsInterrupted,
        UsageError as UsageError,
    )
    from asyncstore.journal.journal import Journal as Journal
    from asyncstore.journal.settings import Migration as Migration
    from asyncstore.journal.values import State as State
    from asyncstore.model import (
        Attempt as Attempt,
        Details as Details,
        Head as Head,
        Identity as Identity,
        Instance as Instance,
        Lane as Lane,
        LaneState as LaneState,
        Limit as Limit,
        Outcome as Outcome,
        PairAnswer as PairAnswer,
        Payload as Payload,
        PeerOutage as PeerOutage,
        Progress as Progress,
        Result as Result,
        SourceFile as SourceFile,
        Unsendable as Unsendable,
    )
    from asyncstore.negotiation.proposal import Proposal as Proposal, listed as listed
    from asyncstore.negotiation.transcoding import Transcode as Transcode
    from asyncstore.network.timeouts import Timeouts as Timeouts
    from asyncstore.network.tls import TlsOptions as TlsOptions
    from asyncstore.prepare.converter import ConversionOptions as ConversionOptions
    from asyncstore.prepare.edits import EditOptions as EditOptions
    from asyncstore.prepare.file_format import FileFormat as FileFormat
    from asyncstore.prepare.invention import Invent as Invent
    from asyncstore.protocol.associate import IdentityKind as IdentityKind, UserIdentity as UserIdentity
    from asyncstore.recording import Recording as Recording
    from asyncstore.renaming import NotRenamed as NotRenamed, Renamer as Renamer
    from asyncstore.run import Run as Run
    from asyncstore.schedule.gate import Affinity as Affinity
    from asyncstore.schedule.pacing import Limits as Limits
    from asyncstore.schedule.peer_health import Patience as Patience
    from asyncstore.schedule.retry import RetryOptions as RetryOptions
    from asyncstore.schedule.timetable import (
        TimeTable as TimeTable,
        rate_table as rate_table,
        stores_table as stores_table,
    )
    from asyncstore.sender import Sender as Sender
    from asyncstore.sink import Sink as Sink
    from asyncstore.discovery.limits import ArchiveLimits as ArchiveLimits
    from asyncstore.discovery.walk import WalkOptions as WalkOptions
    from asyncstore.surveying import survey as survey

_NAMES = {
    "errors": (
        "AbortedHere AssociationAborted AssociationError AssociationRejected AssociationReleased "
        "AsyncstoreError ConnectFailed EchoRefused IdentityNotConfirmed JournalError LinkLost NoCommonTls "
        "NotTls OurCertificateRefused PeerCertificateRefused PrepareError ProtocolViolation "
        "RequestTooLong TimedOut TlsFailed TlsInterrupted UsageError"
    ),
    "journal.journal": "Journal",
    "journal.settings": "Migration",
    "journal.values": "State",
    "model": (
        "Attempt Details Head Identity Instance Lane LaneState Limit Outcome PairAnswer Payload PeerOutage Progress "
        "Result SourceFile Unsendable"
    ),
    "negotiation.proposal": "Proposal listed",
    "negotiation.transcoding": "Transcode",
    "network.timeouts": "Timeouts",
    "network.tls": "TlsOptions",
    "prepare.converter": "ConversionOptions",
    "prepare.edits": "EditOptions",
    "prepare.file_format": "FileFormat",
    "prepare.invention": "Invent",
    "protocol.associate": "IdentityKind UserIdentity",
    "recording": "Recording",
    "renaming": "NotRenamed Renamer",
    "run": "Run",
    "schedule.gate": "Affinity",
    "schedule.pacing": "Limits",
    "schedule.peer_health": "Patience",
    "schedule.retry": "RetryOptions",
    "schedule.timetable": "TimeTable rate_table stores_table",
    "sender": "Sender",
    "sink": "Sink",
    "discovery.limits": "ArchiveLimits",
    "discovery.walk": "WalkOptions",
    "surveying": "survey",
}
_HOMES = {name: module for module, names in _NAMES.items() for name in names.split()}
"""The module of each public name."""

__all__ = [*_HOMES, "__version__"]  # noqa: PLE0604 - they are names


def __getattr__(name: str) -> Any:  # noqa: ANN401 - each name has its own type
    if name in _HOMES:
        return getattr(import_module(f"asyncstore.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'asyncstore' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
