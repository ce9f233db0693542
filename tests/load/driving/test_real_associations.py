"""The driver with real associations: to a sink, and to peers that misbehave."""

import asyncio

import pytest

from asyncstore.errors import ConnectFailed, TimedOut
from asyncstore.load.driving.driver import Driver
from asyncstore.load.generator import Synthetic
from asyncstore.load.mix import of_size, parse_mix
from asyncstore.load.plan.phases import closed, exams, open_rate
from asyncstore.negotiation import Planned
from asyncstore.network.opening import AssociationOptions
from asyncstore.network.timed import open_timed_association
from asyncstore.network.timeouts import Timeouts
from asyncstore.sink import Sink
from support.loads import KeptMeasurements, SmallSource
from support.peers.hostile import (
    Behaviour,
    aborts,
    accepts,
    after,
    answers_late,
    closes,
    rejects,
    resets,
    running_hostile,
    stays_silent,
    stops_reading,
    waits,
)

pytestmark = pytest.mark.slow

PLANS = {
    "closed": lambda seconds: closed(3, seconds),
    "open": lambda seconds: open_rate(300, seconds, 3, how="poisson"),
    "exams": lambda seconds: exams(75, seconds, 3),
}
DURATIONS = (0.4, 3.0, 20.0)
"""Seconds of a load: the next one if a busy machine did too little in the one before."""


def driver_to(port, source, measurements, **options):
    contexts = Planned().contexts((kind.sop_class_uid, kind.transfer_syntax_uid) for kind in source.kinds)

    async def opened(number, on_stored, on_end):
        return await open_timed_association(
            "127.0.0.1", port, contexts, AssociationOptions(**options), number=number, on_stored=on_stored,
            on_end=on_end,
        )  # fmt: skip

    return Driver(opened, source, measurements, jitter=lambda least, _most: least)


async def measured(port, planned, source=None, **options):
    measurements = KeptMeasurements()
    async with asyncio.timeout(60):
        await driver_to(port, source or SmallSource(), measurements, **options).run([planned])
    [phase] = measurements.phases
    phase.check()
    return phase


@pytest.mark.parametrize("window", [1, 8])
@pytest.mark.parametrize("data_set_bytes", [100, 200_001])
async def test_a_closed_load_is_measured_to_the_last_byte(window, data_set_bytes):
    async with Sink(port=0) as sink:
        phase = await measured(sink.port, closed(3, 0.1), SmallSource(data_set_bytes=data_set_bytes), window=window)
        assert sink.tally.associations_total == 3
    assert phase.counts["stored"] == len(phase.samples) == sink.tally.instances >= 3
    for kind, intended, begun, sent, ended, status in phase.samples:
        assert kind in {0, 1}
        assert intended == begun <= sent <= ended
        assert status == 0
    assert len(phase.opened) == len(phase.released) == 3
    assert all(opened.connect > 0 < opened.associate and opened.tls == 0 for opened in phase.opened)
    assert not phase.lost


async def test_a_closed_load_with_an_unlimited_window_begins_no_more_than_the_network_takes():
    slow = Behaviour(on_request=accepts(window=(0, 0)), amid_data=waits(0.3))
    async with running_hostile(slow, receive_buffer=300_000) as scp:
        phase = await measured(scp.port, closed(1, 0.1), SmallSource(data_set_bytes=8_000_000), window=0)
    assert 0 < len(phase.samples) < 10


async def test_stores_that_wait_in_an_association_when_an_open_load_is_over_are_dropped():
    """Those that begin late for this reason do not show that this side is slow."""
    slow = Behaviour(on_request=accepts(window=(8, 8)), amid_data=waits(0.1))
    async with running_hostile(slow, receive_buffer=300_000) as scp:
        phase = await measured(scp.port, open_rate(100, 1.0, 1), SmallSource(data_set_bytes=8_000_000), window=8)
    assert phase.counts["dropped"] > phase.counts["stored"] > len(phase.late) > 0


@pytest.mark.parametrize("kinds", [of_size(2800), of_size(600_000), parse_mix("us=1,sr=1")])
async def test_synthetic_instances_reach_the_peer_as_they_are(kinds):
    source = Synthetic(kinds, seed=1)
    async with Sink(port=0) as sink:
        phase = await measured(sink.port, closed(2, 0.1), source)
    assert phase.counts["stored"] == sink.tally.instances
    assert sink.tally.bytes == sum(kinds[sample.kind].bytes for sample in phase.samples)


