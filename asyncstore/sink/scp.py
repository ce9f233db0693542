"""The storage SCP: accepts associations and contexts, and answers with statuses."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Self

from asyncstore.arguments import (
    PORTS_OR_ANY,
    WINDOWS,
    check,
    check_ae_title,
    check_ip_version,
    check_least,
    check_range,
    check_types,
)
from asyncstore.errors import CannotListen
from asyncstore.model import Result
from asyncstore.network.addresses import address_of
from asyncstore.network.link import reason_of
from asyncstore.network.port import Port
from asyncstore.protocol.associate import ACCEPTANCE, APPLICATION_CONTEXT, AssociateReject, ContextResult
from asyncstore.protocol.status import PENDING, describe, result_of
from asyncstore.sink.files import Folder, Writing
from asyncstore.sink.studies import StrictStoring, Studies
from asyncstore.sink.tally import SinkTally
from asyncstore.waiting import running_loop

if TYPE_CHECKING:
    import os
    from types import TracebackType

    from asyncstore.network.acceptor import Storing
    from asyncstore.network.tls import TlsAcceptor, TlsOptions
    from asyncstore.protocol.associate import AssociateRequest, ProposedContext
    from asyncstore.protocol.command import Command

_STATUSES = range(1 << 16)
_PDU_LENGTHS = range(1 << 32)
"""The ranges of their fields in PDUs (PS3.7 E.1, PS3.8 D.1.1)."""

_NOT_STORAGE = (
    "1.2.840.10008.5.1.4.1.2.",  # query/retrieve
    "1.2.840.10008.5.1.4.31",  # modality worklist
    "1.2.840.10008.5.1.4.32",  # general purpose worklist
    "1.2.840.10008.5.1.4.34.6",  # unified procedure step
    "1.2.840.10008.3.1.2.",  # modality performed procedure step and others of normalized services
    "1.2.840.10008.1.20.",  # storage commitment
    "1.2.840.10008.5.1.1.",  # print management
)
"""The beginnings of other SOP classes. All else counts as storage, so future and private classes are accepted."""

_REJECT_CALLED_AE_TITLE = AssociateReject(result=1, source=1, reason=7)
_REJECT_LOCAL_LIMIT = AssociateReject(result=2, source=3, reason=2)
_REJECT_APPLICATION_CONTEXT = AssociateReject(result=1, source=1, reason=2)
"""PS3.8 table 9-21."""

_NO_REASON = 2
_ABSTRACT_SYNTAX_NOT_SUPPORTED = 3
_TRANSFER_SYNTAXES_NOT_SUPPORTED = 4
"""PS3.8 table 9-18."""

_LIKE_UID = re.compile(r"[!-\[\]-~]{1,64}")
"""No backslash: it begins the escapes of binary bytes (and separates values, PS3.5 6.2)."""


class Sink:
    """A storage SCP.

        async with Sink(port=11112) as sink:
            ...

    Args:
        host: the address to listen at; by default only this machine can reach it.
        port: TCP port; 0 is any free one, which :attr:`port` names then.
        ae_title: reject associations with another called AE title; ``None``: accept any.
        output: folder for the files, named by SOP instance UID; ``None``: discard.
        latency: seconds to wait before each response.
        status: the status of each C-STORE-RSP.
        strict_studies: refuse instances of a study or patient with 0x0110 while the first one is not answered, as
            archives do that fail when they create the same record twice.
        max_pdu: the largest P-DATA-TF to receive; 0: any.
        max_associations: the most open associations; ``None``: any number.
        async_operations: stores that a requestor may have outstanding, if it proposes a window; 0: any number.
        idle_timeout: seconds without a byte before an association is aborted, unless a response is due; 0: never.
        group_readable: let the group read the files, and the folder if it is new; otherwise only their owner may.
        tls: accept associations over TLS only, with these options; ``None``: plain TCP.
        ip_version: 4 or 6; ``None``: the version of ``host``.

    Raises:
        UsageError: a value is out of its range, or a file of TLS cannot be used; on entering: it cannot listen at the
            address, or cannot create the folder.
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
        strict_studies: bool = False,
        max_pdu: int = 131072,
        max_associations: int | None = None,
        async_operations: int = 0,
        idle_timeout: float = 60.0,
        group_readable: bool = False,
        tls: TlsOptions | None = None,
        ip_version: int | None = None,
    ) -> None:
        check_types(Sink.__init__, locals())
        check_range("port", port, PORTS_OR_ANY)
        if ae_title is not None:
            check_ae_title("ae_title", ae_title)
        check_least("latency", latency, 0)
        check_range("status", status, _STATUSES)
        check(status not in PENDING, f"the status {describe(status)} is no final answer")
        check_range("max_pdu", max_pdu, _PDU_LENGTHS)
        check_least("max_associations", max_associations, 1)
        check_range("async_operations", async_operations, WINDOWS)
        check_least("idle_timeout", idle_timeout, 0)
        check_ip_version(ip_version)
        self.host = host
        self.port: int = port
        self.maximum_length = max_pdu
        self.window = async_operations
        self.latency = latency
        self.idle_timeout = idle_timeout
        self.keeps_files = output is not None
        self.tally = SinkTally()
        self._ae_title = ae_title
        self._output = None if output is None else Folder(Path(output), self.tally, group_readable=group_readable)
        self._status = status
        self._studies = Studies(latency) if strict_studies else None
        self._max_associations = max_associations
        self._tls = _secured(tls)
        self._ip_version = ip_version
        self._listening: Port | None = None

    async def __aenter__(self) -> Self:
        running_loop()
        if self._output is not None:
            self._output.make()
        try:
            self._listening = Port(self.host, self.port, self, self._tls, self._ip_version)
        except (OSError, UnicodeError) as error:
            raise CannotListen(
                address_of(self.host, self.port), reason_of(error), getattr(error, "errno", None)
            ) from error
        self.port = self._listening.port
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._listening is not None:
            self._listening.close()

    # The methods of asyncstore.network.acceptor.Service.

    def decide(self, request: AssociateRequest) -> AssociateReject | tuple[ContextResult, ...]:
        """Accept any association that this sink's options allow."""
        rejection = self._rejection(request)
        if rejection is not None:
            self.tally.rejected += 1
            return rejection
        self.tally.associations += 1
        self.tally.associations_total += 1
        uses = Counter(context.id for context in request.contexts)
        return tuple(_answer(context, is_valid=context.id % 2 == 1 == uses[context.id]) for context in request.contexts)

    def store(self, request: Command, transfer_syntax: str) -> Storing:
        """Begin to store an instance."""
        storing: Storing
        if self._output is None or result_of(self._status) is Result.FAILED:
            storing = _Discarding(self.tally, self._status)
        else:
            storing = Writing(self._output, request, transfer_syntax, self._status)
        return storing if self._studies is None else StrictStoring(storing, self._studies, transfer_syntax, self.tally)

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


