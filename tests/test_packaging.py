"""What is packed: everything that belongs to the project, and nothing else that lies in its folders."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest

import asyncstore

ROOT = Path(asyncstore.__file__).parents[1]
pytestmark = [
    pytest.mark.skipif(not (ROOT / "pyproject.toml").exists(), reason="this is an installation, no checkout"),
    pytest.mark.slow,
]

UNTRACKED = ("secret.txt", ".env", "asyncstore/key.pem", "tests/secret.txt", "tests/cli/run.json", "docs/secret.txt")
LEFT_OUT = re.compile(
    r"(^|/)(\.git|\..*_cache|\.venv|\.lock|\.hypothesis|\.fuzz|__pycache__|dist|build)(/|$)|^benchmarks/results$"
)


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    """A copy of the checkout with files that nobody tracks, outside any version control."""
    pytest.importorskip("hatchling", reason="hatchling is not installed: make .venv/installed")
    folder = tmp_path_factory.mktemp("checkout") / "copy"
    shutil.copytree(
        ROOT, folder, ignore=lambda at, names: {name for name in names if LEFT_OUT.search(f"{Path(at).name}/{name}")}
    )
    (folder / ".gitignore").unlink(missing_ok=True)
    for name in UNTRACKED:
        (folder / name).write_text("secret")
    return folder


def built(folder, kind):
    """What is in a package of this kind."""
    words = [sys.executable, "-m", "hatchling", "build", "-t", kind, "-d", "packed"]
    subprocess.run(words, cwd=folder, check=True, timeout=60, capture_output=True)
    [package] = (folder / "packed").glob("*.tar.gz" if kind == "sdist" else "*.whl")
    if kind == "sdist":
        with tarfile.open(package) as archive:
            return {member.name.partition("/")[2] for member in archive.getmembers() if member.isfile()}
    with zipfile.ZipFile(package) as archive:
        return set(archive.namelist())


@pytest.fixture(scope="module")
def source_package(copy):
    return built(copy, "sdist")


def modules(*folders):
    return {path.relative_to(ROOT).as_posix() for folder in folders for path in (ROOT / folder).rglob("*.py")}


def test_the_source_package_holds_the_project_and_nothing_else(source_package):
    packed = source_package
    expected = modules("asyncstore", "tests", "benchmarks", "examples", "docs")
    assert not packed & set(UNTRACKED)
    assert packed >= expected
    others = {"PKG-INFO", "pyproject.toml", "asyncstore/py.typed", "requirements/lock.txt", ".ci/run", "docs/live.svg"}
    others |= {"docs/bench.png", "README.md", "CHANGELOG.md", "SECURITY.md", "LICENSE", "Makefile"}
    assert others <= packed
    unexpected = packed - expected - others
    known = re.compile(r"(docs/|tests/cases/)?[^/]+\.(md|svg|dcm|json|service)")
    assert {name for name in unexpected if not known.fullmatch(name)} == set()


def test_it_holds_every_tracked_file(source_package):
    listed = subprocess.run(["git", "-C", ROOT, "ls-files", "-z"], capture_output=True, text=True, check=False)
    if listed.returncode or not listed.stdout:
        pytest.skip("this is no checkout of git")
    tracked = {name for name in listed.stdout.split("\0") if name and (ROOT / name).exists()}
    assert tracked - source_package == {".gitignore"}


def test_the_wheel_holds_the_modules_and_nothing_else(copy):
    packed = {name for name in built(copy, "wheel") if ".dist-info/" not in name}
    assert packed == modules("asyncstore") | {"asyncstore/py.typed"}


class TestLockFile:
    LOCK = (ROOT / "requirements/lock.txt").read_text() if (ROOT / "requirements/lock.txt").exists() else ""
    PINNED = re.compile(r"^([a-z0-9-]+)==\S+( ; [^\\]+)? \\(\n    --hash=sha256:[0-9a-f]{64}( \\)?)+$", re.MULTILINE)

    def test_everything_in_it_is_pinned_with_hashes_and_comes_from_nowhere_in_particular(self):
        lines = [line for line in self.LOCK.splitlines() if not line.startswith("#")]
        assert "".join(f"{match[0]}\n" for match in self.PINNED.finditer(self.LOCK)) == "\n".join(lines) + "\n"
        assert "://" not in self.LOCK

    def test_all_that_the_project_needs_is_in_it(self):
        pinned = {match[1] for match in self.PINNED.finditer(self.LOCK)}
        project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
        needed = [
            *project["dependencies"],
            *(word for extra, more in project["optional-dependencies"].items() if extra != "fuzz" for word in more),
        ]
        assert {re.match(r"[\w-]+", word)[0].lower() for word in needed} <= pinned
