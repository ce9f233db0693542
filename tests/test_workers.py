"""Whole programs and their worker processes: their start, their end, and nothing left behind."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from asyncstore import ConversionOptions, Invent, Sink
from asyncstore.cli.main import main
from asyncstore.prepare import conversion
from support import trees
from support.commands import asyncstore, finished
from support.differential.acceptors import accepts_only
from support.differential.conversation import IMPLICIT_LITTLE, Stored
from support.oracle import GUARD, send, until
from support.peers.dcmtk import running_storescp
from support.peers.hostile import Behaviour, aborts, after, running_hostile, stops_reading

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("real_workers")]

PROGRAM = "import sys; from asyncstore.__main__ import main; sys.exit(main())"
"""The console script that an installer writes."""


@pytest.fixture
def program(tmp_path):
    """The console script, in a folder of its own."""
    path = tmp_path / "bin" / "asyncstore"
    path.parent.mkdir()
    path.write_text(PROGRAM)
    return path


@pytest.fixture
def hostile(tmp_path):
    """A folder like that of a CD: instances, and modules that leave a mark when they are imported."""
    folder = tmp_path / "cd"
    trees.instances(folder, 5)
    names = [
        "struct",
        "decimal",
        "typing",
        "pydicom",
        "numpy",
        "asyncstore",
        "sitecustomize",
        "usercustomize",
        "_thread",
    ]
    for name in names:
        (folder / f"{name}.py").write_text(
            f"open({str(tmp_path / 'imported')!r}, 'a').write('{name} ')\nraise OSError\n"
        )
    (folder / "dl").mkdir()
    unusual = next(path for path in trees.pydicom_test_files() if path.name == "ExplVR_LitEndNoMeta.dcm")
    (folder / "unusual.dcm").write_bytes(unusual.read_bytes())
    return folder


_NOT_TO_SEND = {
    "anyio",
    "apsw",
    "asyncstore.cli.text.help",
    "asyncstore.cli.text.hints",
    "asyncstore.network.tls",
    "asyncstore.observe.jsonlines",
    "asyncstore.prepare.conversion",
    "asyncstore.prepare.invention",
    "asyncstore.prepare.probe",
    "dataclasses",
    "json",
    "numpy",
    "pathlib",
    "pydicom",
    "pynetdicom",
    "rich",
    "typing_extensions",
    "urllib",
}
"""Modules that take time to import and that a plain run without a terminal does not need."""


async def test_a_plain_run_imports_nothing_that_it_does_not_need(tmp_path):
    trees.instances(tmp_path, 1)
    program = (
        "import sys; before = set(sys.modules); from asyncstore.__main__ import run; code = run();"
        f"print(*sorted({_NOT_TO_SEND!r} & (set(sys.modules) - before))); sys.exit(code)"
    )
    async with Sink(port=0) as sink:
        words = (sys.executable, "-c", program, "send", "127.0.0.1", str(sink.port), tmp_path)
        process = await asyncio.create_subprocess_exec(*words, stdin=-1, stdout=-1, stderr=-1)
        done = await finished(process)
    assert (done.returncode, done.out) == (0, "\n")


_SAY = "say = lambda: time.sleep(0.2) or sys.stdout.write('thread\\n')"
"""It writes in one piece: the program may be writing another line."""
_ENDINGS = {
    "as installed": ("", []),
    "with a thread that must end first": (
        f"import threading, time; {_SAY}; threading.Thread(target=say).start();",
        ["thread"],
    ),
    "with a debugger": ("sys.settrace(lambda *_: None);", []),
    "with a profiler": ("sys.setprofile(lambda *_: None);", []),
}


@pytest.mark.parametrize(("before", "printed"), _ENDINGS.values(), ids=_ENDINGS.keys())
@pytest.mark.parametrize(("words", "code"), [(["--version"], 0), (["sned"], 1)])
def test_the_end_of_the_program_carries_out_what_others_registered_for_it(tmp_path, before, printed, words, code):
    at_exit = "import atexit, logging, sys; atexit.register(print, 'registered');"
    logs = f"log = logging.FileHandler({str(tmp_path / 'log')!r}); log.close = lambda: print('closed');"
    program = f"{at_exit} {logs} {before} {PROGRAM}"
    done = subprocess.run([sys.executable, "-c", program, *words], capture_output=True, text=True, check=False)
    assert done.returncode == code
    assert [line for line in done.stdout.splitlines() if line in ("registered", "closed", "thread")] == [
        *printed,
        "registered",
        "closed",
    ]


@pytest.mark.parametrize("before", [_ENDINGS["with a debugger"][0], _ENDINGS["with a profiler"][0]])
def test_debuggers_and_profilers_go_on_after_the_command(before):
    program = (
        f"import sys; {before} from asyncstore.__main__ import main; code = main(); sys.exit(f'went on: {{code}}')"
    )
    done = subprocess.run([sys.executable, "-c", program, "--version"], capture_output=True, text=True, check=False)
    assert done.stderr == "went on: 0\n"


@pytest.mark.peers
@pytest.mark.parametrize(
    "words",
    [
        ["send", "-nh", "PEER", "."],
        ["send", "-nh", "-u", "PEER", "."],
        ["send", "-nh", "+II", "PEER", "."],
        ["send", "-nh", "--dry-run", "-xi", "PEER", "."],
        ["scan", "."],
        ["scan", "--peer-check", "PEER", "."],
    ],
    ids=" ".join,
)
async def test_nothing_is_imported_from_the_working_directory(tmp_path, program, hostile, words):
    async with running_storescp(tmp_path / "stored", "+xi", transfer_syntaxes=None) as scp:
        at = words.index("PEER") if "PEER" in words else len(words)
        said = [*words[:at], *["127.0.0.1", str(scp.port)][: 2 * ("PEER" in words)], *words[at + 1 :]]
        process = await asyncio.create_subprocess_exec(
            sys.executable, program, *said, cwd=hostile, env=_environment(tmp_path), stdin=-1, stdout=-1, stderr=-1
        )
        done = await finished(process)
    assert done.returncode == 2, done  # the modules are no instances
    assert not (tmp_path / "imported").exists(), (tmp_path / "imported").read_text()
    if words[0] == "send" and "--dry-run" not in words:
        assert len(scp.stored()) == 6, done
    else:
        assert "6 instances" in done.out


def _environment(tmp_path):
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("ASYNCSTORE_", "PYTHONPATH"))}
    return {**kept, "TMPDIR": str(temporary), "ASYNCSTORE_PASSWORD": "hunter2", "ASYNCSTORE_USER": "me"}


def _below(pid):
    """The child processes of a process."""
    found = set()
    with suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            found |= {int(child) for child in (task / "children").read_text().split()}
    return found


def _is_running(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="files without a name are Linux's")
@pytest.mark.parametrize("victims", ["the program", "the program and its workers"])
async def test_a_program_that_is_killed_leaves_no_process_and_no_patients_data(tmp_path, program, victims):
    trees.instances(tmp_path / "archive", 6, data_set_bytes=1_500_000)
    begun = []

    async def stops(acceptor):
        begun.append(acceptor)
        await stops_reading()(acceptor)

    behaviour = Behaviour(on_request=accepts_only(IMPLICIT_LITTLE), amid_data=stops)
    environment = _environment(tmp_path)
    async with running_hostile(behaviour) as scp:
        process = await asyncio.create_subprocess_exec(
            *[sys.executable, program, "send", "--associations", "2", "--affinity", "none"],
            *["127.0.0.1", str(scp.port), tmp_path / "archive"],
            env=environment, stdout=-3, stderr=-3,
        )  # fmt: skip
        await until(lambda: len(begun) == 2)
        workers = _below(process.pid)
        assert workers
        for pid in workers:
            assert b"hunter2" not in _variables(pid)
        for pid in [process.pid, *(workers if "workers" in victims else ())]:
            os.kill(pid, signal.SIGKILL)
        await asyncio.wait_for(process.wait(), GUARD)
    assert [*Path(environment["TMPDIR"]).rglob("*")] == []  # noqa: ASYNC240 - three names
    await until(lambda: not any(map(_is_running, workers)))


def _variables(pid):
    return Path(f"/proc/{pid}/environ").read_bytes()


@pytest.mark.parametrize("stores", [0, 3, 5])
async def test_series_have_as_many_instances_as_were_asked_for_also_where_an_association_is_lost(tmp_path, stores):
    paths = trees.instances(tmp_path / "archive", 12)
    losing = Behaviour(on_store=after(stores, aborts()), keeps_data_sets=True)
    async with running_hostile(losing, Behaviour(keeps_data_sets=True)) as scp:
        await send(scp.port, paths, associations=1, conversion=ConversionOptions(Invent(instances=4, series=2)))
        stored = [Stored.of(store) for store in scp.stores]
    numbers = {(_value(one, 0x00200011), _value(one, 0x00200013)) for one in stored}
    assert len({one.sop_instance_uid for one in stored}) == len(stored) == 12
    assert numbers == {(str(series), str(number)) for series in (0, 1) for number in range(4)}
    by_series = {}
    for one in stored:
        by_series.setdefault(_value(one, 0x0020000E), []).append(_value(one, 0x00200013))
    assert sorted(map(sorted, by_series.values())) == [["0", "1", "2", "3"]] * 3


def _value(store, tag):
    return next(value for each, _, value in store.data_set if each == tag).decode()


def test_a_dry_run_judges_data_sets_in_worker_processes(monkeypatch, capsys):
    """A deflated one may take much memory when it is inflated."""

    def not_here(*_):
        raise AssertionError

    monkeypatch.setattr(conversion, "reencode", not_here)
    path = next(path for path in trees.pydicom_test_files() if path.name == "image_dfl.dcm")
    assert main(["send", "--dry-run", "-nh", "-xm", "pacs.invalid", "104", str(path)]) == 1
    assert "its pixel data would have to be compressed" in " ".join(capsys.readouterr().out.split())


@pytest.mark.peers
async def test_a_data_set_that_inflates_to_more_than_is_allowed_is_not_sent_and_the_option_is_named(tmp_path):
    path = next(path for path in trees.pydicom_test_files() if path.name == "image_dfl.dcm")
    async with running_storescp(tmp_path / "stored", "+xi", transfer_syntaxes=None) as scp:
        address = ["127.0.0.1", str(scp.port), str(path)]
        refused = await asyncstore("send", "--max-inflated", "100000", "--json", "-", *address)
        assert refused.returncode == 1
        assert "its data set inflates to more than the 100000 bytes that are allowed" in refused.out
        assert "--max-inflated allows larger data sets." in refused.err
        assert (await asyncstore("send", "--max-inflated", "10000000", *address)).returncode == 0
        assert len(scp.stored()) == 1
