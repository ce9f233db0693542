"""Files over TLS to a fast peer."""

from __future__ import annotations

import subprocess
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from benchmarks.data import CT
from benchmarks.peers import storescp
from benchmarks.programs import Program, asyncstore, storescu
from benchmarks.report import CAPTION, Table
from benchmarks.rounds import Spread, ratios, take_turns
from benchmarks.trials import STEADY, send

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.bench import Bench

_PEER = "to storescp --fork --ignore +tls on the same cores, with TCP_NODELAY=1; TLS 1.3; files in the page cache"


class _Files(NamedTuple):
    key: str
    certificate: str

    def options(self) -> tuple[str, ...]:
        """The options for TLS of DCMTK's programs and ours. Both sides have the same certificate and trust it."""
        return ("+tls", self.key, self.certificate, "+cf", self.certificate)


def measure(bench: Bench) -> None:
    """Measure each program."""
    options = _certificate(bench.folder).options()
    parallel, single = _over_tls(storescu(4), options), _over_tls(storescu(), options)
    programs = (
        *(
            asyncstore("--associations", number, *options, name=f"asyncstore +tls --associations {number}")
            for number in ("1", "4", "auto")
        ),
        parallel,
        single,
    )
    archive, one_each = bench.archives.get(CT, bench.scale.over_tls), bench.archives.one_each(CT)
    title = f"TLS, {archive.instances:,} x {CT.name}"
    with storescp(*options, no_delay=True) as port:
        trials = take_turns(
            title,
            {program.name: partial(send, program, port, archive, one_each) for program in programs},
            bench.scale.rounds,
        )
    table = Table(
        title,
        ("program", "s", "instances/s", f"of {parallel.name}", "steady instances/s", "of it", "CPU s/GB"),
        notes=[CAPTION, STEADY, _PEER],
        commands={program.name: program.shown() for program in programs},
        samples={name: [trial.as_json() for trial in of_one] for name, of_one in trials.items()},
    )
    for name, of_one in trials.items():
        whole = ratios((trial.rate for trial in of_one), (trial.rate for trial in trials[parallel.name]))
        steady = ratios((trial.steady_rate for trial in of_one), (trial.steady_rate for trial in trials[parallel.name]))
        table.rows.append(
            (
                name,
                Spread.of(trial.whole.wall for trial in of_one).shown(),
                Spread.of(trial.rate for trial in of_one).shown(0),
                whole.shown(),
                Spread.of(trial.steady_rate for trial in of_one).shown(0),
                steady.shown(),
                Spread.of(trial.cpu_per_gigabyte for trial in of_one).shown(),
            )
        )
    bench.report(table)


def _over_tls(program: Program, options: tuple[str, ...]) -> Program:
    return Program(f"{program.name} +tls", (*program.words, *options), program.processes)


def _certificate(folder: Path) -> _Files:
    """Make a key and a self-signed certificate for loopback."""
    files = _Files(str(folder / "key.pem"), str(folder / "certificate.pem"))
    made = ("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost",
            "-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost",
            "-keyout", files.key, "-out", files.certificate)  # fmt: skip
    subprocess.run(made, check=True, capture_output=True)
    return files
