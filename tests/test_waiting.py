"""Work that is carried out to its end, however its caller is cancelled."""

import asyncio
import gc

import anyio
import pytest

from asyncstore.waiting import called_in_thread, finished
from support.oracle import in_both_loops, until


class Work:
    """Work that ends when it is told to."""

    def __init__(self):
        self.goes_on = asyncio.Event()
        self.has_begun = self.has_ended = False

    async def do(self):
        self.has_begun = True
        await self.goes_on.wait()
        self.has_ended = True
        return "result"


async def failing():
    await asyncio.sleep(0)
    raise ZeroDivisionError


async def test_a_caller_gets_the_result():
    work = Work()
    work.goes_on.set()
    assert await finished(work.do()) == "result"


async def test_a_caller_gets_the_error():
    with pytest.raises(ZeroDivisionError):
        await finished(failing())


@in_both_loops
@pytest.mark.parametrize("times", [1, 2, 5])
async def test_a_cancelled_caller_waits_for_the_end_and_is_cancelled_then(times):
    work = Work()
    calling = asyncio.create_task(finished(work.do()))
    await until(lambda: work.has_begun, every=0)
    for _ in range(times):
        calling.cancel()
        await asyncio.sleep(0.01)
    assert not calling.done()
    work.goes_on.set()
    with pytest.raises(asyncio.CancelledError):
        await calling
    assert work.has_ended


@in_both_loops
async def test_a_cancellation_stands_before_the_error_of_the_work_which_is_not_logged(caplog):
    async def fail_late():
        await goes_on.wait()
        raise ZeroDivisionError

    goes_on = asyncio.Event()
    calling = asyncio.create_task(finished(fail_late()))
    await asyncio.sleep(0)
    calling.cancel()
    await asyncio.sleep(0.01)
    goes_on.set()
    with pytest.raises(asyncio.CancelledError):
        await calling
    gc.collect()  # asyncio logs errors of tasks that nobody asked for when they are gone
    assert "never retrieved" not in caplog.text


@pytest.mark.slow
@in_both_loops
async def test_a_cancel_scope_waits_for_the_end_and_does_not_wake_the_caller_again_and_again(monkeypatch):
    work, waits = Work(), []
    wait = asyncio.wait
    monkeypatch.setattr(asyncio, "wait", lambda tasks: waits.append(tasks) or wait(tasks))
    asyncio.get_running_loop().call_later(0.1, work.goes_on.set)
    with anyio.CancelScope() as scope:
        scope.cancel()
        await finished(work.do())
    assert scope.cancelled_caught
    assert work.has_ended
    assert len(waits) <= 2


@in_both_loops
async def test_a_deadline_around_it_ends_as_a_timeout():
    work = Work()
    asyncio.get_running_loop().call_later(0.05, work.goes_on.set)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await finished(work.do())
    assert work.has_ended


@in_both_loops
async def test_a_call_in_a_thread_hands_on_results_and_errors():
    assert await called_in_thread(max, 1, 2) == 2
    with pytest.raises(ZeroDivisionError):
        await called_in_thread(divmod, 1, 0)
