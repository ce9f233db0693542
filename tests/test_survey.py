import asyncio
import threading
from contextlib import aclosing
from types import SimpleNamespace

import pytest

from asyncstore.discovery.walk import WalkOptions
from asyncstore.errors import PrepareError
from asyncstore.model import Instance, SourceFile, Unsendable
from asyncstore.prepare.pool import Pool
from asyncstore.surveying import Survey, survey
from support import trees, values
from support.oracle import until
from support.values import probe_file

pytestmark = pytest.mark.slow


class _Pool:
    """A pool without processes."""

    def __init__(self, size=2):
        self.size = size
        self.batches = []
        self.gate = asyncio.Event()
        self.gate.set()

    async def probe(self, files):
        self.batches.append([file.path for file in files])
        await self.gate.wait()
        return [Unsendable(file, "looked into") for file in files]


class _BrokenPool(_Pool):
    async def probe(self, files):
        raise PrepareError(f"no process for {len(files)} files")


def _files(folder, count):
    folder.mkdir(exist_ok=True)
    for number in range(count):
        (folder / f"{number:05}").touch()
    return [str(folder / f"{number:05}") for number in range(count)]


async def _all(looked):
    return [found async for batch in looked for found in batch]


async def test_every_file_is_delivered_once_in_order(tmp_path):
    paths = _files(tmp_path, 1500)
    looked = Survey([tmp_path], WalkOptions(), _Pool())
    found = await _all(looked)
    assert [one.path for one in found] == paths
    assert [one.ordinal for one in found] == list(range(1, 1501))
    assert looked.found == 1500
    assert not looked.is_walking
    assert not looked.is_cut_short
    assert looked.close() == []


async def test_stopping_a_walk_that_has_ended_does_not_cut_it_short(tmp_path):
    _files(tmp_path, 3)
    looked = Survey([tmp_path], WalkOptions(), _Pool())
    assert len(await anext(looked)) == 3
    await until(lambda: not any(thread.name == "asyncstore-walk" for thread in threading.enumerate()))
    looked.stop_walking()
    assert not looked.is_cut_short


async def test_a_walk_is_cut_short_if_its_last_files_were_not_counted(tmp_path):
    files, may_go_on = _files(tmp_path, 40), threading.Event()

    def slowly():
        yield from files[:32]  # a first batch
        may_go_on.wait(60)
        yield from files[32:]

    looked = Survey(slowly(), WalkOptions(), _Pool())
    assert len(await anext(looked)) == 32
    may_go_on.set()
    rest = looked._walking  # noqa: SLF001 - it is taken, and nobody asks for it
    await until(rest.done)
    looked.stop_walking()
    assert looked.found == 32
    assert looked.is_cut_short


async def test_unsendable_files_of_the_walk_are_delivered_too(tmp_path):
    (tmp_path / "empty").mkdir()
    _files(tmp_path, 3)
    trees.broken_symlink(tmp_path)
    trees.fifo(tmp_path)
    found = await _all(Survey([tmp_path, tmp_path / "gone"], WalkOptions(), _Pool()))
    assert len(found) == 6
    assert sum(one.reason == "looked into" for one in found) == 3


async def test_no_paths_give_no_files(tmp_path):
    assert await _all(Survey([], WalkOptions(), _Pool())) == []
    (tmp_path / "empty").mkdir()
    assert await _all(Survey([tmp_path], WalkOptions(), _Pool())) == []


async def test_the_first_batch_is_small_and_comes_while_the_walk_is_under_way(tmp_path):
    paths = _files(tmp_path, 40)
    go_on = threading.Event()

    def endless():
        yield from paths
        go_on.wait(60)

    looked = Survey(endless(), WalkOptions(), _Pool())
    try:
        first = await asyncio.wait_for(anext(looked), 60)
        assert [found.path for found in first] == paths[: len(first)]
        assert looked.is_walking
        assert len(first) < len(paths)
    finally:
        go_on.set()
    await _all(looked)


async def test_a_slow_walk_delivers_what_it_has(tmp_path):
    paths = _files(tmp_path, 3)
    go_on = threading.Event()

    def slowly():
        yield from paths[:2]
        go_on.wait(60)
        yield paths[2]

    looked = Survey(slowly(), WalkOptions(), _Pool())
    try:
        first = await asyncio.wait_for(anext(looked), 60)
        assert [found.path for found in first] == paths[: len(first)]
        assert looked.is_walking
    finally:
        go_on.set()
    assert [found.path for found in [*first, *await _all(looked)]] == paths


async def test_the_walk_goes_only_so_far_ahead_as_the_pool_needs(tmp_path):
    _files(tmp_path, 2000)
    pool = _Pool(size=1)
    pool.gate.clear()
    looked = Survey([tmp_path], WalkOptions(), pool)
    waiting = asyncio.ensure_future(anext(looked))
    await until(lambda: pool.batches)
    await asyncio.wait({waiting}, timeout=0.3)
    assert looked.found < 1500
    pool.gate.set()
    assert len([*await waiting, *await _all(looked)]) == 2000


