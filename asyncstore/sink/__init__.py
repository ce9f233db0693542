"""A storage SCP that takes everything, at full speed, and discards it or stores it as Part 10 files.

It is the other end for demonstrations, tests and calibration, and can play a slow or a picky PACS. It is no archive:
it keeps no index and tells nobody what it holds.

scp      which associations and contexts it takes, and what it answers
files    data sets as Part 10 files in a folder
tally    what has come in so far
"""

from asyncstore.sink.scp import Sink
from asyncstore.sink.tally import SinkTally

__all__ = ["Sink", "SinkTally"]
