"""Messages of the rooms below the command line name its options, which they cannot import: each of them exists."""

import ast
import re
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

from asyncstore.cli.commands import COMMANDS

_PRODUCT = Path(__file__).parent.parent / "asyncstore"

_OPTION = re.compile(r"(?<![\w/+*-])(?:--?|\+)[A-Za-z][\w*-]*(?![\w/+*-])")
"""A word that looks like an option; ``*`` stands for what is only known when the message is made."""

_NO_OPTIONS = {
    "-x": "those that begin so, which propose transfer syntaxes",
    "-n": "one of ulimit",
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


def _named():
    """Where words stand that look like options, and the words."""
    for path in sorted(_PRODUCT.rglob("*.py")):
        if _PRODUCT / "cli" not in path.parents:
            for line, text in _texts(ast.parse(path.read_text())):
                for word in _OPTION.findall(text):
                    yield f"{path.relative_to(_PRODUCT)}:{line}", word


@pytest.mark.slow
def test_every_option_that_a_message_names_is_one_of_some_command():
    options = {name for command in COMMANDS.values() for name in command.by_name()}
    unknown = [one for one in _named() if not any(fnmatchcase(option, one[1]) for option in options)]
    assert [one for one in unknown if one[1] not in _NO_OPTIONS] == []
    assert {word for _, word in unknown} == set(_NO_OPTIONS), "an exception that nothing needs any more"
