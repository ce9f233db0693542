"""The driver with real associations, to a sink in the same loop."""

import pytest

from asyncstore.errors import ConnectFailed
from asyncstore.load.driving.driver import Driver
from asyncstore.load.plan.phases import closed
from asyncstore.negotiation import Planned
from asyncstore.network.opening import AssociationOptions
from asyncstore.network.timed import open_timed_association
from asyncstore.sink import Sink
from support.loads import KeptMeasurements, SmallSource


def driver_to(port, source, measurements, window=1):
    contexts = Planned().contexts((kind.sop_class_uid, kind.transfer_syntax_uid) for kind in source.kinds)

    async def opened(number, on_stored, on_end):
        options = AssociationOptions(window=window)
        return await open_timed_association(
            "127.0.0.1", port, contexts, options, number=number, on_stored=on_stored, on_end=on_end
        )

    return Driver(opened, source, measurements)


@pytest.mark.parametrize("window", [1, 8])
@pytest.mark.parametrize("data_set_bytes", [100, 200_001])
async def test_a_closed_load_is_measured_to_the_last_byte(window, data_set_bytes):
    measurements = KeptMeasurements()
    async with Sink(port=0) as sink:
        driver = driver_to(sink.port, SmallSource(data_set_bytes=data_set_bytes), measurements, window)
        await driver.run([closed(3, 0.1)])
        assert sink.tally.associations_total == 3
    [measured] = measurements.phases
    measured.check()
    assert measured.counts["stored"] == len(measured.samples) == sink.tally.instances > 3
    for kind, intended, begun, sent, ended, status in measured.samples:
        assert kind in {0, 1}
        assert intended == begun <= sent <= ended
        assert status == 0
    assert len(measured.opened) == len(measured.released) == 3
    assert all(opened.connect > 0 < opened.associate and opened.tls == 0 for opened in measured.opened)
    assert not measured.lost


async def test_a_peer_that_cannot_be_reached_is_an_error_before_anything_is_measured():
    measurements = KeptMeasurements()
    async with Sink(port=0) as sink:
        port = sink.port
    with pytest.raises(ConnectFailed):
        await driver_to(port, SmallSource(), measurements).run([closed(3, 0.1)])
    assert not measurements.phases
