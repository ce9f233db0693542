"""Pools with real processes. Workers simulate the harm that a file does to them."""

import asyncio
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from pydicom import dcmread

from asyncstore.errors import PrepareError
from asyncstore.model import Details, Head, Instance, SourceFile, Unsendable
from asyncstore.prepare.file_format import FileFormat
from asyncstore.prepare.pool import Pool, default_size
from support import trees, values
from support.oracle import until
from support.values import probe_file

pytestmark = pytest.mark.usefixtures("real_workers")


def _file(folder, name):
    path = folder / name
    path.write_bytes(trees.pydicom_test_files()[0].read_bytes())
    return str(path)


def _probed(paths, file_format=FileFormat.ANY):
    return [probe_file(path, file_format) for path in paths]


async def _probe(pool, paths):
    return await pool.probe([SourceFile(path) for path in paths])


def _children():
    """The child processes of this process. When a thread ends, its children become another one's, and may be missed."""
    before, children = None, _children_of_threads()
    while children != before:
        before, children = children, _children_of_threads()
    return children


def _children_of_threads():
    children = set()
    for task in Path("/proc/self/task").iterdir():
        with suppress(OSError):  # a thread that has just ended
            children.update(int(pid) for pid in (task / "children").read_text().split())
    return children


@contextmanager
def _closing(pool):
    """Close the pool at the end, and check that no process of it is left."""
    before = _children()
    try:
        yield pool
    finally:
        pool.close()
    assert _children() <= before


async def _opened(path):
    await until(lambda: Path(f"{path}.opened").exists())


# At work.


async def test_instances_come_in_the_order_of_their_files(tmp_path):
    paths = [str(path) for path in trees.pydicom_test_files()] + [str(tmp_path / "gone")]
    with _closing(Pool(1)) as pool:
        found = await _probe(pool, paths)
    assert found == _probed(paths)
    assert {type(one) for one in found} == {Instance, Unsendable}


@pytest.mark.slow
async def test_batches_under_way_at_the_same_time_get_their_own_answers():
    paths = [str(path) for path in trees.pydicom_test_files()]
    batches = [paths[start::7] for start in range(7)]
    before = _children()
    with _closing(Pool(2)) as pool:
        answers = await asyncio.gather(*(_probe(pool, batch) for batch in batches))
        assert len(_children() - before) <= 2
    assert answers == [_probed(batch) for batch in batches]


async def test_a_batch_larger_than_a_pipe_goes_through(tmp_path):
    paths = [str(tmp_path / f"{number:0200}") for number in range(2000)]
    with _closing(Pool(1)) as pool:
        assert [found.path for found in await _probe(pool, paths)] == paths


async def test_names_that_are_no_text_come_back_byte_for_byte(tmp_path):
    written = trees.oddly_named(tmp_path, trees.pydicom_test_files()[0])
    with _closing(Pool(1)) as pool:
        found = await _probe(pool, [os.fsdecode(path) for path in written])
    assert [os.fsencode(one.path) for one in found] == written


async def test_a_process_is_started_when_it_is_needed_and_serves_again(tmp_path):
    before = _children()
    with _closing(Pool(4)) as pool:
        assert _children() == before
        for _ in range(3):
            await _probe(pool, [str(tmp_path)])
            assert len(_children() - before) == 1


@pytest.mark.slow
async def test_a_batch_that_comes_while_a_process_starts_does_not_take_it_from_the_one_that_waits(tmp_path):
    with _closing(Pool(2)) as pool:
        first = asyncio.create_task(_probe(pool, [str(tmp_path)]))
        for _ in range(5):
            await asyncio.sleep(0)
        second = asyncio.create_task(_probe(pool, [str(tmp_path)]))
        while not pool._quick.idle:  # noqa: SLF001 - the loop is to find the process started when it goes on
            time.sleep(0.001)  # noqa: ASYNC251 - as above
        assert len(await asyncio.gather(first, second)) == 2


async def test_prints_of_a_library_do_not_get_between_the_answers(folder):
    paths = [_file(folder, "prints"), _file(folder, "prints-too")]
    with _closing(Pool(1)) as pool:
        assert await _probe(pool, paths) == _probed(paths)
        assert await _probe(pool, paths) == _probed(paths)


@pytest.mark.slow
async def test_its_processes_take_files_of_the_format_asked_for(tmp_path):
    bare = tmp_path / "bare"
    bare.write_bytes(trees.read_part10(trees.pydicom_test_files()[0]).data_set)
    paths = [str(trees.pydicom_test_files()[0]), str(bare)]
    for file_format in FileFormat:
        with _closing(Pool(1, file_format)) as pool:
            assert await _probe(pool, paths) == _probed(paths, file_format)


