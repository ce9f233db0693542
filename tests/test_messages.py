"""Only the command line names its options: the rooms below it carry facts, and a library user reads no option."""

import ast
import re
from functools import cache
from pathlib import Path
from typing import get_args

import pytest

from asyncstore.cli.options.command_table import COMMANDS
from asyncstore.cli.text import hints

pytestmark = pytest.mark.slow

_PRODUCT = Path(__file__).parent.parent / "asyncstore"

_OPTION = re.compile(r"(?<![\w/+*-])(?:--?|\+)[A-Za-z][\w*-]*(?![\w/+*-])")
"""A word that looks like an option; ``*`` stands for what is only known when the message is made."""

_NO_OPTIONS = {
    "-n": "one of ulimit",
    **dict.fromkeys(("-lock", "-ctl", "-wal", "-shm"), "the ending of a file name"),
    **dict.fromkeys(("-c", "-I", "-S", "-X"), "one of the Python interpreter"),
}


def _texts(tree):
    """The strings that are no docstrings, with their lines."""
    passed_over = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    passed_over |= {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
    for node in ast.walk(tree):
        if id(node) in passed_over:
            continue
        if isinstance(node, ast.JoinedStr):
            yield node.lineno, "".join(part.value if isinstance(part, ast.Constant) else "*" for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.lineno, node.value


@cache
def _below_cli():
    """The strings outside the command line, and where they stand."""
    return [
        (f"{path.relative_to(_PRODUCT)}:{line}", text)
        for path in sorted(_PRODUCT.rglob("*.py"))
        if _PRODUCT / "cli" not in path.parents
        for line, text in _texts(ast.parse(path.read_text()))
    ]


def test_no_message_below_the_command_line_names_an_option():
    named = [(where, word) for where, text in _below_cli() for word in _OPTION.findall(text)]
    assert [one for one in named if one[1] not in _NO_OPTIONS] == []
    assert {word for _, word in named} == set(_NO_OPTIONS), "an exception that nothing needs any more"


def test_every_option_that_a_hint_names_is_one_of_some_command():
    options = {name for command in COMMANDS.values() for name in command.by_name()} | {"-x"}  # -x: those that begin so
    texts = [text for _, text in _texts(ast.parse(Path(hints.__file__).read_text()))]
    named = {word for text in texts for word in _OPTION.findall(text)}
    assert len(named) > 30
    assert {word for word in named - options if "*" not in word} == set()
    assert {word for word in named if "*" in word} == {"-i*", "--profile-*"}


@pytest.mark.parametrize("fact", hints.REASONS)
def test_every_reason_for_which_there_is_a_hint_is_still_given(fact):
    assert any(fact in text for _, text in _below_cli())


def test_every_reason_of_tls_and_every_mistake_in_its_settings_has_a_hint():
    for reason in get_args(hints.errors.TlsReason):
        assert hints.hint_of(hints.errors.TlsFailed("peer:104", "cause", reason))
    for mistake in get_args(hints.errors.TlsMistake):
        assert hints.hint_of(hints.errors.TlsSettingRefused("key", "file", "problem", mistake, "null"))