@pytest.mark.parametrize("how", PLANS)
async def test_every_load_is_answered_by_a_good_peer(how):
    for seconds in DURATIONS:
        async with Sink(port=0) as sink:
            phase = await measured(sink.port, PLANS[how](seconds))
        if sink.tally.instances > 20:
            break
    assert phase.counts["stored"] == sink.tally.instances > 20
    assert phase.counts["unknown"] == phase.counts["failed"] == 0


async def test_a_peer_that_cannot_be_reached_is_an_error_before_anything_is_measured():
    measurements = KeptMeasurements()
    async with Sink(port=0) as sink:
        port = sink.port
    with pytest.raises(ConnectFailed):
        await driver_to(port, SmallSource(), measurements).run([closed(3, 0.1)])
    assert not measurements.phases


async def test_a_peer_that_accepts_half_of_the_associations_is_measured_with_those():
    async with Sink(port=0, max_associations=2, latency=0.001) as sink:
        phase = await measured(sink.port, closed(4, 0.3))
    assert len(phase.opened) == 2
    assert len(phase.lost) >= 2
    assert phase.counts["stored"] == sink.tally.instances >= 2
    assert phase.counts["unknown"] == 0


@pytest.mark.parametrize("how", PLANS)
@pytest.mark.parametrize(
    "misbehaves", [aborts(), resets(), closes(), rejects(2, 3, 2)], ids=["aborts", "resets", "closes", "rejects"]
)
async def test_a_peer_that_ends_associations_leads_to_an_honest_end(how, misbehaves):
    """Each of its associations ends at the fifth store, and it rejects every other one if it can."""
    is_rejecting = misbehaves.__qualname__.startswith("rejects")
    bad = Behaviour(on_request=misbehaves) if is_rejecting else Behaviour(on_store=after(4, misbehaves))
    good = Behaviour() if is_rejecting else bad
    for seconds in DURATIONS:
        async with running_hostile(good, bad, good, bad, good) as scp:
            phase = await measured(scp.port, PLANS[how](seconds))
        if phase.lost and phase.counts["stored"] > 10 and (is_rejecting or len(phase.opened) > 3):
            break
    assert phase.lost
    assert phase.counts["stored"] > 10
    if not is_rejecting:
        assert phase.counts["unknown"] > 0
        assert len(phase.opened) > 3


@pytest.mark.parametrize("how", PLANS)
async def test_a_peer_that_never_answers_leads_to_an_honest_end(how):
    async with running_hostile(Behaviour(on_store=stays_silent())) as scp:
        phase = await measured(scp.port, PLANS[how](0.4), timeouts=Timeouts(dimse=0.2))
    assert phase.counts["stored"] == 0
    assert phase.counts["unknown"] >= 3
    assert {type(error) for error in phase.lost} == {TimedOut}


async def test_waiting_for_a_peer_that_takes_no_bytes_counts_as_sending():
    """Sending ends when the kernel has the last byte."""
    async with running_hostile(Behaviour(amid_data=waits(0.3)), receive_buffer=300_000) as scp:
        phase = await measured(scp.port, closed(1, 0.01), SmallSource(data_set_bytes=8_000_000))
    [sample] = phase.samples
    assert sample.status == 0
    assert sample.sent - sample.begun > 0.25
    async with running_hostile(Behaviour(on_store=answers_late(0.3))) as scp:
        phase = await measured(scp.port, closed(1, 0.01))
    assert phase.samples[0].ended - phase.samples[0].sent > 0.25


async def test_a_store_that_was_not_sent_to_its_end_was_under_way_until_the_association_ended():
    async with running_hostile(Behaviour(amid_data=stops_reading()), receive_buffer=10_000) as scp:
        phase = await measured(
            scp.port, closed(1, 0.01), SmallSource(data_set_bytes=8_000_000), timeouts=Timeouts(socket=0.3)
        )
    [sample] = phase.samples
    assert (sample.status, sample.sent) == (None, sample.ended)
    assert [type(error) for error in phase.lost] == [TimedOut]


async def test_instances_go_in_parts_to_a_peer_with_a_tiny_maximum_length():
    async with running_hostile(Behaviour(on_request=accepts(max_length=20))) as scp:
        phase = await measured(scp.port, closed(1, 0.01), SmallSource(data_set_bytes=40_000))
    assert phase.counts["stored"] >= 1
    assert phase.counts["unknown"] == 0