def _secured(options: TlsOptions | None) -> TlsAcceptor | None:
    """Makes TLS links; ``None``: plain TCP."""
    if options is None:
        return None
    from asyncstore.network.tls import TlsAcceptor  # plain TCP does not wait for ssl

    return TlsAcceptor(options)


def _answer(context: ProposedContext, *, is_valid: bool) -> ContextResult:
    """The answer to a context; its id is valid if it is odd and unique (PS3.8 9.3.2.2)."""
    if not is_valid:
        return ContextResult(context.id, _NO_REASON, "")
    if not _may_be_uid(context.abstract_syntax) or context.abstract_syntax.startswith(_NOT_STORAGE):
        return ContextResult(context.id, _ABSTRACT_SYNTAX_NOT_SUPPORTED, "")
    for transfer_syntax in context.transfer_syntaxes:
        if _may_be_uid(transfer_syntax):
            return ContextResult(context.id, ACCEPTANCE, transfer_syntax)
    return ContextResult(context.id, _TRANSFER_SYNTAXES_NOT_SUPPORTED, "")


def _may_be_uid(text: str) -> bool:
    """Whether peers may use this as a UID: 1 to 64 printable ASCII characters, more than PS3.5 9.1 allows."""
    return _LIKE_UID.fullmatch(text) is not None


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
        """Nothing to clean up."""