@pytest.mark.parametrize(("cores", "size"), [(1, 1), (2, 1), (4, 3), (64, 8)])
def test_there_are_as_many_processes_as_cores_can_run_beside_the_loop_and_at_most_eight(monkeypatch, cores, size):
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(cores)))
    assert default_size() == size
    assert Pool(None).size == size


# Workers that die.


@pytest.mark.slow
async def test_a_batch_whose_worker_was_killed_is_done_again(folder):
    paths = [_file(folder, "1"), _file(folder, "slow-once"), _file(folder, "2")]
    before = _children()
    with _closing(Pool(1)) as pool:
        probing = asyncio.create_task(_probe(pool, paths))
        await _opened(paths[1])
        (worker,) = _children() - before
        os.kill(worker, signal.SIGKILL)
        assert await probing == _probed(paths)


@pytest.mark.slow
async def test_workers_that_were_killed_while_they_had_nothing_to_do_are_no_files_fault(folder):
    paths = [_file(folder, "1"), _file(folder, "2")]
    before = _children()
    with _closing(Pool(3)) as pool:
        await asyncio.gather(*(_probe(pool, paths) for _ in range(3)))
        killed = _children() - before
        assert len(killed) == 3
        for worker in killed:
            os.kill(worker, signal.SIGKILL)
            os.waitid(os.P_PID, worker, os.WEXITED | os.WNOWAIT)  # noqa: ASYNC222 - it dies at once
        assert await _probe(pool, paths) == _probed(paths)


@pytest.mark.slow
@pytest.mark.parametrize("names", [["kills-once"], ["1", "kills-once", "2"], ["kills-once-1", "kills-once-2", "3"]])
async def test_a_file_that_killed_a_worker_by_chance_is_sent(folder, names):
    paths = [_file(folder, name) for name in names]
    with _closing(Pool(1)) as pool:
        assert await _probe(pool, paths) == _probed(paths)


@pytest.mark.slow
@pytest.mark.parametrize(
    "names",
    [
        ["kills"],
        ["1", "kills", "2"],
        ["kills-a", "kills-b", "3"],
        ["1", "kills-a", "kills-b", "kills-c", "kills-d", "2"],
    ],
)
async def test_a_file_that_kills_its_worker_again_is_unsendable_and_the_others_go_on(folder, names):
    paths = [_file(folder, name) for name in names]
    with _closing(Pool(1)) as pool:
        found = await _probe(pool, paths)
        assert await _probe(pool, [_file(folder, "another")]) == _probed([str(folder / "another")])
    assert [one.path for one in found] == paths
    for one in found:
        assert isinstance(one, Unsendable) == Path(one.path).name.startswith("kills")
        assert isinstance(one, Instance) or one.reason == "looking into it killed a worker process, twice (SIGKILL)"


@pytest.mark.slow
async def test_every_answer_has_the_ordinal_of_its_file_also_where_the_worker_died(folder):
    paths = [_file(folder, name) for name in ["1", "kills", "2"]] + ["gone"]
    with _closing(Pool(1)) as pool:
        found = await pool.probe(list(map(SourceFile, paths, [7, 9, 10, 20])))
    assert [(one.path, one.ordinal) for one in found] == list(zip(paths, [7, 9, 10, 20], strict=True))
    assert [type(one) for one in found] == [Instance, Unsendable, Instance, Unsendable]


@pytest.mark.slow
async def test_a_batch_beside_one_that_kills_is_not_touched(folder):
    killing, calm = [_file(folder, "kills")], [_file(folder, "1"), _file(folder, "2")]
    with _closing(Pool(2)) as pool:
        (unsendable,), found = await asyncio.gather(_probe(pool, killing), _probe(pool, calm))
    assert isinstance(unsendable, Unsendable)
    assert found == _probed(calm)


async def test_if_every_process_dies_at_once_no_file_is_to_blame(tmp_path, workers_run):
    workers_run("import os; os._exit(1)")
    with _closing(Pool(1)) as pool, pytest.raises(PrepareError, match="die as soon as they start"):
        await _probe(pool, [_file(tmp_path, str(number)) for number in range(10)])


@pytest.mark.slow
async def test_if_a_process_hangs_when_it_starts_no_file_is_to_blame(tmp_path, workers_run):
    workers_run("import time; time.sleep(60)")
    message = "does not start within 1 seconds; check that .*python"
    with _closing(Pool(1, start_seconds=1)) as pool, pytest.raises(PrepareError, match=message):
        await _probe(pool, [_file(tmp_path, "1")])


async def test_a_process_that_cannot_be_started_is_an_error(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "executable", str(tmp_path / "no-python"))
    with _closing(Pool(1)) as pool, pytest.raises(PrepareError, match="No such file"):
        await _probe(pool, [str(tmp_path)])


