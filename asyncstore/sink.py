"""A storage SCP that takes everything, at full speed, and discards it or stores it as Part 10 files.

It is the other end for demonstrations, tests and calibration, and can play a slow or a picky PACS. It is no archive:
it keeps no index and tells nobody what it holds.
"""

from __future__ import annotations

import errno
import logging
import os
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Self

from asyncstore.arguments import check, check_ae_title, check_ip_version, check_port, check_window
from asyncstore.errors import UsageError
from asyncstore.model import Result
from asyncstore.network.acceptor import Port, Storing
from asyncstore.network.addresses import address_of
from asyncstore.network.link import reason_of
from asyncstore.protocol.associate import (
    ACCEPTANCE,
    APPLICATION_CONTEXT,
    IMPLEMENTATION_CLASS_UID,
    IMPLEMENTATION_VERSION_NAME,
    AssociateReject,
    ContextResult,
)
from asyncstore.protocol.status import describe, result_of

if TYPE_CHECKING:
    from types import TracebackType

    from asyncstore.network.tls import TlsAcceptor, TlsOptions
    from asyncstore.protocol.associate import AssociateRequest, ProposedContext
    from asyncstore.protocol.command import Command

_log = logging.getLogger(__name__)

_STATUSES = range(1 << 16)
_PDU_LENGTHS = range(1 << 32)
"""The wire's fields for both (PS3.7 E.1, PS3.8 D.1.1)."""

_OUT_OF_RESOURCES = 0xA700

_NOT_STORAGE = (
    "1.2.840.10008.5.1.4.1.2.",  # query/retrieve
    "1.2.840.10008.5.1.4.31",  # modality worklist
    "1.2.840.10008.5.1.4.32",  # general purpose worklist
    "1.2.840.10008.5.1.4.34.6",  # unified procedure step
    "1.2.840.10008.3.1.2.",  # modality performed procedure step and others of normalized services
    "1.2.840.10008.1.20.",  # storage commitment
    "1.2.840.10008.5.1.1.",  # print management
)
"""What is proposed besides storage and verification, by its beginning. All else is taken for storage: so are classes
yet to come, and private ones."""

_REJECT_CALLED_AE_TITLE = AssociateReject(result=1, source=1, reason=7)
_REJECT_LOCAL_LIMIT = AssociateReject(result=2, source=3, reason=2)
_REJECT_APPLICATION_CONTEXT = AssociateReject(result=1, source=1, reason=2)
"""PS3.8 table 9-21."""

_ABSTRACT_SYNTAX_NOT_SUPPORTED = 3
_TRANSFER_SYNTAXES_NOT_SUPPORTED = 4
"""PS3.8 table 9-18."""

_NEXT_STEPS = {
    errno.EADDRINUSE: "Another program listens there: end it, or choose another port with --port; 0 takes a free one.",
    errno.EACCES: "Ports this low are for privileged users: choose another one with --port; 0 takes a free one.",
    errno.EADDRNOTAVAIL: "No network interface here has this address: --host 0.0.0.0 listens at all that there are.",
}
_NO_ADDRESS = "Give an address of this machine with --host, one of IPv4 with -i4 and one of IPv6 with -i6."
"""What to do where a sink cannot listen."""


@dataclass(slots=True)
class SinkTally:
    """What has come in so far."""

    instances: int = 0
    """Received, and answered with success or a warning."""
    bytes: int = 0
    """Of their data sets."""
    replaced: int = 0
    """Those of them whose file took the place of an earlier one with the same SOP instance UID."""
    refused: Counter[int] = field(default_factory=Counter)
    """Instances answered with a failure, by status."""
    echoes: int = 0
    associations: int = 0
    """Open now."""
    associations_total: int = 0
    rejected: int = 0
    """Associations rejected."""