async def test_batches_are_probed_at_the_same_time_and_come_in_order(tmp_path):
    paths = _files(tmp_path, 1000)
    pool = _Pool(size=3)
    pool.gate.clear()
    looked = Survey([tmp_path], WalkOptions(), pool)
    waiting = asyncio.ensure_future(anext(looked))
    await until(lambda: len(pool.batches) >= 2)
    pool.gate.set()
    assert [found.path for found in [*await waiting, *await _all(looked)]] == paths


async def test_a_superfluous_wake_up_does_not_end_the_walk(tmp_path, monkeypatch):
    """The walk's wake-up may come late, when its files were taken already."""
    paths = _files(tmp_path, 3)
    go_on = threading.Event()

    class WokenForNothing(asyncio.Event):
        has_waited = False

        async def wait(self):
            if not self.has_waited:
                self.has_waited = True
                asyncio.get_running_loop().call_later(0.1, go_on.set)
                return True
            return await super().wait()

    def slowly():
        go_on.wait(60)
        yield from paths

    pool = _Pool()
    monkeypatch.setattr(asyncio, "Event", WokenForNothing)
    looked = Survey(slowly(), WalkOptions(), pool)
    assert [found.path for found in await asyncio.wait_for(_all(looked), 60)] == paths


async def test_a_walk_that_is_stopped_at_the_moment_it_begins_to_wait_ends(tmp_path, monkeypatch):
    _files(tmp_path, 3000)
    loop, is_stopped, walks = asyncio.get_running_loop(), threading.Event(), []

    def stop():
        looked.stop_walking()
        is_stopped.set()

    class StoppedBefore(threading.Event):
        def clear(self):
            walks.append(threading.current_thread())
            loop.call_soon_threadsafe(stop)
            is_stopped.wait(60)
            super().clear()

    monkeypatch.setattr("asyncstore.surveying.threading", SimpleNamespace(Event=StoppedBefore, Thread=threading.Thread))
    looked = Survey([tmp_path], WalkOptions(), _Pool())
    await until(lambda: walks and not walks[0].is_alive())


async def test_stopping_the_walk_still_delivers_the_files_found(tmp_path):
    paths = _files(tmp_path, 2000)
    pool = _Pool(size=1)
    looked = Survey([tmp_path], WalkOptions(), pool)
    first = await anext(looked)
    looked.stop_walking()
    assert looked.is_cut_short
    found = looked.found
    rest = await asyncio.wait_for(_all(looked), 60)
    assert [one.path for one in (*first, *rest)] == paths[:found]
    assert found < 2000


async def test_closing_names_the_files_that_were_not_delivered(tmp_path):
    paths = _files(tmp_path, 2000)
    pool = _Pool(size=1)
    looked = Survey([tmp_path], WalkOptions(), pool)
    first = await anext(looked)
    pool.gate.clear()
    waiting = asyncio.ensure_future(anext(looked))
    await asyncio.wait({waiting}, timeout=0.1)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    assert [*(one.path for one in first), *(file.path for file in looked.close())] == paths[: looked.found]


async def test_every_file_found_is_named_if_no_process_can_be_run(tmp_path):
    paths = _files(tmp_path, 1000)
    looked = Survey([tmp_path], WalkOptions(), _BrokenPool())
    with pytest.raises(PrepareError):
        await _all(looked)
    assert looked.found > 0
    assert [file.path for file in looked.close()] == paths[: looked.found]


async def test_an_error_in_the_callers_paths_is_raised_after_the_files_before_it(tmp_path):
    (path,) = _files(tmp_path, 1)

    def paths():
        yield path
        raise LookupError("no more of them")

    looked = Survey(paths(), WalkOptions(), _Pool())
    assert [found.path for found in await anext(looked)] == [path]
    with pytest.raises(LookupError, match="no more of them"):
        await anext(looked)


async def test_options_of_the_walk_are_obeyed(tmp_path):
    _files(tmp_path / "deeper", 2)
    _files(tmp_path, 2)
    assert len(await _all(Survey([tmp_path], WalkOptions(recurse=False, pattern="*1", repeat=3), _Pool()))) == 3


# With processes.


async def test_a_survey_finds_the_instances_in_paths():
    files = [str(path) for path in trees.pydicom_test_files()]
    found = [one async for batch in survey(files, workers=1) for one in batch]
    assert found == [values.changed(probe_file(path), ordinal=ordinal) for ordinal, path in enumerate(files, 1)]
    assert {type(one) for one in found} == {Instance, Unsendable}


async def test_a_survey_left_early_leaves_no_process(tmp_path, monkeypatch):
    pools = []

    class Remembered(Pool):
        def __init__(self, size, file_format):
            super().__init__(size, file_format)
            pools.append(self)

    monkeypatch.setattr("asyncstore.surveying.Pool", Remembered)
    _files(tmp_path, 2000)
    async with aclosing(survey([tmp_path], workers=2)) as batches:
        async for batch in batches:
            assert batch
            break
    with pytest.raises(PrepareError):
        await pools[0].probe([SourceFile(str(tmp_path))])
