"""The process that searches for stored instances with C-FIND, for :class:`asyncstore.load.findable.Finder`.

It reads its settings and then instances from standard input, one JSON array a line, and writes what it finds to
standard output. It ends with its standard input, which the system closes when the other process ends in any way.

One association carries all searches, one after the other, at the IMAGE level of the Study Root model (PS3.4 C.6.2.1).
The instance whose search is due longest comes first. If more are due than the peer answers in time, pauses are longer.
"""

from __future__ import annotations

import heapq
import json
import logging
import os
import re
import sys
import threading
import time
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, Final

from asyncstore.errors import UsageError
from asyncstore.load.findable import ERROR, FOUND, LATE, MISSING, PROBLEM, READY
from asyncstore.named_tuple import NamedTuple
from asyncstore.network.prompt import send_promptly
from asyncstore.protocol.status import PENDING, SUCCESS, describe

if TYPE_CHECKING:
    from collections.abc import Callable

    from pydicom import Dataset
    from pynetdicom.association import Association
    from pynetdicom.events import Event

_FIRST_PAUSE: Final = 0.02
_GROWTH: Final = 1.5
_LONGEST_PAUSE: Final = 0.5
"""Seconds between two searches for one instance: short at first, because a fast peer is measured by it."""
_LATE_SECONDS: Final = 0.1
"""A first search that begins later than this is remarked on: earlier searches held it up."""
_RETRY_SECONDS: Final = 1.0
"""Between two attempts to open an association again."""
_CONNECT_SECONDS: Final = 10.0
_ANSWER_SECONDS: Final = 30.0
"""How long the peer may take to connect, and to answer."""
_END_SECONDS: Final = 2.0
"""How long a search under way may hold up the end of this process."""
_ABORT_SECONDS: Final = 1.0
_NOBODY: Final = ("2.25.1", "2.25.2", "2.25.3")
"""The UIDs of the first search: it shows whether the peer answers searches at all."""
_ERROR_NUMBER: Final = re.compile(r"^\[Errno -?\d+\] ")
_CONTEXT_RESULTS: Final = {
    1: "user rejection",
    2: "no reason given",
    3: "abstract syntax not supported",
    4: "transfer syntaxes not supported",
}
"""PS3.8 table 9-18."""


class _Unsearchable(Exception):
    """No search is possible; the message says why."""


class _SearchFailed(Exception):
    """One search failed; the message says why."""


class _Sample(NamedTuple):
    """An instance to search for; samples are ordered by the time of their next search."""

    due: float
    at: float
    """When it was stored."""
    pause: float
    uids: tuple[str, str, str]
    """Study, series and SOP instance UID."""


