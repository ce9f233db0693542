"""Archives that fail while a study or patient is being created, played.

Several archives make a record for a study and its patient when their first instance comes. If a second instance comes
before that is done, they fail, or make a second record (dcm4chee-arc-light #31, #42, #3154; microsoft/dicom-server
#1491).

Rules:

1. A store *creates* the study and patient of its instance, unless they exist, from the time when its data set says
   them until it is answered.
2. Other stores to a study or patient that is being created are refused.
3. A store that is refused or discarded, or answered with a failure, leaves nothing.
"""

from __future__ import annotations

from asyncio import get_running_loop
from typing import TYPE_CHECKING

from asyncstore.model import Result
from asyncstore.prepare.head import head_of
from asyncstore.protocol.status import result_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from asyncstore.network.acceptor import Storing
    from asyncstore.sink.tally import SinkTally

PROCESSING_FAILURE = 0x0110
"""PS3.7 C.5.21: what such archives answer."""

_MOST_BYTES = 1 << 16
"""The beginning of a data set in which its study and patient are looked for."""

Key = str | bytes
"""A Study Instance UID, or a Patient ID as it is encoded."""


class Studies:
    """The studies and patients that exist, and those that are being created.

    Args:
        latency: seconds from the end of a data set to the response.
    """

    def __init__(self, latency: float) -> None:
        self._latency = latency
        self._existing: set[Key] = set()
        self._creating: dict[Key, tuple[float, bool]] = {}
        """When the store will be answered, and whether with success; for those that have not ended: never."""

    def begin(self, keys: Iterable[Key]) -> list[Key] | None:
        """A store to this study and patient begins: those that it creates, or ``None`` if it is refused."""
        now = get_running_loop().time()
        new: list[Key] = []
        for key in keys:
            answered, is_stored = self._creating.get(key, (0.0, False))
            if answered > now:
                return None
            if self._creating.pop(key, None) is not None and is_stored:
                self._existing.add(key)
            if key not in self._existing:
                new.append(key)
        for key in new:
            self._creating[key] = (float("inf"), False)
        return new

    def end(self, created: Iterable[Key], *, is_stored: bool) -> None:
        """A store has ended and will be answered."""
        answered = get_running_loop().time() + self._latency
        for key in created:
            self._creating[key] = (answered, is_stored)

    def give_up(self, created: Iterable[Key]) -> None:
        """A store has ended and will not be answered."""
        for key in created:
            del self._creating[key]


class StrictStoring:
    """Stores an instance unless its study or patient is being created by another store.

    Args:
        storing: stores it.
        studies: what exists.
        transfer_syntax: of the data set.
        tally: the sink's counts.
    """

    def __init__(self, storing: Storing, studies: Studies, transfer_syntax: str, tally: SinkTally) -> None:
        self._storing = storing
        self._studies = studies
        self._transfer_syntax = transfer_syntax
        self._tally = tally
        self._beginning: bytearray | None = bytearray()
        """The data set so far, until its study and patient are known."""
        self._created: list[Key] | None = []
        """What this store creates; ``None``: it is refused."""

    def write(self, data: memoryview) -> None:
        """Take the next piece."""
        self._storing.write(data)
        if self._beginning is not None:
            self._beginning += data
            if len(self._beginning) >= _MOST_BYTES:
                self._begin(self._beginning)

    def finish(self) -> int:
        """Store it or refuse it; the status."""
        if self._beginning is not None:
            self._begin(self._beginning)
        if self._created is None:
            self._storing.discard()
            self._tally.refused[PROCESSING_FAILURE] += 1
            return PROCESSING_FAILURE
        status = self._storing.finish()
        self._studies.end(self._created, is_stored=result_of(status) is not Result.FAILED)
        return status

    def discard(self) -> None:
        """The association ended within the data set."""
        self._storing.discard()
        self._studies.give_up(self._created or ())

    def _begin(self, beginning: bytearray) -> None:
        self._beginning = None
        head = head_of(bytes(beginning), self._transfer_syntax)
        self._created = self._studies.begin(key for key in (head.study_instance_uid, head.patient_id) if key)