# Workers that hang.


@pytest.mark.slow
async def test_a_file_that_a_worker_hangs_on_is_unsendable_and_all_others_go_on(folder):
    paths = [_file(folder, name) for name in ["1", "slow", *map(str, range(300))]]
    before = _children()
    with _closing(Pool(1, silent_seconds=1)) as pool:
        found = await _probe(pool, paths)
        assert len(_children() - before) == 1
    reason = "looking into it took more than 1 seconds, and its worker process was ended"
    assert found[1] == values.unsendable(paths[1], reason)
    del found[1], paths[1]
    assert found == _probed(paths)


@pytest.mark.slow
async def test_a_worker_that_was_stopped_is_replaced(folder):
    paths = [_file(folder, "1"), _file(folder, "slow-once"), _file(folder, "2")]
    before = _children()
    with _closing(Pool(1, silent_seconds=1)) as pool:
        probing = asyncio.create_task(_probe(pool, paths))
        await _opened(paths[1])
        (worker,) = _children() - before
        os.kill(worker, signal.SIGSTOP)
        assert await probing == _probed(paths)


_ANSWERS_EVERY_FILE = """
import time
from asyncstore.prepare import worker
worker.PART_SECONDS, worker.FILES_A_LOOK, probe = 0, 1, worker.probe_file
"""


def _opening(path):
    return Path(f"{path}.opened").read_text()


@pytest.mark.slow
async def test_a_batch_that_goes_on_slowly_has_all_the_time_it_needs(tmp_path, workers_run):
    slow = _ANSWERS_EVERY_FILE
    slow += (
        "worker.probe_file = lambda *of: (open(of[0] + '.opened', 'a').write('x'), time.sleep(0.5), probe(*of))[2]\n"
    )
    workers_run(slow)
    paths = [_file(tmp_path, str(number)) for number in range(8)]
    with _closing(Pool(1, silent_seconds=3)) as pool:
        assert await _probe(pool, paths) == _probed(paths)
    assert {*map(_opening, paths)} == {"x"}  # nothing was done again


@pytest.mark.slow
async def test_answers_before_a_worker_hangs_are_not_repeated(tmp_path, workers_run):
    slow = _ANSWERS_EVERY_FILE
    slow += "worker.probe_file = lambda *of: (open(of[0] + '.opened', 'a').write('x'), "
    slow += "time.sleep(60 * of[0].endswith('5')), probe(*of))[2]\n"
    workers_run(slow)
    paths = [_file(tmp_path, str(number)) for number in range(8)]
    with _closing(Pool(1, silent_seconds=1)) as pool:
        assert [type(one) for one in await _probe(pool, paths)].count(Unsendable) == 1
    assert [*map(_opening, paths)] == ["x"] * 5 + ["xx"] + ["x"] * 2


# What they do not get.


async def test_workers_have_no_secrets_in_their_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("ASYNCSTORE_PASSWORD", "hunter2")
    monkeypatch.setenv("ASYNCSTORE_USE_PASSWD", "hunter2")
    before = _children()
    with _closing(Pool(1)) as pool:
        await _probe(pool, [str(tmp_path)])
        (worker,) = _children() - before
        environment = _environment(worker)
    assert b"hunter2" not in environment
    assert b"PATH=" in environment


def _environment(pid):
    return Path(f"/proc/{pid}/environ").read_bytes()


def _hostile(folder):
    """A folder with modules that leave a mark when they are imported."""
    folder.mkdir()
    names = [
        "struct",
        "decimal",
        "typing",
        "marshal",
        "pydicom",
        "numpy",
        "asyncstore",
        "sitecustomize",
        "usercustomize",
    ]
    for name in [*names, "importlib"]:
        (folder / f"{name}.py").write_text(f"open({str(folder)!r} + '/imported', 'a').write('{name} ')\n")
    (folder / "dl").mkdir()
    return folder


def _unusual():
    """A file whose conversion needs pydicom."""
    return next(str(path) for path in trees.pydicom_test_files() if path.name == "ExplVR_LitEndNoMeta.dcm")


@pytest.mark.parametrize("python_path", [None, "", ":", ".", "{folder}"])
async def test_workers_import_nothing_from_the_working_directory(tmp_path, monkeypatch, python_path):
    hostile = _hostile(tmp_path / "hostile")
    monkeypatch.chdir(hostile)
    if python_path is not None:
        monkeypatch.setenv("PYTHONPATH", python_path.format(folder=hostile))
    monkeypatch.setattr(sys, "path", ["", str(hostile), *sys.path])
    paths = [_file(tmp_path, "1"), _unusual()]
    with _closing(Pool(1)) as pool:
        assert await _probe(pool, paths) == _probed(paths)
    assert not (hostile / "imported").exists()


