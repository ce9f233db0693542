"""The UIDs and identifiers of a load: new for every run, and all of constant length.

A seed gives a root, and UIDs are the root, a digit for what they identify, and a number. Two seeds have different
roots. The same seed gives the same UIDs again.
"""

from __future__ import annotations

import uuid
from itertools import count
from typing import Final

ROOT_LENGTH: Final = 44
"""Characters of a root: ``2.25.`` and 39 digits."""
NUMBER_LENGTH: Final = 12
UID_LENGTH: Final = ROOT_LENGTH + 2 + NUMBER_LENGTH
PATIENT_ID_LENGTH: Final = 22
ACCESSION_NUMBER_LENGTH: Final = 16
"""The most that an SH can have (PS3.5 6.2)."""
SERIES_NUMBER_LENGTH: Final = 2
INSTANCE_NUMBER_LENGTH: Final = 6

INSTANCE_UID: Final = b"%b.1%012d"
STUDY_UID: Final = b"%b.2%012d"
SERIES_UID: Final = b"%b.3%012d"
"""A root and a number make a UID."""
PATIENT_ID: Final = b"SYN-%b-%011d"
ACCESSION_NUMBER: Final = b"%b%010d"
"""A run's mark and the number of a study make these."""
SERIES_NUMBER: Final = b"%02d"
INSTANCE_NUMBER: Final = b"%06d"
"""With zeros: DCMTK takes out spaces, and what a peer keeps would differ from what was sent."""
SEED_BITS: Final = 53


def new_seed() -> int:
    """A seed that no other run has, of 53 bits: programs that read numbers of JSON as floats keep it."""
    return uuid.uuid4().int >> (128 - SEED_BITS)


def root_of(seed: int) -> bytes:
    """The root of all UIDs of a seed: a UUID (PS3.5 B.2). Numbers below its arc are free to use (X.667 7)."""
    numbers = (uuid.uuid5(uuid.NAMESPACE_OID, f"asyncstore load {seed} {attempt}").int for attempt in count())
    roots = (f"2.25.{number}".encode() for number in numbers)
    return next(root for root in roots if len(root) == ROOT_LENGTH)  # two of three have this length


def mark_of(root: bytes) -> bytes:
    """Six characters that tell a run's patients from those of other runs."""
    return f"{int(root[5:]) % 16**6:06X}".encode()