class Sink:
    """A storage SCP.

        async with Sink(port=11112) as sink:
            ...

    Args:
        host: the address to listen at; by default only this machine can reach it.
        port: TCP port; 0 is any free one, and :attr:`port` tells which.
        ae_title: reject associations called otherwise; ``None``: take any.
        output: folder to store files in, named by SOP instance UID; ``None``: discard.
        latency: seconds to wait before each response.
        status: what to answer to each C-STORE-RQ.
        max_pdu: the largest P-DATA-TF to receive; 0: any.
        max_associations: associations to have open at once; ``None``: any number.
        async_operations: stores a requestor may have outstanding, if it asks; 0: any number.
        tls: take associations over TLS only, and how; ``None``: plain TCP.
        ip_version: 4 or 6, or ``None`` for whatever ``host`` is.

    Raises:
        UsageError: a value is out of its range, or a file of TLS cannot be used; or, on entering, the address cannot be
            had, or the folder cannot be written to.
    """

    def __init__(  # noqa: PLR0913 - each is an option of its own, all by keyword
        self,
        *,
        host: str = "127.0.0.1",
        port: int = 11112,
        ae_title: str | None = None,
        output: str | os.PathLike[str] | None = None,
        latency: float = 0.0,
        status: int = 0,
        max_pdu: int = 131072,
        max_associations: int | None = None,
        async_operations: int = 0,
        tls: TlsOptions | None = None,
        ip_version: int | None = None,
    ) -> None:
        check_port(port, may_be_any=True)
        if ae_title is not None:
            check_ae_title("AE", ae_title)
        check(latency >= 0, f"a latency of {latency} s would need a clock that runs backwards")
        check(status in _STATUSES, f"the status {status} does not fit into 16 bits")
        check(max_pdu in _PDU_LENGTHS, f"a maximum PDU length of {max_pdu} is not between 0 and {_PDU_LENGTHS[-1]}")
        check(max_associations is None or max_associations > 0, f"{max_associations} associations take nothing")
        check_window(async_operations)
        check_ip_version(ip_version)
        self.host = host
        self.port = port
        self.maximum_length = max_pdu
        self.window = async_operations
        self.latency = latency
        self.tally = SinkTally()
        self._ae_title = ae_title
        self._output = None if output is None else _Folder(Path(output), self.tally)
        self._status = status
        self._max_associations = max_associations
        self._tls = _secured(tls)
        self._ip_version = ip_version
        self._listening: Port | None = None

    async def __aenter__(self) -> Self:
        if self._output is not None:
            self._output.make()
        try:
            self._listening = Port(self.host, self.port, self, self._tls, self._ip_version)
        except (OSError, UnicodeError) as error:
            raise _cannot_listen(self.host, self.port, error) from error
        self.port = self._listening.port
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._listening is not None:
            self._listening.close()

    # What asyncstore.network.acceptor.Service asks.

    def decide(self, request: AssociateRequest) -> AssociateReject | tuple[ContextResult, ...]:
        """Take any association, within what was asked of this sink."""
        rejection = self._rejection(request)
        if rejection is not None:
            self.tally.rejected += 1
            return rejection
        self.tally.associations += 1
        self.tally.associations_total += 1
        return tuple(_answer(context) for context in request.contexts)

    def store(self, request: Command, transfer_syntax: str) -> Storing:
        """Begin to store an instance."""
        if self._output is None or result_of(self._status) is Result.FAILED:
            return _Discarding(self.tally, self._status)
        return _Writing(self._output, request, transfer_syntax, self._status)

    def echoed(self) -> None:
        """Count a C-ECHO."""
        self.tally.echoes += 1

    def ended(self) -> None:
        """Count an association's end."""
        self.tally.associations -= 1

    def _rejection(self, request: AssociateRequest) -> AssociateReject | None:
        if request.application_context != APPLICATION_CONTEXT:
            return _REJECT_APPLICATION_CONTEXT
        if self._ae_title is not None and request.called_ae_title != self._ae_title:
            return _REJECT_CALLED_AE_TITLE
        if self._max_associations is not None and self.tally.associations >= self._max_associations:
            return _REJECT_LOCAL_LIMIT
        return None


def _cannot_listen(host: str, port: int, error: OSError | UnicodeError) -> UsageError:
    """The error for an address that cannot be had."""
    refusal = UsageError(f"cannot listen at {address_of(host, port)}: {reason_of(error)}")
    refusal.hint = _NEXT_STEPS.get(error.errno or 0, _NO_ADDRESS) if isinstance(error, OSError) else _NO_ADDRESS
    return refusal


def _secured(options: TlsOptions | None) -> TlsAcceptor | None:
    """What makes TLS links, if they are asked for."""
    if options is None:
        return None
    from asyncstore.network.tls import TlsAcceptor  # noqa: PLC0415 - who does not ask for it does not wait for it

    return TlsAcceptor(options)


def _answer(context: ProposedContext) -> ContextResult:
    if context.abstract_syntax.startswith(_NOT_STORAGE):
        return ContextResult(context.id, _ABSTRACT_SYNTAX_NOT_SUPPORTED, "")
    if not context.transfer_syntaxes:
        return ContextResult(context.id, _TRANSFER_SYNTAXES_NOT_SUPPORTED, "")
    return ContextResult(context.id, ACCEPTANCE, context.transfer_syntaxes[0])


class _Discarding:
    def __init__(self, tally: SinkTally, status: int) -> None:
        self._tally = tally
        self._status = status
        self._length = 0

    def write(self, data: memoryview) -> None:
        self._length += len(data)

    def finish(self) -> int:
        if result_of(self._status) is Result.FAILED:
            self._tally.refused[self._status] += 1
        else:
            self._tally.instances += 1
            self._tally.bytes += self._length
        return self._status

    def discard(self) -> None:
        """There is nothing to clean up."""


