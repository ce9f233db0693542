"""What README.md and docs/ say holds: their recipes run, their commands parse, their links lead somewhere.

Recipes are run as they stand there: only names of folders and peers are put in their places.
"""

from __future__ import annotations

import asyncio
import os
import re
import shlex
import sys
import textwrap
import tomllib
from pathlib import Path

import pytest

from asyncstore import Sender, Sink
from asyncstore.cli.options.command_table import COMMANDS
from asyncstore.cli.options.configuration import configured
from asyncstore.cli.options.grammar import tokenize
from asyncstore.cli.options.rows import CONFIG
from support import trees

_ROOT = Path(__file__).resolve().parent.parent
_DOCUMENTS = [*sorted(_ROOT.glob("*.md")), *sorted((_ROOT / "docs").glob("*.md"))]
_MOST_README_LINES = 200


def _recipe(document, heading):
    """The commands of the first console block after some words of a document."""
    after = (_ROOT / document).read_text().partition(heading)[2]
    block = re.search(r"^( *)```console\n(.*?)^\1```$", after, re.DOTALL | re.MULTILINE)
    return re.sub(r"^\$ ", "", textwrap.dedent(block[2]), flags=re.MULTILINE)


async def _run(script, folder, **places):
    """Run a recipe in a folder, with this checkout as ``asyncstore``."""
    for name, place in places.items():
        assert name in script
        script = script.replace(name, place)
    programs = folder / "programs"
    programs.mkdir(exist_ok=True)
    ours = programs / "asyncstore"
    ours.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m asyncstore "$@"\n')
    ours.chmod(0o755)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ASYNCSTORE_")}
    environment["PATH"] = f"{programs}:{environment['PATH']}"
    environment["PYTHONPATH"] = str(_ROOT)
    process = await asyncio.create_subprocess_exec(
        "sh",
        "-ec",
        script,
        cwd=folder,
        env=environment,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 0, output.decode()


@pytest.mark.slow
async def test_the_recipes_migrate_an_archive_and_go_on_with_what_is_new(tmp_path):
    archive, work, received = tmp_path / "archive", tmp_path / "work", tmp_path / "received"
    work.mkdir()
    written = trees.instances(tmp_path / "written", len(trees.ODD_NAMES) + 1)
    archive.mkdir()
    for path, name in zip(written, trees.ODD_NAMES, strict=False):
        path.rename(archive / os.fsdecode(name))
    async with Sink(port=0, output=received) as sink:
        places = {"pacs.example.org 11112": f"127.0.0.1 {sink.port}", "/archive": str(archive)}
        await _run(_recipe("README.md", "## Migrate an archive"), work, **places)
        assert trees.data_sets(received) == trees.data_sets(archive)
        assert len(list(received.iterdir())) == len(trees.ODD_NAMES)
        written[-1].rename(archive / "new.dcm")
        await _run(_recipe("docs/migrating.md", "## Go on where a run ended"), work, **places)
        assert trees.data_sets(received) == trees.data_sets(archive)
        assert len(list(received.iterdir())) == len(written)
        assert sink.tally.instances == len(written), "nothing is sent twice"


def _code_blocks(language):
    """Every code block of the documents in a language, with the name of its document."""
    for document in _DOCUMENTS:
        for block in re.finditer(rf"^( *)```{language}\n(.*?)^\1```$", document.read_text(), re.DOTALL | re.MULTILINE):
            yield document.name, block[2]


def _commands_shown():
    """The command lines of asyncstore in console blocks."""
    for name, block in _code_blocks("console"):
        for line in block.replace("\\\n", " ").splitlines():
            shown = re.match(r" *\$ asyncstore (\w+) ([^|>#]*)", line)
            if shown:
                yield pytest.param(shown[1], shlex.split(shown[2]), id=f"{name}: asyncstore {shown[1]} {shown[2]}")


@pytest.mark.parametrize(("command", "words"), list(_commands_shown()))
def test_every_command_line_shown_is_one_that_asyncstore_takes(command, words):
    tokenize(COMMANDS[command], words)


def test_command_lines_are_found_in_the_documents():
    """If none were found, the test above would pass."""
    assert len(list(_commands_shown())) > 20


@pytest.mark.parametrize("document", _DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_to_files_that_are_there(document):
    links = re.findall(r"\]\(([^)#]+)[^)]*\)", document.read_text())
    missing = [link for link in links if "://" not in link and not (document.parent / link).exists()]
    assert not missing


def test_every_document_is_reached_from_the_readme():
    readme = (_ROOT / "README.md").read_text()
    unreached = [path.name for path in _DOCUMENTS if path.name != "README.md" and path.name not in readme]
    assert not unreached


def test_the_rows_of_rooms_are_those_that_import_linter_holds():
    contracts = tomllib.loads((_ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    layers = next(contract["layers"] for contract in contracts if contract["type"] == "layers")
    page = (_ROOT / "docs" / "architecture.md").read_text()
    assert "```\n" + "\n".join(layers) + "\n```" in page
    rooms = {room for row in layers for room in row.split(" | ")} - {"version"}
    described = set(re.findall(r"`(\w+)`", "".join(re.findall(r"^\| (`.*?) \|", page, re.MULTILINE))))
    assert rooms == described


@pytest.mark.parametrize("document", _DOCUMENTS, ids=lambda path: path.name)
def test_modules_named_are_there(document):
    named = set(re.findall(r"`(?:asyncstore/)?((?:[a-z_]+/)*[a-z_]+\.py)`", document.read_text()))
    missing = [name for name in named if not ((_ROOT / "asyncstore" / name).exists() or (_ROOT / name).exists())]
    assert not missing


@pytest.mark.parametrize("document", _DOCUMENTS, ids=lambda path: path.name)
def test_targets_of_make_that_are_named_are_there(document):
    named = set(re.findall(r"(?:`|\$ )make ([a-z-]+)", document.read_text()))
    targets = set(re.findall(r"^([a-z-]+):", (_ROOT / "Makefile").read_text(), re.MULTILINE))
    assert named - targets == set()


def test_options_that_security_names_are_there():
    named = set(re.findall(r"--[a-z]+(?:-[a-z]+)*", (_ROOT / "SECURITY.md").read_text()))
    known = {row.long for command in COMMANDS.values() for row in command.options()}
    assert len(named) > 10
    assert named - known == set()


def test_the_readme_is_short_enough_to_be_read():
    assert len((_ROOT / "README.md").read_text().splitlines()) <= _MOST_README_LINES


def test_python_shown_is_python():
    blocks = list(_code_blocks("python"))
    assert blocks
    for name, block in blocks:
        compile(block, name, "exec")


@pytest.mark.slow
async def test_the_programs_of_the_library_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    archive = str(tmp_path / "archive")
    trees.instances(tmp_path / "archive", 3)
    async with Sink(port=0) as sink:
        places = {
            "pacs.example.org": "127.0.0.1",
            "11112": str(sink.port),
            "/archive": archive,
            "asyncio.run(main())": "",
        }
        program = "".join(block for name, block in _code_blocks("python") if name == "library.md")
        for name, place in {**places, "/run/my-program/": f"{tmp_path}/"}.items():
            assert name in program
            program = program.replace(name, place)
        named = {}
        exec(program, named)  # noqa: S102 - it is ours
        await named["main"]()
        for _ in range(2):
            await named["migrate"]()
        assert sink.tally.instances == 6, "the journal knows what is stored"
        async with Sender("127.0.0.1", sink.port) as sender:
            assert await named["first_failure"](sender, archive) is None
            await named["steered"](sender.send(archive))
        assert sink.tally.instances == 12
        assert (await named["sop_classes"](archive)).total() == 3


def test_a_configuration_shown_is_taken(tmp_path):
    blocks = list(_code_blocks("toml"))
    assert blocks
    for name, block in blocks:
        file = tmp_path / f"{name}.toml"
        file.write_text(block)
        for peer in tomllib.loads(block).get("peers", {}):
            words = ["--config", str(file), "--peer", peer]
            commands = [command for command in COMMANDS.values() if CONFIG in command.options()]
            assert configured(COMMANDS["send"], commands, tokenize(COMMANDS["send"], words), {}).layers


def test_the_tests_that_a_document_names_are_there():
    named = {name for path in _DOCUMENTS for name in re.findall(r"`(test_[a-z0-9_]+)`", path.read_text())}
    there = {
        name for path in (_ROOT / "tests").rglob("*.py") for name in re.findall(r"def (test_\w+)", path.read_text())
    }
    assert named
    assert named <= there, sorted(named - there)
