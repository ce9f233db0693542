"""A storage SCP that accepts everything, at full speed, and discards it or stores it as Part 10 files.

It serves demonstrations, tests and calibration, and can act as a slow or picky PACS. It is no archive: it has no index
and answers no queries.

scp      accepts associations and contexts, and answers with statuses
studies  refuses instances of studies and patients that are being created
files    stores data sets as Part 10 files in a folder
tally    counts what has arrived
"""

from asyncstore.sink.scp import Sink
from asyncstore.sink.tally import SinkTally

__all__ = ["Sink", "SinkTally"]
