"""What a measurement found: counted while it runs, kept in a document, judged, compared and merged.

    Sample --> Recorder --> PhaseResult --> Document --> JSON, HdrHistogram log, verdict

Rules:

1. Nothing here waits, reads a clock of its own or knows a socket: times come with the calls.
2. Percentiles are read from histograms. Histograms are added; percentiles are never averaged.
3. No patient data: a document holds kinds, UIDs of SOP classes and transfer syntaxes, hosts and numbers.
"""

from asyncstore.load.results.document import Document, PhaseResult
from asyncstore.load.results.histogram import Histogram
from asyncstore.load.results.json_file import read_document, write_document
from asyncstore.load.results.recorder import Recorder

__all__ = ["Document", "Histogram", "PhaseResult", "Recorder", "read_document", "write_document"]
