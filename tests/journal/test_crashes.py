"""A run that ends at any moment leaves a journal that claims what was committed, and nothing else."""

import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from time import sleep

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from asyncstore.journal.lookup import Lookup
from asyncstore.journal.values import State
from support.examples import examples
from support.journals import as_found, begin, full_check, how_ended, read

FILES = [f"{folder}/{name}" for folder in ("a", "b", "b/c") for name in ("x", "y", "z")]


class Histories(RuleBasedStateMachine):
    """Random runs: files change, deliveries end, runs crash (a copy of the files is taken) and are resumed."""

    @initialize()
    def begin_first(self):
        self.top = Path(tempfile.mkdtemp(prefix="histories-"))
        self.files = [self.top / "data" / name for name in FILES]
        for file in self.files:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(b"first")
        self.generation = 0
        self.path = self.top / "0" / "run.db"
        self.path.parent.mkdir()
        self.committed = {}
        """The state of each file, its number of attempts and the size it had, as committed."""
        self.recorded = {}
        """The same with what is not committed."""
        self.possible = [{}]
        """What a crash may leave: the last commit, and each batch after it."""
        self.journal = begin(self.path)

    @rule(numbers=st.lists(st.integers(0, len(FILES) - 1), max_size=6), state=st.sampled_from(State))
    def end_some(self, numbers, state):
        rows = []
        for number in numbers:
            file = self.files[number]
            before, attempts, size = self.recorded.get(number, (State.WAITING, 0, 0))
            if state.is_stored or not before.is_stored or size != file.stat().st_size:  # it stays stored otherwise
                self.recorded[number] = (state, attempts + 1, file.stat().st_size)
            rows.append(as_found(file, state, attempts=1))
        self.journal.write(rows)
        self.possible.append(dict(self.recorded))

    @rule()
    def commit(self):
        self.journal.flush()
        self.committed = dict(self.recorded)
        self.possible = [self.committed]

    @rule(number=st.integers(0, len(FILES) - 1))
    def change(self, number):
        with self.files[number].open("ab") as file:
            file.write(b"+")

    @rule()
    def end_and_resume(self):
        self.journal.close()
        self.committed = dict(self.recorded)
        self.possible = [self.committed]
        self.journal = begin(self.path)

    @rule(is_committed=st.booleans())
    def crash_and_resume(self, is_committed):
        """The database and its log as they are now. What was recorded since the last commit may be there in part."""
        if is_committed:
            self.commit()
        self.generation += 1
        copy = self.top / str(self.generation)
        copy.mkdir()
        for name in ("run.db", "run.db-wal"):
            shutil.copy(self.path.parent / name, copy / name)
        self.journal.close()
        self.path = copy / "run.db"
        self.journal = begin(self.path)
        found = {row.path: (row.state, row.attempts) for row in read(self.path)}
        [self.recorded, *_] = [model for model in self.possible if self.claims(model) == found]
        self.committed = dict(self.recorded)
        self.possible = [self.committed]

    def claims(self, model):
        return {str(self.files[number]): row[:2] for number, row in model.items()}

    @rule()
    @precondition(lambda self: self.committed == self.recorded)
    def look(self):
        found = {row.path: (row.state, row.attempts) for row in read(self.path)}
        assert found == self.claims(self.committed)
        with Lookup(str(self.path)) as lookup:
            for number, file in enumerate(self.files):
                state, _, size = self.committed.get(number, (None, 0, 0))
                is_left = state not in (None, State.UNKNOWN, State.WAITING) and size == file.stat().st_size
                earlier = how_ended(lookup, str(file))
                assert (earlier and earlier.state) == (state if is_left else None)

    def teardown(self):
        if hasattr(self, "journal"):
            self.journal.close()
            full_check(self.path)
            shutil.rmtree(self.top)


TestHistories = pytest.mark.slow(Histories.TestCase)
TestHistories.settings = settings(max_examples=examples(30), stateful_step_count=20, deadline=None)

_WRITES = (
    "import sys; sys.path[:0] = sys.argv[2:]\n"
    "from support.journals import begin, delivery\n"
    "journal = begin(sys.argv[1])\n"
    "print(journal.run, flush=True)\n"
    "number = 0\n"
    "while True:\n"
    "    journal.write([delivery(f'/data/{number + k:07}', attempts=1) for k in range(100)])\n"
    "    number += 100\n"
    "    if number % 1000 == 0:\n"
    "        journal.flush()\n"
    "        print(number, flush=True)\n"
)


@pytest.mark.slow
@pytest.mark.parametrize("seconds", [0.0, 0.01, 0.05, 0.2, 0.5])
def test_a_killed_run_leaves_all_that_it_said_was_committed(path, seconds):
    for run in (1, 2):
        words = [sys.executable, "-c", _WRITES, str(path), *sys.path]
        with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as writer:
            assert int(writer.stdout.readline()) == run
            sleep(seconds)
            writer.send_signal(signal.SIGKILL)
            said = [int(line) for line in writer.stdout.read().splitlines() if line.strip()]
        rows = read(path)
        # It may have committed more than it said, in the order in which it recorded.
        assert [row.path for row in rows] == [f"/data/{number:07}" for number in range(len(rows))]
        assert len(rows) >= max(said, default=0)
        full_check(path)
    begin(path).close()


@pytest.mark.slow
def test_a_copy_of_the_files_at_any_moment_is_a_journal(path, tmp_path):
    """A copy is taken while commits go on, the log after the database: as after a crash, nothing folded in between."""
    words = [sys.executable, "-c", _WRITES, str(path), *sys.path]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as writer:
        writer.stdout.readline()
        said = []
        for number in range(5):
            said.append(int(writer.stdout.readline()))
            writer.send_signal(signal.SIGSTOP)
            copy = tmp_path / str(number)
            copy.mkdir()
            for name in ("run.db", "run.db-wal"):
                shutil.copy(path.parent / name, copy / name)
            writer.send_signal(signal.SIGCONT)
        writer.kill()
    for number, committed in enumerate(said):
        copy = tmp_path / str(number) / "run.db"
        begin(copy).close()
        assert len(read(copy)) >= committed
