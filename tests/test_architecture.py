"""The rules on what imports what: those import-linter holds, and those on what a start has to load."""

import ast
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

_ROOT = Path(__file__).parent.parent
_HEAVY = ("anyio", "apsw", "asyncio", "numpy", "prometheus_client", "pydicom", "pynetdicom", "rich", "ssl", "uvloop")


def _loaded_by(*modules):
    """Which of the heavy modules a new interpreter has loaded after importing these."""
    program = f"import {', '.join(modules)}, sys; print(*sorted({set(_HEAVY)!r} & set(sys.modules)))"
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    return set(ended.stdout.split())


@pytest.mark.slow
def test_rooms_import_only_from_those_below_them():
    lint_imports = shutil.which("lint-imports", path=str(Path(sys.executable).parent))
    if lint_imports is None:
        pytest.skip("import-linter is not installed")
    ended = subprocess.run([lint_imports], cwd=_ROOT, capture_output=True, text=True, check=False, timeout=120)
    assert ended.returncode == 0, ended.stdout


def test_the_library_loads_nothing_before_it_is_used():
    assert _loaded_by("asyncstore") == set()


def test_a_worker_process_loads_nothing_that_ordinary_files_do_not_need():
    assert _loaded_by("asyncstore.prepare.worker") == set()


def test_little_is_loaded_before_ctrl_c_ends_the_program_quietly():
    program = f"import sys; sys.path.insert(0, {str(_ROOT)!r}); import asyncstore.__main__; print(*sys.modules)"
    words = [sys.executable, "-S", "-c", program]  # site may load more
    ended = subprocess.run(words, capture_output=True, text=True, check=True, timeout=60)
    assert not {"typing", "re", "enum"} & set(ended.stdout.split())


@pytest.mark.parametrize(
    "room", ["protocol.upper_layer", "protocol.requests", "negotiation", "model", "errors", "discovery.walk"]
)
def test_rooms_without_a_loop_load_none(room):
    assert _loaded_by(f"asyncstore.{room}") == set()


def test_nobody_waits_for_a_completion():
    assert _loaded_by("asyncstore.cli.main", "asyncstore.cli.commands.complete") == set()


@pytest.mark.slow
def test_only_the_displays_load_what_draws_them():
    assert "rich" not in _loaded_by("asyncstore.sender", "asyncstore.sink", "asyncstore.surveying", "asyncstore.load")


@pytest.mark.slow
def test_sending_loads_no_pydicom():
    assert not {"pydicom", "pynetdicom", "numpy"} & _loaded_by("asyncstore.sender")


def test_a_load_of_files_needs_no_pydicom():
    assert not {"pydicom", "pynetdicom", "numpy"} & _loaded_by("asyncstore.load.mix", "asyncstore.load.from_files")


@pytest.mark.slow
def test_only_runs_that_show_metrics_load_what_makes_them():
    assert "prometheus_client" not in _loaded_by("asyncstore.cli.commands.send", "asyncstore.cli.commands.metering")


def test_type_checkers_see_the_public_names_that_the_interpreter_finds():
    import asyncstore

    tree = ast.parse(Path(asyncstore.__file__).read_text())
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    seen = {name.asname: node.module for node in imports for name in node.names if name.asname == name.name}
    homes = {name: f"asyncstore.{home}" for name, home in asyncstore._HOMES.items()}  # noqa: SLF001 - it is the table
    assert seen == {**homes, "__version__": "asyncstore.version"}


def test_every_public_name_is_there_and_lives_in_the_library():
    import asyncstore

    assert len(set(asyncstore.__all__)) == len(asyncstore.__all__)
    for name in asyncstore.__all__:
        assert name in dir(asyncstore)
        imported = {}
        exec(f"from asyncstore import {name}", imported)  # noqa: S102 - as a user writes it
        assert getattr(asyncstore, name) is getattr(asyncstore, name) is imported[name]
        assert not isinstance(imported[name], ModuleType)
    with pytest.raises(AttributeError, match="nothing_of_that_name"):
        asyncstore.nothing_of_that_name  # noqa: B018 - looking it up is the test
