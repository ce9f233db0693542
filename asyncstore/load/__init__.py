"""Synthetic studies: data to send without any patient's data, in the amount that a measurement needs.

:func:`write_archive` writes a small varied archive for demonstrations. :func:`write_copies` writes many instances of
one kind and size for benchmarks.

Rules:

1. Nothing looks like a real patient: every patient's name begins with ``SYNTHETIC^``, every ID with ``SYN-``.
2. The same arguments write the same bytes: random numbers come from the seed, UIDs from name-based UUIDs below 2.25
   (PS3.5 B.2), and no clock is read.
3. Only an empty folder is written to, so synthetic instances never mix with others.
4. No numpy and no codec: frames are slices of prepared noise, and pydicom encodes RLE.
"""

from asyncstore.load.archive import write_archive
from asyncstore.load.copies import write_copies
from asyncstore.load.writing import Archive

__all__ = ["Archive", "write_archive", "write_copies"]