class _Peer:
    """Searches over one association, which is opened again when it was lost."""

    def __init__(self, settings: dict[str, Any], tls: dict[str, Any] | None) -> None:
        from pynetdicom import AE, evt  # it takes half a second
        from pynetdicom.pdu import A_ABORT_RQ, A_ASSOCIATE_RJ
        from pynetdicom.sop_class import (  # type: ignore[attr-defined]  # it makes them from a table
            StudyRootQueryRetrieveInformationModelFind,
        )

        self._model = StudyRootQueryRetrieveInformationModelFind
        self._events = evt
        self._rejected, self._aborted = A_ASSOCIATE_RJ, A_ABORT_RQ
        self._entity = AE(settings["calling_ae_title"])
        self._entity.add_requested_context(self._model)
        self._entity.connection_timeout = _CONNECT_SECONDS
        self._entity.acse_timeout = self._entity.dimse_timeout = _ANSWER_SECONDS
        self._entity.network_timeout = None  # its own association may be idle for long
        self._calling: str = settings["calling_ae_title"]
        self._host, self._port, self._called = settings["host"], settings["port"], settings["called_ae_title"]
        self._negotiation = _identity_item(settings["identity"])
        self._tls = _tls_arguments(tls, self._host)
        self._association: Association | None = None
        self._last_pdu: Any = None
        """The last PDU that the peer sent."""
        self._failures = _Failures()
        logging.getLogger("pynetdicom").addHandler(self._failures)

    def open(self) -> Association:
        """Open the association.

        Raises:
            _Unsearchable: the peer cannot be reached, or does not take searches.
        """
        self._failures.last = ""
        self._last_pdu = None
        association = self._entity.associate(
            self._host,
            self._port,
            ae_title=self._called,
            ext_neg=self._negotiation,
            tls_args=self._tls,
            evt_handlers=[(self._events.EVT_CONN_OPEN, _without_delays), (self._events.EVT_PDU_RECV, self._received)],
        )
        if association.is_established:
            _leave_responses(association)
            self._association = association
            return association
        if isinstance(self._last_pdu, self._rejected):
            raise _Unsearchable(f"the peer rejects the association: {self._last_pdu.reason_str}")
        for context in association.rejected_contexts:
            words = _CONTEXT_RESULTS.get(context.result or 0, "not accepted")
            raise _Unsearchable(f"the peer does not take C-FIND of the Study Root model: {words}")
        raise _Unsearchable(f"no association can be opened: {self._failures.last or 'the peer ended it'}")

    def _received(self, event: Event) -> None:
        """Take a PDU. pynetdicom makes an abort of a rejection whose connection ends at once, and of each lost link."""
        self._last_pdu = event.pdu

    def finds(self, uids: tuple[str, str, str]) -> bool:
        """Whether a search finds an instance.

        Raises:
            _SearchFailed: it failed.
            _Unsearchable: the association cannot be opened again.
        """
        association = self._association
        if association is None or not association.is_established:
            association = self.open()
        is_found = False
        status = None
        begun = time.monotonic()
        try:
            for answer, identifier in association.send_c_find(_identifier(uids), self._model):
                status = answer.get("Status")
                if status in PENDING and identifier is not None:
                    with suppress(Exception):  # pydicom raises many kinds for values that it cannot read
                        is_found |= identifier.get("SOPInstanceUID") == uids[2]
        except (RuntimeError, ValueError) as error:  # pynetdicom's own, for an association that has just ended
            raise _SearchFailed("the association was lost") from error
        if status is None:
            is_silent = time.monotonic() - begun >= _ANSWER_SECONDS
            association.join(_ABORT_SECONDS)  # it ends a moment after the iteration
            if isinstance(self._last_pdu, self._aborted):
                raise _SearchFailed(f"it aborts the association: it may not allow {self._calling} to search")
            raise _SearchFailed(
                f"no answer within {_ANSWER_SECONDS:g} seconds" if is_silent else "the association was lost"
            )
        if status != SUCCESS and status not in PENDING:
            raise _SearchFailed(f"status {describe(status)}")
        return is_found

    def close(self) -> None:
        """Release the association."""
        logging.getLogger("pynetdicom").removeHandler(self._failures)
        if self._association is not None and self._association.is_established:
            self._association.release()


def _without_delays(event: Event) -> None:
    """Let the connection of an association send and acknowledge at once."""
    transport = event.assoc.dul.socket
    if transport is None or transport.socket is None:
        return
    receive, acknowledge = transport.recv, send_promptly(transport.socket)

    def receive_promptly(nr_bytes: int) -> bytearray:
        received = receive(nr_bytes)
        acknowledge()
        return received

    transport.recv = receive_promptly  # type: ignore[method-assign] # of this object only


def _leave_responses(association: Association) -> None:
    """Let pynetdicom's idle thread take no messages: woken between two searches, it took the response of the second."""
    take = association.dimse.get_msg

    def get_msg(block: bool = False) -> Any:  # noqa: ANN401, FBT001, FBT002 - pynetdicom's signature
        return take(block) if block else (None, None)

    association.dimse.get_msg = get_msg  # type: ignore[method-assign] # of this object only


