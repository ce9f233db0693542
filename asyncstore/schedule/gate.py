"""The gate: which instances of a study or a patient may be under way at the same time.

Several archives make duplicate patients or fail if two associations bring the first objects of a study at once
(dcm4chee-arc-light #31, #42, #3154; microsoft/dicom-server #1491).

Rules:

1. ``first``: until the peer has stored one instance of a study, one lane alone sends instances of it, one after the
   other. The same holds for a patient. Then all lanes may.
2. ``study`` and ``patient``: as long as a lane has instances of a study (patient), no other lane gets any.
3. A lane *claims* a study with the first instance that it takes, and has the claim while it has such instances.
4. An instance whose data set names no study (patient) is not held for it.
5. Studies and patients that are stored are remembered, the last 100 000 of each. Forgetting one costs its next instance
   a round trip.

Pure: the backlog holds what the gate does not admit.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from asyncstore.model import Head, Instance

_REMEMBERED = 100_000
"""Some 15 MB of studies and as much of patients."""


class Affinity(StrEnum):
    """Which instances are kept on one association."""

    FIRST = "first"
    """The first instance of each study and patient, until it is stored."""
    STUDY = "study"
    """Each study."""
    PATIENT = "patient"
    """Each patient."""
    NONE = "none"
    """Nothing."""


Key = str | bytes
"""A Study Instance UID, or a Patient ID as it is encoded."""


class _Claim:
    """A lane's claim to a study or patient."""

    __slots__ = ("count", "lane")

    def __init__(self, lane: object) -> None:
        self.lane = lane
        self.count = 0
        """The instances that the lane has taken and that have not ended."""


class Gate:
    """Admits instances to lanes.

    Args:
        affinity: what is kept on one association.
        remembered: how many studies, and how many patients, are remembered as stored.
    """

    def __init__(self, affinity: Affinity, remembered: int = _REMEMBERED) -> None:
        self._opens = affinity is Affinity.FIRST
        self._by_study = affinity in (Affinity.FIRST, Affinity.STUDY)
        self._by_patient = affinity in (Affinity.FIRST, Affinity.PATIENT)
        self._remembered = remembered
        self.claims: dict[Key, _Claim] = {}
        """The claims of lanes; without any, ended instances change nothing here."""
        self._stored_studies: dict[Key, None] = {}
        self._stored_patients: dict[Key, None] = {}
        self.last: Head | None = None
        """The head of the instance before, if nothing of its study and patient needs to wait any more."""

    def concerns(self, instance: Instance) -> bool:
        """Whether a lane has a claim to the study or patient of ``instance``."""
        details = (instance.original or instance).details  # .found takes thrice as long
        if details is None:
            return False
        head = details.head
        return head.study_instance_uid in self.claims or head.patient_id in self.claims

    def goes_on(self, key: Key, lane: object, *, overlaps: bool = False) -> bool:
        """Whether ``lane`` has the claim to ``key``, and may take more of it now."""
        claim = self.claims.get(key)
        return claim is not None and claim.lane is lane and not (overlaps and self._opens)

    def admit(self, head: Head, lane: object, *, overlaps: bool = False) -> Key | None:
        """Let ``lane`` take an instance. Returns ``None``, or the study or patient for which it must wait.

        Args:
            head: what the instance belongs to.
            lane: the lane.
            overlaps: whether several stores of this lane may be under way at once.
        """
        if head == self.last:
            self.last = head  # mostly the next one is the same object
            return None
        keys = self._keys(head)
        claims = self.claims
        for key in keys:
            claim = claims.get(key)
            if claim is not None and (claim.lane is not lane or (overlaps and self._opens)):
                return key
        for key in keys:
            if key not in claims:
                claims[key] = _Claim(lane)
            claims[key].count += 1
        if not keys:
            self.last = head
        return None

    def ended(self, head: Head, lane: object, *, is_stored: bool) -> list[Key]:
        """An instance that ``lane`` took has ended; returns the studies and patients that are free now."""
        claims = self.claims
        freed = []
        for key in self._keys(head):
            claim = claims.get(key)
            if claim is None or claim.lane is not lane:
                continue
            claim.count -= 1
            if self._opens and is_stored:
                self._remember(key)
            elif claim.count:
                continue
            del claims[key]
            freed.append(key)
        return freed

    def _keys(self, head: Head) -> list[Key]:
        """The study and patient of ``head`` that may have to wait: those that are not stored yet."""
        study, patient = head.study_instance_uid, head.patient_id
        keys: list[Key] = []
        if self._by_study and study and study not in self._stored_studies:
            keys.append(study)
        if self._by_patient and patient and patient not in self._stored_patients:
            keys.append(patient)
        return keys

    def _remember(self, key: Key) -> None:
        stored = self._stored_studies if isinstance(key, str) else self._stored_patients
        stored[key] = None
        if len(stored) > self._remembered:
            del stored[next(iter(stored))]
            self.last = None
