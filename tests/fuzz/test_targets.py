"""Each fuzz target for a moment: its seeds, and seeds that hypothesis mutates."""

import logging
import random
import sys

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fuzz.harness import TARGETS, TooLarge, TooSlow, execution, load
from support.examples import examples

pytestmark = [
    pytest.mark.skipif(sys.platform == "win32", reason="memory is measured with getrusage(2)"),
    pytest.mark.slow,
]

SLOW = {"journal", "report"}
"""Targets of which one execution takes milliseconds."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("fuzz")


@pytest.fixture(params=TARGETS)
def target(request):
    return load(request.param)


def test_every_target_takes_its_seeds(target, folder):
    seeds = list(target.seeds())
    assert seeds
    execute = execution(target, folder)
    for seed in seeds if target.__name__.rpartition(".")[2] not in SLOW else random.Random(1).sample(seeds, 10):  # noqa: S311
        execute(seed)


@pytest.mark.parametrize("name", TARGETS)
def test_nothing_but_the_projects_own_errors_comes_out(name, folder):
    target = load(name)
    seeds, execute = list(target.seeds()), execution(target, folder)
    edits = st.tuples(st.integers(0, 1 << 14), st.integers(0, 4), st.binary(max_size=4))

    @settings(
        max_examples=examples(15) if name in SLOW else 100, database=None, suppress_health_check=[HealthCheck.too_slow]
    )
    @given(st.sampled_from(seeds), st.lists(edits, min_size=1, max_size=5))
    def mutated(seed, changes):
        data = bytearray(seed)
        for place, count, new in changes:
            at = place % (len(data) + 1)
            data[at : at + count] = new
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
    times = iter((0.0, 1.5, 1.5))
    monkeypatch.setattr("fuzz.harness.process_time", lambda: next(times))
    with pytest.raises(TooSlow, match=r"1\.5 s"):
        execution(_Broken(lambda: None), folder)(b"")
    monkeypatch.undo()
    sizes = iter((0, 1 << 20, 1 << 20))
    monkeypatch.setattr("fuzz.harness._peak", lambda: next(sizes) << (10 if sys.platform == "darwin" else 0))
    with pytest.raises(TooLarge, match="1024 MB"):
        execution(_Broken(lambda: None), folder)(b"")


def test_log_targets_leave_logging_as_it_was(folder):
    before = logging.getLogger().handlers[:], logging.getLogger().level
    for name in ("log_config", "log4cplus"):
        for seed in load(name).seeds():
            execution(load(name), folder)(seed)
    assert (logging.getLogger().handlers[:], logging.getLogger().level) == before