class _Failures(logging.Handler):
    """Keeps why pynetdicom could not connect: it only logs that."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.last = ""

    def emit(self, record: logging.LogRecord) -> None:
        """Take a message of pynetdicom; the last part of a failure says most."""
        self.last = _ERROR_NUMBER.sub("", record.getMessage().rpartition("Error: ")[2])


def _identity_item(identity: list[Any] | None) -> list[Any]:
    """The user identity for the negotiation (PS3.7 D.3.3.7), if there is one.

    Raises:
        _Unsearchable: pynetdicom does not know its kind.
    """
    if identity is None:
        return []
    from pynetdicom.pdu_primitives import UserIdentityNegotiation

    kind, primary, secondary, wants_response = identity
    item = UserIdentityNegotiation()
    try:
        item.user_identity_type = kind
    except ValueError as error:
        raise _Unsearchable(f"a user identity of kind {kind} cannot be used for C-FIND") from error
    item.primary_field = bytes.fromhex(primary)
    item.secondary_field = bytes.fromhex(secondary)
    item.positive_response_requested = wants_response
    return [item]


def _tls_arguments(tls: dict[str, Any] | None, host: str) -> Any:  # noqa: ANN401 - pynetdicom's pair, or None
    if tls is None:
        return None
    from asyncstore.network.tls import TlsOptions, TlsRequestor

    return TlsRequestor(TlsOptions(**tls), host).for_blocking_sockets()


def _identifier(uids: tuple[str, str, str]) -> Dataset:
    """The identifier of a search (PS3.4 C.4.1.1.3.1)."""
    from pydicom import Dataset  # it takes long to import

    identifier = Dataset()
    identifier.QueryRetrieveLevel = "IMAGE"
    identifier.StudyInstanceUID, identifier.SeriesInstanceUID, identifier.SOPInstanceUID = uids
    return identifier


class _Search:
    """Searches for samples until there are no more lines; the arguments are those of :func:`serve`."""

    def __init__(
        self, peer: _Peer, deadline: float, lines: SimpleQueue[bytes | None], say: Callable[..., None]
    ) -> None:
        self._lines = lines
        self._peer = peer
        self._deadline = deadline
        self._say = say
        self._samples: list[_Sample] = []

    def run(self) -> None:
        """Search until the lines end with ``None``."""
        while True:
            wait = max(self._samples[0].due - time.monotonic(), 0.0) if self._samples else None
            try:
                line = self._lines.get(timeout=wait)
            except Empty:
                self._search(heapq.heappop(self._samples))
                continue
            if line is None:
                return
            *uids, at = json.loads(line)
            heapq.heappush(self._samples, _Sample(at, at, _FIRST_PAUSE, tuple(uids)))

    def _search(self, sample: _Sample) -> None:
        """Search once for a sample."""
        is_found, pause = False, sample.pause
        if sample.due == sample.at and time.monotonic() - sample.at > _LATE_SECONDS:
            self._say(LATE)
        try:
            is_found = self._peer.finds(sample.uids)
        except _SearchFailed as failure:
            self._say(ERROR, str(failure))
        except _Unsearchable as failure:
            self._say(ERROR, str(failure))
            pause = _RETRY_SECONDS
        now = time.monotonic()
        if is_found:
            self._say(FOUND, max(now - sample.at, 0.0))
        elif now - sample.at >= self._deadline:
            self._say(MISSING)
        else:
            longer = min(sample.pause * _GROWTH, _LONGEST_PAUSE)
            heapq.heappush(self._samples, sample._replace(due=now + pause, pause=longer))


def serve(
    settings: dict[str, Any], tls: dict[str, Any] | None, lines: SimpleQueue[bytes | None], say: Callable[..., None]
) -> int:
    """Search for the instances in ``lines`` until ``None`` comes; the exit code.

    Args:
        settings: those of the :class:`~asyncstore.load.findable.Finder`.
        tls: the fields of its options of TLS.
        lines: JSON arrays of study, series and SOP instance UID, and when the instance was stored.
        say: takes each answer: a word and its value.
    """
    peer = None
    try:
        peer = _Peer(settings, tls)
        peer.open()
        peer.finds(_NOBODY)
        say(READY)
        _Search(peer, settings["deadline"], lines, say).run()
    except (_Unsearchable, UsageError) as reason:
        say(PROBLEM, str(reason))
        return 1
    except _SearchFailed as reason:
        say(PROBLEM, f"a first search failed: {reason}")
        return 1
    finally:
        if peer is not None:
            peer.close()
    return 0


def main() -> int:
    """Search until standard input ends."""
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # numpy would reserve memory for a thread on each core
    settings, tls = json.loads(sys.stdin.buffer.readline())
    output = os.fdopen(os.dup(sys.stdout.fileno()), "wb", buffering=0)
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # so that libraries cannot print into the answers
    lines: SimpleQueue[bytes | None] = SimpleQueue()
    threading.Thread(target=_read, args=(lines,), daemon=True).start()

    def say(word: str, value: object = None) -> None:
        try:
            output.write(json.dumps([word, value]).encode() + b"\n")
        except BrokenPipeError:
            os._exit(0)  # nobody reads

    return serve(settings, tls, lines, say)


def _read(lines: SimpleQueue[bytes | None]) -> None:
    """Read lines until standard input ends; then the process ends soon, whatever it does."""
    for line in sys.stdin.buffer:
        lines.put(line)
    lines.put(None)
    time.sleep(_END_SECONDS)
    os._exit(0)