class _Folder:
    """Where files are stored, and what came of that.

    Args:
        path: the folder.
        tally: what has come in so far.
    """

    def __init__(self, path: Path, tally: SinkTally) -> None:
        self.path = path
        self._tally = tally
        self._complaints: set[int | None] = set()

    def make(self) -> None:
        """See that it is there.

        Raises:
            UsageError: it cannot be.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except FileExistsError as error:
            raise UsageError(f"cannot store files in {str(self.path)!r}: it is not a directory") from error
        except OSError as error:
            raise UsageError(f"cannot store files in {str(self.path)!r}: {error.strerror}") from error

    def stored(self, length: int, *, in_place_of_another: bool) -> None:
        """Count an instance that is now a file."""
        self._tally.instances += 1
        self._tally.bytes += length
        self._tally.replaced += in_place_of_another

    def failed(self, error: OSError) -> int:
        """Count an instance that could not be stored, say why if that was not said yet, and give the status to answer.

        A disk that is full may be full for a million instances: the tally counts them.
        """
        self._tally.refused[_OUT_OF_RESOURCES] += 1
        if error.errno not in self._complaints:
            self._complaints.add(error.errno)
            complaint = "cannot store files in %s: %s; what cannot be stored is refused with %s"
            _log.warning(complaint, self.path, error.strerror, describe(_OUT_OF_RESOURCES))
        return _OUT_OF_RESOURCES


class _Writing:
    """Writes to a temporary file that gets its name when it is complete, so that no partial file is ever found.

    It writes from within the event loop: to the page cache of a local disk this takes less time than handing the
    pieces to a thread.
    """

    def __init__(self, folder: _Folder, request: Command, transfer_syntax: str, status: int) -> None:
        self._folder = folder
        self._status = status
        self._length = 0
        uid = request.sop_instance_uid or ""
        self._final = folder.path / f"{_safe(uid)}.dcm"
        self._temporary = folder.path / f".{_safe(uid)}.{os.getpid()}.{id(self):x}.partial"
        self._failure: OSError | None = None
        try:
            self._file = self._temporary.open("wb", buffering=0)
            self._file.write(file_meta_information(request.sop_class_uid or "", uid, transfer_syntax))
        except OSError as error:
            self._failure = error

    def write(self, data: memoryview) -> None:
        self._length += len(data)
        if self._failure is None:
            try:
                written = self._file.write(data)
                while written < len(data):
                    written += self._file.write(data[written:])
            except OSError as error:
                self._failure = error

    def finish(self) -> int:
        if self._failure is not None:
            self.discard()
            return self._folder.failed(self._failure)
        try:
            self._file.close()
            is_there = self._final.exists()
            self._temporary.replace(self._final)
        except OSError as error:
            self.discard()
            return self._folder.failed(error)
        self._folder.stored(self._length, in_place_of_another=is_there)
        return self._status

    def discard(self) -> None:
        with suppress(OSError):  # what keeps it from being written may keep it from being closed and removed
            if hasattr(self, "_file"):
                self._file.close()
        with suppress(OSError):
            self._temporary.unlink()


def _safe(uid: str) -> str:
    """A UID as a file name: a peer may send anything as UID, a path out of the folder for example.

    What cannot be a name as it is gets one that no other UID has.
    """
    safe = "".join(character if character.isalnum() or character in ".-" else "_" for character in uid)[:64].lstrip(".")
    return safe if safe and safe == uid else f"{safe}_{blake2b(os.fsencode(uid), digest_size=8).hexdigest()}"


def file_meta_information(sop_class_uid: str, sop_instance_uid: str, transfer_syntax_uid: str) -> bytes:
    """Preamble, prefix and file meta information (PS3.10 7.1) to stand before a data set."""
    elements = b"\x02\x00\x01\x00OB\0\0\x02\0\0\0\0\x01"
    for element, vr, text in (
        (0x0002, b"UI", sop_class_uid),
        (0x0003, b"UI", sop_instance_uid),
        (0x0010, b"UI", transfer_syntax_uid),
        (0x0012, b"UI", IMPLEMENTATION_CLASS_UID),
        (0x0013, b"SH", IMPLEMENTATION_VERSION_NAME),
    ):
        value = text.encode("ascii", "replace")
        value += (b"\0" if vr == b"UI" else b" ") * (len(value) & 1)
        elements += b"\x02\x00" + element.to_bytes(2, "little") + vr + len(value).to_bytes(2, "little") + value
    return bytes(128) + b"DICM\x02\x00\x00\x00UL\x04\x00" + len(elements).to_bytes(4, "little") + elements
