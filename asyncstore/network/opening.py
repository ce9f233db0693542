"""Opens associations as requestor: connect, secure, negotiate.

:func:`open_association` gives an established :class:`~asyncstore.network.association.Association`, or raises and leaves
nothing open.
"""

from __future__ import annotations

import logging
import time
from functools import partial
from typing import TYPE_CHECKING

from asyncstore.errors import (
    AssociationAborted,
    AssociationRejected,
    IdentityNotConfirmed,
    InvalidPdu,
    LinkLost,
    ProtocolViolation,
)
from asyncstore.named_tuple import NamedTuple
from asyncstore.negotiation import agreed_window, conclude
from asyncstore.network.addresses import address_of, connect
from asyncstore.network.association import Association, Reports, Steps, Terms
from asyncstore.network.deviations import Deviations
from asyncstore.network.link import Link, reason_of
from asyncstore.network.requestor import Requestor
from asyncstore.network.timeouts import Timeouts
from asyncstore.protocol.associate import AssociateRequest
from asyncstore.protocol.pdu import Fragmenter
from asyncstore.protocol.upper_layer import Aborted, Accepted, Rejected, UpperLayer, Violated
from asyncstore.waiting import finished

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Iterable

    from asyncstore.errors import AssociationError
    from asyncstore.model import OnAttempt
    from asyncstore.network.link import MakeLink
    from asyncstore.network.throttle import Throttle
    from asyncstore.network.tls import TlsRequestor
    from asyncstore.protocol.associate import (
        AssociateAccept,
        ExtendedNegotiation,
        ProposedContext,
        RoleSelection,
        UserIdentity,
    )
    from asyncstore.protocol.upper_layer import UpperLayerEvent

    MakeAssociation = Callable[[Link, UpperLayer, str, Terms, Reports], Association]
    """Makes an established association from the arguments of its class."""

_log = logging.getLogger("asyncstore.network.association")
"""One logger for the whole life of an association."""
_negotiation_log = logging.getLogger("asyncstore.negotiation")


class AssociationOptions(NamedTuple):
    """How to open associations with one peer.

    Attributes:
        calling_ae_title: ours.
        called_ae_title: the peer's.
        maximum_length: the longest P-DATA-TF that we receive (0: any).
        send_length: the longest P-DATA-TF to send, even if the peer takes longer ones.
        window: stores to have outstanding, if the peer agrees; 1 proposes nothing, 0 is unlimited (PS3.7 D.3.3.3).
        timeouts: how long the peer may take.
        identity: user identity with its proof.
        roles: the SCP/SCU roles to propose.
        extended: the extended negotiation to propose.
        tls: makes TLS links; ``None``: plain TCP.
        ip_version: 4 or 6; ``None``: any version that the host name resolves to.
        deviations: remembers which harmless deviations were warned of; ``None``: each association has its own memory.
        throttle: limits the bytes that established associations send together; ``None``: no limit.
    """

    calling_ae_title: str = "ASYNCSTORE"
    called_ae_title: str = "ANY-SCP"
    maximum_length: int = 16384
    send_length: int | None = None
    window: int = 1
    timeouts: Timeouts = Timeouts()
    identity: UserIdentity | None = None
    roles: tuple[RoleSelection, ...] = ()
    extended: tuple[ExtendedNegotiation, ...] = ()
    tls: TlsRequestor | None = None
    ip_version: int | None = None
    deviations: Deviations | None = None
    throttle: Throttle | None = None

    def request(self, contexts: tuple[ProposedContext, ...]) -> AssociateRequest:
        """The A-ASSOCIATE-RQ that proposes these contexts."""
        return AssociateRequest(
            self.calling_ae_title,
            self.called_ae_title,
            contexts,
            self.maximum_length,
            None if self.window == 1 else (self.window, 1),
            roles=self.roles,
            extended=self.extended,
            identity=self.identity,
        )