_A_PARENT = """
import asyncio, os, sys
from asyncstore.model import SourceFile
from asyncstore.prepare.pool import Pool

async def main():
    pool = Pool(1)
    await pool.probe([SourceFile(sys.argv[1])])
    for task in os.listdir("/proc/self/task"):
        print(open(f"/proc/self/task/{task}/children").read(), end=" ")
    print(flush=True)
    await pool.probe([SourceFile(sys.argv[1])] * int(sys.argv[2]))
    await asyncio.sleep(60)

asyncio.run(main())
"""


def _is_running(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.slow
@pytest.mark.parametrize("paths", [0, 10_000_000], ids=["idle", "busy"])
def test_a_worker_does_not_outlive_its_parent(tmp_path, paths):
    command = [sys.executable, "-c", _A_PARENT, tmp_path, str(paths)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as parent:
        worker = int(parent.stdout.readline())
        assert _is_running(worker)
        parent.kill()
    asyncio.run(until(lambda: not _is_running(worker)))


# The end.


async def test_a_pool_that_did_nothing_closes(tmp_path):
    pool = Pool(2)
    pool.close()
    pool.close()
    with pytest.raises(PrepareError):
        await _probe(pool, [str(tmp_path)])


async def test_closing_ends_what_is_under_way(folder):
    paths = [_file(folder, "slow-1"), _file(folder, "slow-2")]
    with _closing(Pool(2)) as pool:
        probing = [asyncio.create_task(_probe(pool, [path])) for path in paths]
        for path in paths:
            await _opened(path)
        pool.close()
        answers = await asyncio.wait_for(asyncio.gather(*probing, return_exceptions=True), 60)
        assert [type(answer) for answer in answers] == [PrepareError, PrepareError]


async def test_a_batch_cancelled_amid_its_work_leaves_no_process(folder):
    before = _children()
    path = _file(folder, "slow")
    with _closing(Pool(1)) as pool:
        probing = asyncio.create_task(_probe(pool, [path]))
        await _opened(path)
        probing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await probing
        assert _children() == before
        assert await _probe(pool, [_file(folder, "1")]) == _probed([str(folder / "1")])


@pytest.mark.slow
async def test_batches_cancelled_at_any_moment_leave_no_process(tmp_path):
    before = _children()
    for number in range(20):
        pool = Pool(2)
        probing = [asyncio.create_task(_probe(pool, [str(tmp_path)])) for _ in range(3)]
        await asyncio.sleep(number * 0.002)
        for task in probing:
            task.cancel()
        await asyncio.gather(*probing, return_exceptions=True)
        pool.close()
    await until(lambda: _children() == before)


@pytest.mark.slow
async def test_cancelled_batches_do_not_count_as_workers_that_died(tmp_path):
    with _closing(Pool(1)) as pool:
        for delay in (0, 0.005, 0.01, 0.015, 0.02, 0.03):
            probing = asyncio.create_task(_probe(pool, [str(tmp_path)]))
            await asyncio.sleep(delay)
            probing.cancel()
            await asyncio.gather(probing, return_exceptions=True)
        assert len(await _probe(pool, [str(tmp_path)])) == 1


def test_no_thread_is_left_when_the_loop_has_ended(folder):
    before = set(threading.enumerate())
    path = _file(folder, "slow")

    async def cancelled():
        with _closing(Pool(1)) as pool:
            probing = asyncio.create_task(_probe(pool, [path]))
            await _opened(path)
            probing.cancel()
            await asyncio.gather(probing, return_exceptions=True)

    asyncio.run(cancelled())
    asyncio.run(until(lambda: set(threading.enumerate()) <= before))


@pytest.mark.slow
async def test_details_of_files_are_read_if_they_are_asked_for(tmp_path):
    good = trees.instances(tmp_path / "good", 3)
    bad = trees.text_file(tmp_path)
    paths = [*map(str, good), str(bad), str(tmp_path / "gone")]
    with _closing(Pool(1)) as pool:
        without = await _probe(pool, paths)
        pool.wants_details = True
        found = await _probe(pool, paths)
    assert {one.details for one in without} == {None}
    assert [one._replace(details=None) for one in found] == without
    for path, one in zip(good, found, strict=False):
        dataset, status = dcmread(path), path.stat()
        head = Head(
            dataset.StudyInstanceUID,
            dataset.SeriesInstanceUID,
            dataset.PatientID.encode(),
            dataset.StudyDate,
            dataset.Modality,
        )
        assert one.details == Details(status.st_size, status.st_mtime_ns, head)
    assert found[-2].details == Details(bad.stat().st_size, bad.stat().st_mtime_ns)
    assert found[-1].details is None
