"""Files, from file meta information to the verdict on the data set.

The first byte of an input says which files count as instances; the file follows.
"""

from asyncstore.prepare import probe
from asyncstore.prepare.file_format import FileFormat
from asyncstore.prepare.head import HeadReader
from asyncstore.prepare.messages import INSTANCE, UNSENDABLE
from fuzz.samples import TRANSFER_SYNTAXES, files, part10, written

EXPECTED = ()
_FORMATS = tuple(FileFormat)
_ORDINARY = part10(TRANSFER_SYNTAXES[1])


def seeds():
    """The sample files in each format."""
    for content in files():
        yield b"\0" + content
    for number, content in enumerate(map(part10, TRANSFER_SYNTAXES)):
        yield bytes((number % len(_FORMATS),)) + content
        yield bytes((number % len(_FORMATS),)) + content[132:]


def execute(data, folder):
    """The answer is one of two, and the same whatever file came before."""
    file_format = _FORMATS[data[0] % len(_FORMATS)] if data else FileFormat.ANY
    ordinary = written(folder, _ORDINARY)
    probe.probe_file(ordinary)
    path = written(folder, data[1:])
    after_another = probe.probe_file(path, file_format)
    probe._alike.clear()  # noqa: SLF001 - as in a new process
    alone = probe.probe_file(path, file_format)
    assert after_another == alone
    assert probe.probe_file(path, file_format, HeadReader())[0] == alone[0]
    assert alone[0] in (INSTANCE, UNSENDABLE)
    if alone[0] == UNSENDABLE:
        assert alone[1].isprintable()
    else:
        assert 0 <= alone[4] < len(data)
