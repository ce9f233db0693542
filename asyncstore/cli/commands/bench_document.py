"""From the record of a measurement to its document: results, knee, thresholds, verdict, set-up."""

from __future__ import annotations

import os
import platform
from dataclasses import replace
from time import monotonic
from typing import TYPE_CHECKING

from asyncstore import __version__
from asyncstore.cli.options import bench_rows as bench
from asyncstore.cli.options import rows as opt
from asyncstore.cli.options import tls_rows as tls_opt
from asyncstore.cli.options.bench_commands import BENCH
from asyncstore.cli.options.kinds import Secret
from asyncstore.load.results.adding import whole_of, with_openings
from asyncstore.load.results.document import Corpus, Document, Setup
from asyncstore.load.results.knee import knee_of
from asyncstore.load.results.thresholds import evaluate
from asyncstore.load.results.verdict import client_limits, judge

if TYPE_CHECKING:
    from datetime import datetime

    from asyncstore.cli.commands.bench_prepare import Prepared
    from asyncstore.cli.commands.bench_watch import Watch
    from asyncstore.cli.options.table import Parsed
    from asyncstore.load.results.document import Findable

_HIDDEN = {"FILE", "DIRECTORY", "KEY", "CERTIFICATE"}
"""The names of values that are paths; they stand in no document, nor does the user's name."""
_TOLD = {tls_opt.ENABLE_TLS, bench.REPLAY}
"""Options with paths that change the load: a document has ``true`` for them."""


def document_of(parsed: Parsed, prepared: Prepared, watch: Watch, findable: Findable | None) -> Document:
    """All results."""
    phases = watch.results(monotonic())
    whole = with_openings(whole_of(phases), phases)
    calibration = prepared.calibration
    knee = knee_of(
        phases,
        parsed[bench.P99_LIMIT],
        lambda phase: bool(client_limits(phase, calibration)),
        most_open=watch.most_open_of_more,
    )
    thresholds = evaluate(parsed[bench.THRESHOLD], whole, findable)
    verdict, exit_code = judge(
        phases,
        whole,
        calibration=calibration,
        knee=knee,
        findable=findable,
        thresholds=thresholds,
        is_interrupted=watch.signals > 0,
    )
    if prepared.left_out:
        line = f"Kinds that the PACS does not accept: {', '.join(prepared.left_out)}."
        verdict = replace(verdict, lines=(*verdict.lines, line))
    return Document(
        setup=_setup(parsed, prepared, watch.started),
        calibration=calibration,
        phases=phases,
        whole=whole,
        knee=knee,
        findable=findable,
        thresholds=thresholds,
        verdict=verdict,
        exit_code=exit_code,
    )


def _setup(parsed: Parsed, prepared: Prepared, started: datetime) -> Setup:
    return Setup(
        asyncstore=__version__,
        python=platform.python_version(),
        machine={
            "system": platform.system(),
            "release": platform.release(),
            "machine": platform.machine(),
            "cores": os.cpu_count(),
        },
        peer=prepared.peer,
        options=_options(parsed),
        seed=prepared.source.seed,
        corpus=Corpus(hash=prepared.source.corpus, kinds=tuple(prepared.source.kinds)),
        started=started.isoformat(timespec="milliseconds"),
    )


def _options(parsed: Parsed) -> dict[str, str | bool | tuple[str, ...]]:
    """The options that were given, without secrets and paths."""
    found: dict[str, str | bool | tuple[str, ...]] = {}
    for row in BENCH.options():
        words = parsed.words_of(row)
        is_hidden = isinstance(row.kind, Secret) or row is opt.USER or bool(set(row.kind.names) & _HIDDEN)
        if row not in parsed or (is_hidden and row not in _TOLD):
            continue
        found[row.bare_name] = True if is_hidden or not words else words[0] if len(words) == 1 else words
    return found
