"""Synthetic studies: something to send where no patient's data may be used, and as much of it as a measurement needs.

Two subjects: :func:`write_archive` writes a small varied archive, as a demonstration wants it; :func:`write_copies`
writes many instances of one kind and one size, as a benchmark wants them.

Rules:

1. Nothing here looks like a real patient: every patient's name begins with ``SYNTHETIC^``, every ID with ``SYN-``.
2. The same arguments write the same bytes: whatever is random comes from the seed, no clock is read, and every UID is
   made from a name-based UUID below 2.25 (PS3.5 B.2).
3. Only an empty folder is written to, so that synthetic instances never lie among others.
4. No numpy and no codec: frames are drawn from slices of prepared noise, and RLE is pydicom's own.
"""

from asyncstore.load.archive import write_archive
from asyncstore.load.copies import write_copies
from asyncstore.load.writing import Archive

__all__ = ["Archive", "write_archive", "write_copies"]
