"""What a measurement found: counted while it runs, kept in a document, judged, compared and merged.

    Sample --> Recorder --> PhaseResult --> Document --> JSON, HdrHistogram log, verdict

histogram     times in buckets of HdrHistogram, and their percentiles
recorder      takes what the driver measures
phase_run     the counts of one phase
kind_tally    its stores by kind, and in groups of kinds
tenths        whether it changed over its time
presence      whether the peer was there until its end
document      the values of all results
naming        the names of phases and statuses for people
adding        phases one after another, or at the same time, as one
json_file     documents as JSON text
hdr_log       latencies as a log of HdrHistogram
thresholds    what a measurement must reach
scalability   the universal scalability law
knee          how many associations are enough
verdict       the results in plain English, and the exit code
student       Student's t distribution
compare       two measurements side by side
merge         measurements of several machines as one

Rules:

1. Nothing here waits, reads a clock or knows a socket: times come with the calls.
2. Percentiles are read from histograms. Histograms are added; percentiles are never averaged.
3. No patient data: a document holds kinds, UIDs of SOP classes and transfer syntaxes, hosts and numbers.
"""

from asyncstore.load.results.document import Document, PhaseResult
from asyncstore.load.results.histogram import Histogram
from asyncstore.load.results.json_file import read_document, write_document
from asyncstore.load.results.recorder import Recorder

__all__ = ["Document", "Histogram", "PhaseResult", "Recorder", "read_document", "write_document"]
