"""Load: instances without any patient's data, and the load that a measurement puts on a peer with them.

    Source --> Driver, by a plan --> (associations) --> Recorder --> results

:mod:`~asyncstore.load.archive` writes a small varied archive for demonstrations. A
:class:`~asyncstore.load.values.Source` makes instances while they are sent:
:class:`~asyncstore.load.generator.Synthetic`, or :class:`~asyncstore.load.from_files.FromFiles`.

Rules:

1. Nothing looks like a real patient: every patient's name begins with ``SYNTHETIC^``, every ID with ``SYN-``.
2. The same arguments write the same bytes: random numbers come from the seed, UIDs from name-based UUIDs below 2.25
   (PS3.5 B.2), and no clock is read.
3. Only an empty folder is written to, so synthetic instances never mix with others.
4. No numpy and no codec: frames are slices of prepared noise, and pydicom encodes RLE.
5. Sending files needs no pydicom.

A measurement:

values       what travels between its stages
plan/        when stores begin: phases, arrivals, profiles, recorded runs
driving/     puts the load on a peer
results/     counts, percentiles, documents, the verdict
target       the peer: what it accepts, and how associations with it are opened
calibration  how much this machine can send; calibration_sink is the process that it sends to
findable     how soon stored instances can be found with C-FIND; finding is the process that searches

Instances that are made while they are sent:

kinds        modalities and sizes of synthetic instances
mix          the kinds of a load, from a user's words
attributes   the elements of each kind
templates    each kind, encoded once
identities   UIDs and identifiers that no other run has
generator    synthetic instances
corpus       the instances of files, prepared to be sent again
from_files   the instances of files, with new UIDs in each round

Files:

archive      a varied archive
drawing      frames of noise, for all of these
writing      their folder, and their numbers
"""
