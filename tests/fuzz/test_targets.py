"""Each fuzz target for a moment: its seeds, and seeds that hypothesis mutates."""

import logging
import sys
from itertools import count

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fuzz.harness import TARGETS, TooLarge, TooSlow, execution, load
from fuzz.samples import close_files
from support.examples import examples

pytestmark = [
    pytest.mark.skipif(sys.platform == "win32", reason="memory is measured with getrusage(2)"),
    pytest.mark.slow,
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("fuzz")


@pytest.fixture(autouse=True)
def _closed_files():
    yield
    close_files()


@pytest.fixture(params=TARGETS)
def target(request):
    return load(request.param)


def test_every_target_takes_its_seeds(target, folder):
    seeds = list(target.seeds())
    assert seeds
    execute = execution(target, folder)
    for seed in seeds:
        execute(seed)


@pytest.mark.parametrize("name", TARGETS)
def test_nothing_but_the_projects_own_errors_comes_out(name, folder):
    target = load(name)
    seeds, execute = list(target.seeds()), execution(target, folder)
    edits = st.tuples(st.integers(0, 1 << 14), st.integers(0, 4), st.binary(max_size=4))

    @settings(max_examples=examples(100), database=None, suppress_health_check=[HealthCheck.too_slow])
    @given(st.sampled_from(seeds), st.lists(edits, min_size=1, max_size=5))
    def mutated(seed, changes):
        data = bytearray(seed)
        for place, removed, new in changes:
            at = place % (len(data) + 1)
            data[at : at + removed] = new
        execute(bytes(data))

    mutated()


class _Broken:
    EXPECTED = (ValueError,)

    def __init__(self, act):
        self._act = act

    def execute(self, *_):
        self._act()


def _raised(error):
    raise error


def test_the_harness_notices_foreign_errors_time_and_memory(folder, monkeypatch):
    execution(_Broken(lambda: _raised(ValueError())), folder)(b"")
    with pytest.raises(KeyError):
        execution(_Broken(lambda: _raised(KeyError())), folder)(b"")
    times = count(step=1.5)
    for clock in ("perf_counter", "process_time"):
        monkeypatch.setattr(f"fuzz.harness.{clock}", lambda: next(times))
    with pytest.raises(TooSlow, match=r"3\.0 s"):
        execution(_Broken(lambda: None), folder)(b"")
    monkeypatch.setattr("fuzz.harness.process_time", lambda: 0.0)
    execution(_Broken(lambda: None), folder)(b"")  # others had the processor
    monkeypatch.undo()
    sizes = iter((0, 1 << 20))
    monkeypatch.setattr("fuzz.harness._peak", lambda: next(sizes) << (10 if sys.platform == "darwin" else 0))
    with pytest.raises(TooLarge, match="1024 MB"):
        execution(_Broken(lambda: None), folder)(b"")


def test_log_targets_leave_logging_as_it_was(folder):
    before = logging.getLogger().handlers[:], logging.getLogger().level
    for name in ("log_config", "log4cplus"):
        for seed in load(name).seeds():
            execution(load(name), folder)(seed)
    assert (logging.getLogger().handlers[:], logging.getLogger().level) == before
