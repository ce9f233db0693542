"""Configuration files in TOML (``--config``).

The first byte of an input chooses the command line; the file follows.
"""

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


_LINES = (["pacs", "104", "."], [NAMED_PEER.long, "pacs1", "."])


def seeds():
    """Files as users write them."""
    for number in range(len(_LINES)):
        line = bytes((number,))
        yield line + _FILE.encode()
        yield line + _FILE.replace("\n", "\r\n").encode()
        yield line + b"[send]\nxf = ['a.cfg', 'Default']\naetitle = '''A\nB'''\nverbose = 1\n"
        yield line + b"[send.retry]\nstatuses = ['C000-C0FF', 272]\n[peers.pacs1]\nport = 104\nhost = '::1'\n"


def execute(data, folder):
    """It is refused, or gives a command line's values."""
    path = written(folder, data[1:])
    if data[:1] == b"\xff":
        names_of_peers(path)
        return
    tokens = tokenize(SEND, [CONFIG.long, path, *_LINES[data[0] % len(_LINES) if data else 0]])
    check(SEND, tokens, {}, configured(SEND, _WITH_CONFIG, tokens, {}).layers)
