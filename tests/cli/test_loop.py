"""Ctrl-C before a command is ready for it ends the command at once, as in any program."""

import asyncio
import signal

import pytest

from asyncstore.cli.loop import interrupts, run_loop


@pytest.fixture(autouse=True)
def _ctrl_c_as_in_a_new_process():
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_ctrl_c_before_a_command_takes_interrupts_ends_it_before_it_begins():
    done = []

    async def command():
        signal.raise_signal(signal.SIGINT)
        with interrupts(lambda: done.append("told")):
            done.append("begun")

    with pytest.raises(KeyboardInterrupt):
        run_loop(command())
    assert done == []


def test_ctrl_c_while_a_command_takes_interrupts_is_told_to_it():
    told = asyncio.Event()

    async def command():
        with interrupts(told.set):
            signal.raise_signal(signal.SIGINT)
            await told.wait()
            return 7

    assert run_loop(command()) == 7


def test_a_command_that_was_cancelled_ends_as_after_ctrl_c():
    async def command():
        asyncio.current_task().cancel()
        await asyncio.sleep(0)

    with pytest.raises(KeyboardInterrupt):
        run_loop(command())
