"""Configuration files in TOML (``--config``)."""

from asyncstore.cli.options.command_table import COMMANDS, SEND
from asyncstore.cli.options.configuration import configured, names_of_peers
from asyncstore.cli.options.grammar import check, tokenize
from asyncstore.cli.options.rows import CONFIG, NAMED_PEER
from asyncstore.errors import UsageError
from fuzz.samples import written

EXPECTED = (UsageError,)
_WITH_CONFIG = tuple(command for command in COMMANDS.values() if CONFIG in tuple(command.options()))
_FILE = """no-halt = true
[send]
associations = 8
timeout = 2.5
[peers.pacs1]
host = "pacs.example.org"
port = 11112
call = "PACS"
[peers."other peer"]
host = "::1"
port = 104
"""


def seeds():
    """Files as users write them."""
    yield _FILE.encode()
    yield _FILE.replace("\n", "\r\n").encode()
    yield b"[send]\nxf = ['a.cfg', 'Default']\naetitle = '''A\nB'''\nverbose = 1\n"


def execute(data, folder):
    """It is refused, or gives a command line's values."""
    path = written(folder, data)
    for words in (["pacs", "104", "."], [NAMED_PEER.long, "pacs1", "."]):
        tokens = tokenize(SEND, [CONFIG.long, path, *words])
        found = configured(SEND, _WITH_CONFIG, tokens, {})
        check(SEND, tokens, {}, found.layers)
    names_of_peers(path)
