"""Timers, in real time; no test depends on how precise they are."""

import asyncio
import sys
import time

import pytest

from asyncstore.load.driving import precise_timer
from asyncstore.load.driving.precise_timer import KernelTimer, LoopTimer

ON_LINUX = pytest.param(
    KernelTimer, marks=pytest.mark.skipif(sys.platform != "linux", reason="the timers of Linux' kernel")
)


@pytest.mark.parametrize("make", [ON_LINUX, LoopTimer])
async def test_a_timer_calls_back_once_and_not_before_its_time(make):
    called = asyncio.Queue()
    timer = make(lambda: called.put_nowait(time.monotonic()))
    due = time.monotonic() + 0.02
    timer.at(due)
    assert await called.get() >= due - 0.001
    await asyncio.sleep(0.02)
    assert called.empty()
    timer.at(0.0)  # it is over already
    await called.get()
    timer.close()


@pytest.mark.parametrize("make", [ON_LINUX, LoopTimer])
async def test_a_new_time_takes_the_place_of_the_one_before(make):
    called = asyncio.Queue()
    timer = make(lambda: called.put_nowait(time.monotonic()))
    timer.at(time.monotonic() + 0.005)
    due = time.monotonic() + 0.03
    timer.at(due)
    assert await called.get() >= due - 0.001
    timer.close()


@pytest.mark.parametrize("make", [ON_LINUX, LoopTimer])
async def test_a_closed_timer_does_not_call_back(make):
    called = asyncio.Queue()
    timer = make(lambda: called.put_nowait(None))
    timer.at(time.monotonic() + 0.005)
    timer.close()
    timer.close()
    await asyncio.sleep(0.02)
    assert called.empty()


async def test_the_loop_has_timers_where_the_kernel_has_none(monkeypatch):
    def refused():
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(precise_timer, "_create", refused)
    assert isinstance(precise_timer.precise_timer(lambda: None), LoopTimer)
