"""asyncstore sends DICOM instances to a storage SCP: whole archives, as fast as the peer can take them, losing nothing.

    async with asyncstore.Sender("pacs.example.org", 11112) as sender:
        async for outcome in sender.send(["/archive"]):
            print(outcome.result, outcome.path)

The names below are imported on first use: ``--help`` and the worker processes need few of them. (So no module may have
one of these names: once imported, it would replace the object.)
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from asyncstore.version import __version__

if TYPE_CHECKING:
    from asyncstore.errors import (
        AbortedHere,
        AssociationAborted,
        AssociationError,
        AssociationRejected,
        AssociationReleased,
        AsyncstoreError,
        ConnectFailed,
        EchoRefused,
        IdentityNotConfirmed,
        LinkLost,
        NoCommonTls,
        NotTls,
        OurCertificateRefused,
        PeerCertificateRefused,
        PrepareError,
        ProtocolViolation,
        RequestTooLong,
        TimedOut,
        TlsFailed,
        TlsInterrupted,
        UsageError,
    )
    from asyncstore.model import (
        Attempt,
        Identity,
        Instance,
        Lane,
        LaneState,
        Outcome,
        PairAnswer,
        Payload,
        Progress,
        Result,
        SourceFile,
        Unsendable,
    )
    from asyncstore.negotiation.proposal import Proposal, listed
    from asyncstore.network.timeouts import Timeouts
    from asyncstore.network.tls import TlsOptions
    from asyncstore.prepare.converter import ConversionOptions
    from asyncstore.prepare.file_format import FileFormat
    from asyncstore.prepare.invention import Invent
    from asyncstore.protocol.associate import IdentityKind, UserIdentity
    from asyncstore.renaming import NotRenamed, Renamer
    from asyncstore.run import Run
    from asyncstore.schedule.gate import Affinity
    from asyncstore.sender import Sender
    from asyncstore.sink import Sink
    from asyncstore.source import WalkOptions
    from asyncstore.surveying import survey

_HOMES = {
    "errors": (
        "AbortedHere",
        "AssociationAborted",
        "AssociationError",
        "AssociationRejected",
        "AssociationReleased",
        "AsyncstoreError",
        "ConnectFailed",
        "EchoRefused",
        "IdentityNotConfirmed",
        "LinkLost",
        "NoCommonTls",
        "NotTls",
        "OurCertificateRefused",
        "PeerCertificateRefused",
        "PrepareError",
        "ProtocolViolation",
        "RequestTooLong",
        "TimedOut",
        "TlsFailed",
        "TlsInterrupted",
        "UsageError",
    ),
    "model": (
        "Attempt",
        "Identity",
        "Instance",
        "Lane",
        "LaneState",
        "Outcome",
        "PairAnswer",
        "Payload",
        "Progress",
        "Result",
        "SourceFile",
        "Unsendable",
    ),
    "negotiation.proposal": ("Proposal", "listed"),
    "network.timeouts": ("Timeouts",),
    "protocol.associate": ("IdentityKind", "UserIdentity"),
    "network.tls": ("TlsOptions",),
    "prepare.converter": ("ConversionOptions",),
    "prepare.invention": ("Invent",),
    "prepare.file_format": ("FileFormat",),
    "renaming": ("NotRenamed", "Renamer"),
    "run": ("Run",),
    "schedule.gate": ("Affinity",),
    "sender": ("Sender",),
    "sink": ("Sink",),
    "source": ("WalkOptions",),
    "surveying": ("survey",),
}
"""The public names by their modules."""

__all__ = [
    "AbortedHere",
    "Affinity",
    "AssociationAborted",
    "AssociationError",
    "AssociationRejected",
    "AssociationReleased",
    "AsyncstoreError",
    "Attempt",
    "ConnectFailed",
    "ConversionOptions",
    "EchoRefused",
    "FileFormat",
    "Identity",
    "IdentityKind",
    "IdentityNotConfirmed",
    "Instance",
    "Invent",
    "Lane",
    "LaneState",
    "LinkLost",
    "NoCommonTls",
    "NotRenamed",
    "NotTls",
    "OurCertificateRefused",
    "Outcome",
    "PairAnswer",
    "Payload",
    "PeerCertificateRefused",
    "PrepareError",
    "Progress",
    "Proposal",
    "ProtocolViolation",
    "Renamer",
    "RequestTooLong",
    "Result",
    "Run",
    "Sender",
    "Sink",
    "SourceFile",
    "TimedOut",
    "Timeouts",
    "TlsFailed",
    "TlsInterrupted",
    "TlsOptions",
    "Unsendable",
    "UsageError",
    "UserIdentity",
    "WalkOptions",
    "__version__",
    "listed",
    "survey",
]


def __getattr__(name: str) -> Any:  # noqa: ANN401 - each name has its own type
    for module, names in _HOMES.items():
        if name in names:
            return getattr(import_module(f"asyncstore.{module}"), name)
    raise AttributeError(f"module 'asyncstore' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
