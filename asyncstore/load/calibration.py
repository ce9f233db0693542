"""How much this machine can send at most: a short closed load on a sink of its own, in another process.

A measurement that comes near this limit says nothing about the peer.
"""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

from asyncstore.errors import AssociationError
from asyncstore.isolated import isolated
from asyncstore.load.child_process import running, start
from asyncstore.load.driving.driver import Driver
from asyncstore.load.plan.phases import closed
from asyncstore.load.results.document import Calibration
from asyncstore.load.results.recorder import Recorder
from asyncstore.load.target import Target, contexts_of

if TYPE_CHECKING:
    from asyncstore.load.values import Source
    from asyncstore.network.opening import AssociationOptions

SECONDS = 1.0
"""Long enough for thousands of small instances, or hundreds of CT slices."""
_START_UP = 0.3
"""Seconds that do not count: the sink imports nothing more, and buffers have grown."""
_PARTS = 2
"""Of the second; the better one counts, because other programs can only slow it down."""
_HOST = "127.0.0.1"


async def calibrate(source: Source, options: AssociationOptions, associations: int) -> Calibration:
    """Send to a sink on this machine for a second. Cancelling it ends the sink.

    TLS and user identities are left out: the sink has no certificate, and checks nobody.

    Args:
        source: what is sent.
        options: those of the measurement.
        associations: as many as the measurement has.

    Raises:
        AssociationError: the sink did not start, or nothing was stored.
    """
    async with running(start(isolated("asyncstore.load.calibration_sink"), subprocess.DEVNULL)) as line:
        if not line.strip().isdigit():
            raise AssociationError(_HOST, "the sink of the calibration did not start")
        port = int(line)
        plain = options._replace(tls=None, identity=None, ip_version=None, throttle=None)
        recorder = Recorder(source.kinds)
        driver = Driver(Target(_HOST, port, plain, contexts_of(source.kinds)), source, recorder)
        await driver.run(
            [
                closed(associations, _START_UP, name="start-up", is_counted=False),
                *[closed(associations, SECONDS / _PARTS, name="calibration")] * _PARTS,
            ]
        )
    phases = [phase for phase in recorder.results(driver.clock()) if phase.is_counted]
    reached = max(phases, key=lambda phase: phase.stored_per_second)
    if not reached.stored:
        raise AssociationError(f"{_HOST}:{port}", "the sink of the calibration stored nothing")
    return Calibration(
        instances_per_second=reached.stored_per_second,
        bytes_per_second=reached.bytes_per_second,
        cpu_seconds_per_instance=reached.generator.cpu_seconds / reached.stored,
    )
