"""Command lines, ``@file`` and variables of the environment.

The first byte of an input chooses the command. Words follow, each with a NUL byte behind it. A word ``@`` stands for a
command file, which holds the rest. The words behind an empty one are the values of variables.
"""

import os

from asyncstore.cli.options.command_table import COMMANDS
from asyncstore.cli.options.grammar import check, tokenize
from asyncstore.errors import UsageError
from fuzz.samples import written

EXPECTED = (UsageError,)
_COMMANDS = tuple(COMMANDS.values())
_VARIABLES = tuple(tuple(row.variable for row in command.options() if row.is_configurable) for command in _COMMANDS)


def seeds():
    """Command lines of each command."""
    lines = (
        ["-aet", "US", "-aec", "THEM", "+sd", "pacs", "11112", "-nh", "--", "-file"],
        ["@", "pacs", "11112", "a 'b c' \"d\" -to 5 --json -"],
        ["--associations", "auto", "--invent", "-xf", "a.cfg", "Default", "pacs", "104", ".", "", "8", "1", "x y"],
        ["-pwd=SECRET", "+ps", "+pw"],
        ["--help"],
    )
    for number in range(len(_COMMANDS)):
        for words in lines:
            yield bytes((number,)) + "\0".join([*words, ""]).encode()


def execute(data, folder):
    """It is refused, or its values have the types of their options."""
    if not data:
        return
    number = data[0] % len(_COMMANDS)
    words, environment = [], {}
    pieces = iter(os.fsdecode(data[1:]).split("\0"))
    for word in pieces:
        if not word:
            break
        if word.startswith("@"):
            words.append(f"@{written(folder, os.fsencode(' '.join(pieces)))}")
            break
        words.append(word)
    variables = _VARIABLES[number]
    for place, value in enumerate(pieces):
        if variables:
            environment[variables[place * 7 % len(variables)]] = value
    tokens = tokenize(_COMMANDS[number], words)
    check(_COMMANDS[number], tokens, environment)