class Opening(Requestor):
    """An association from the TCP connection, or the end of its TLS handshake, to the peer's answer.

    Args:
        make_link: makes the link.
        peer: host and port, for errors.
        contexts: the presentation contexts to propose.
        options: everything else.
        reports: for the established association.
        make: makes the established association.
    """

    def __init__(
        self,
        make_link: MakeLink,
        peer: str,
        contexts: tuple[ProposedContext, ...],
        options: AssociationOptions,
        reports: Reports,
        *,
        make: MakeAssociation = Association,
    ) -> None:
        super().__init__(peer, UpperLayer(options.maximum_length), may_be_wrong_port=options.tls is None)
        self.owner: Opening | Association = self
        """The object to close: this one, or the association once it is established."""
        self._options = options
        self._reports = reports
        self._make = make
        self._request = options.request(contexts)
        self._notice = partial((options.deviations or Deviations()).notice, peer)
        self._established: asyncio.Future[Association] = self._loop.create_future()
        self._link = make_link(self._received, self._link_ended, lambda: None)

    def __repr__(self) -> str:
        return f"<Opening {self.peer} Sta{self._upper.state.value}>"

    async def run(self) -> Association:
        """Negotiate.

        Raises:
            AssociationError: the peer rejected, aborted, closed, was silent for too long, or does not speak DICOM.
        """
        self._upper.associate(self._request)
        if _negotiation_log.isEnabledFor(logging.DEBUG):
            from asyncstore.negotiation.show import request_lines  # names are many, and rarely shown

            self._show(logging.DEBUG, "requesting: ", request_lines(self._request))
        self._flush()
        return await self._answer(self._established, self._options.timeouts.acse, "answer to the association request")

    def _received(self, data: memoryview) -> None:
        events = iter(self._upper.receive(data))
        for event in events:
            if isinstance(event, Accepted):
                association = self._established_by(event.accept)
                if association is not None:
                    association.proceed(events)
                    if not self._established.done():
                        self._established.set_result(association)
                    return
            else:
                self._refused(event)
        self._flush()

    def _refused(self, event: UpperLayerEvent) -> None:
        if isinstance(event, Rejected):
            self._fail(AssociationRejected(self.peer, event.reject.result, event.reject.source, event.reject.reason))
        elif isinstance(event, Aborted):
            self._fail(AssociationAborted(self.peer, event.source, event.reason, 0))
        elif isinstance(event, Violated):
            self._fail(ProtocolViolation(self.peer, event.violation, speaks_dicom=False, speaks=event.speaks))

    def _established_by(self, accept: AssociateAccept) -> Association | None:
        """Hand the link over to the established association; ``None``: its terms are not acceptable."""
        try:
            return self._accepted(accept)
        except InvalidPdu as violation:
            self._upper.violated(violation)
            self._fail(ProtocolViolation(self.peer, violation.violation, speaks_dicom=True))
            return None

    def _accepted(self, accept: AssociateAccept) -> Association | None:
        options = self._options
        accepted, results, transfer_syntaxes = conclude(self._request.contexts, accept.contexts, self._notice)
        fragmenter = Fragmenter(accept.maximum_length, options.send_length)
        window = agreed_window(options.window, accept.window)
        _log.info(
            "association %d: %s (%s) accepted %d of %d presentation contexts, maximum length %d, window %d",
            self._reports.number,
            self.peer,
            accept.implementation_version_name or accept.implementation_class_uid,
            len(transfer_syntaxes),
            len(self._request.contexts),
            accept.maximum_length,
            window,
        )
        if _negotiation_log.isEnabledFor(logging.INFO):
            from asyncstore.negotiation.show import answer_lines, context_lines

            self._show(logging.DEBUG, "answered: ", answer_lines(self._request, accept))
            self._show(logging.INFO, "", context_lines(self._request.contexts, accept))
        identity = self._request.identity
        if identity is not None and identity.wants_response and accept.identity is None:
            self._fail(IdentityNotConfirmed(self.peer), notify_peer=True)
            return None
        terms = Terms(
            accepted, results, transfer_syntaxes, fragmenter, window, options.timeouts, self._notice,
            options.throttle, accept,
        )  # fmt: skip
        association = self.owner = self._make(self._link, self._upper, self.peer, terms, self._reports)
        return association

    def _show(self, level: int, what: str, lines: Iterable[str]) -> None:
        for line in lines:
            _negotiation_log.log(level, "association %d: %s%s", self._reports.number, what, line)

    def _failed(self, error: AssociationError) -> None:
        if not self._established.done():
            self._established.set_exception(error)


async def open_association(
    host: str,
    port: int,
    contexts: Iterable[ProposedContext],
    options: AssociationOptions,
    *,
    number: int = 1,
    on_attempt: OnAttempt = lambda instance, attempt, error: None,  # noqa: ARG005 - the type's shape
    on_end: Callable[[], None] = lambda: None,
    make: MakeAssociation = Association,
) -> Association:
    """Connect and negotiate.

    Args:
        host: host name or IP address.
        port: TCP port.
        contexts: the presentation contexts to propose.
        options: everything else.
        number: the number of the association in this run, from 1.
        on_attempt: called for each store that has begun, when its response comes or the association ends.
        on_end: called once, when the association ends without our release.
        make: makes the established association.

    Raises:
        ConnectFailed: no connection can be opened.
        AssociationError: the peer rejected, aborted, closed, was silent for too long, or does not speak DICOM.
    """
    peer = address_of(host, port)
    begun = time.monotonic()
    connected = await connect(host, port, options.timeouts.connect, options.ip_version)
    connected_at = secured_at = time.monotonic()
    make_link: MakeLink = partial(Link, connected)
    if options.tls is not None:
        make_link = await options.tls.secure(connected, peer, options.timeouts)
        secured_at = time.monotonic()
    reports = Reports(number, on_attempt, on_end)
    try:
        opening = Opening(make_link, peer, tuple(contexts), options, reports, make=make)
    except OSError as error:  # on macOS a socket that was reset takes no options
        connected.close()
        raise LinkLost(peer, reason_of(error), may_be_wrong_port=options.tls is None) from error
    try:
        association = await opening.run()
    except BaseException:
        await finished(opening.owner.close())
        raise
    association.steps = Steps(connected_at - begun, secured_at - connected_at, time.monotonic() - secured_at)
    return association
