"""The same words mean the same to the real storescu: each line is given to both, and what they understood is compared.

It connects to nothing: the only input of each line is a file that does not exist.
"""

from __future__ import annotations

import re
import subprocess

import pytest

from asyncstore.cli.options.command_table import SEND
from asyncstore.cli.options.grammar import check, tokenize
from asyncstore.errors import UsageError
from support.peers.programs import find_program

END = ("localhost", "104", "/nowhere/file")

UNDERSTOOD = [
    (),
    ("-v",),
    ("-v", "-q", "-d"),
    ("-aet", "-v"),
    ("-aet", "--help"),
    ("-aet", "+sd"),
    ("-aec", "-5"),
    ("-to", "5", "-to", "6"),
    ("-to", "+5"),
    ("-ts", "0"),
    ("-ts", "-1"),
    ("-ll", "DEBUG"),
    ("+sd", "+r", "+sp", "-nh"),
    ("+r", "-r"),
    ("-r", "+sd", "-r", "+r"),
    ("-R", "-nh", "--abort", "--repeat", "2"),
    ("-pdu", "4096", "--max-send-pdu", "131072"),
    ("--max-pdu", "131072"),
    ("+v", "--verbose-pc", "-d"),
    ("@{file}",),
    ("-aet", "@{title}"),
    ("-to", "@{title}", "-to", "1"),
    ("-xs", "-x="),
    ("-R", "+C", "-xd", "+cl", "9"),
    ("-usr", "-pwd", "-pwd", "-usr"),
    ("-usr", "jdoe", "-epw", "-rsp"),
    ("-pwd", "secret", "-usr", "jdoe"),
]

REFUSED = [
    ("-.5",),
    ("-vd",),
    ("--verb",),
    ("--timeout=5",),
    ("-TO", "5"),
    ("-to", "0"),
    ("-to", "x"),
    ("-to", ""),
    ("-ta", "0"),
    ("-td", "-5"),
    ("-ts", "-2"),
    ("-pdu", "4095"),
    ("-pdu", "131073"),
    ("--max-send-pdu", "1"),
    ("--repeat", "0"),
    ("-ll", "loud"),
    ("-ll", "info", "-q"),
    ("+v",),
    ("+r",),
    ("-r", "+r"),
    ("+sp", "*"),
    ("+r", "-r", "+sp", "*"),
    ("@/nowhere/words",),
    ("-h", "--zz"),
    ("-h", "localhost", "1", "-to"),
    ("-pwd", "secret"),
    ("-epw",),
    ("-rsp",),
    ("-usr", "jdoe", "-pwd", "secret", "-kt", "file"),
    ("-xs", "-xf", "file", "profile"),
    ("-R", "-xf", "file", "profile"),
    ("+C", "-xf", "file", "profile"),
    ("-xf", "file"),
    ("-xe", "+cl", "5"),
]

PARAMETERS = [
    ("localhost",),
    ("localhost", "104"),
    ("localhost", "0", "file"),
    ("localhost", "65536", "file"),
    ("localhost", "", "file"),
    ("localhost", "file", "104"),
]


@pytest.fixture
def files(tmp_path):
    (tmp_path / "file").write_text("-v \"-aet\" 'MY TITLE'\nhost 5 -nh -5 C:\\x @nested")
    (tmp_path / "title").write_text("77")
    return {"file": tmp_path / "file", "title": tmp_path / "title"}


def storescu(*words):
    program = find_program("storescu", "dcmtk")
    done = subprocess.run([program, *words], capture_output=True, text=True, timeout=60, check=False)
    refusals = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    return done.stderr, refusals


def ours(*words):
    return check(SEND, tokenize(SEND, words), {})


@pytest.mark.peers
@pytest.mark.parametrize("options", UNDERSTOOD, ids=" ".join)
def test_what_storescu_understands(options, files):
    words = (*(word.format_map(files) for word in options), "--arguments", *END)
    said, refusals = storescu(*words)
    assert not refusals
    match = re.search(r"I: calling '.*storescu' with (\d+) arguments: (.*)", said)
    assert match
    understood = ours(*words).words
    assert match[1] == str(len(understood))
    theirs = re.sub(r"'--password' '[^']*'", "'--password' '***'", match[2].strip())  # they show it, we do not
    assert theirs == " ".join(f"'{word}'" for word in understood)


COMMAND_FILES = [
    b"",
    b" \n\t\r\n",
    b"one two\tthree\nfour\r\nfive",
    b"no newline at the end",
    b"'' \"\"",
    b"'one word' \"and 'another' one\" 'a \"third\" one'",
    b"'two lines\nin one word'",
    b"a'b c'd",
    b"'a''b'\"c\"",
    b'a"b"',
    b"a''",
    b"# no comment",
    b"a#b ; | & $HOME ~ * ?",
    b"C:\\x\\ a\\ b \\'a\\'",
    b"@nested @",
    b"caf\xc3\xa9 na\xefve",
    b"a\x0bb\x0cc\xc2\xa0d",
    b"-aet 'MY TITLE' -nh",
]
"""Each is read by both as the words of a command line."""


@pytest.mark.peers
@pytest.mark.parametrize("content", COMMAND_FILES, ids=repr)
def test_a_command_file_holds_the_words_that_storescu_reads_in_it(content, tmp_path):
    file = tmp_path / "words"
    file.write_bytes(content)
    words = ("--arguments", *END, f"@{file}")
    program = find_program("storescu", "dcmtk")
    done = subprocess.run([program, *words], capture_output=True, timeout=60, check=False)
    match = re.search(rb"I: calling '[^']*' with (\d+) arguments: (.*?)\nI: ?\n", done.stderr, re.DOTALL)
    assert match, done.stderr
    understood = ours(*words).words
    assert int(match[1]) == len(understood)
    shown = " ".join(f"'{word}'" for word in understood if word)  # storescu counts empty words, and shows nothing
    assert match[2].strip().replace(b"\nI: ", b"\n") == shown.encode(errors="surrogateescape")


def test_a_command_file_may_begin_with_a_byte_order_mark_which_storescu_takes_for_a_part_of_a_word(tmp_path):
    (tmp_path / "words").write_bytes(b"\xef\xbb\xbffile")
    assert ours(*END[:2], f"@{tmp_path}/words").words[-1] == "file"


def test_a_quote_that_is_not_closed_is_refused_where_storescu_takes_all_the_rest_for_one_word(tmp_path):
    (tmp_path / "words").write_bytes(b"O'Brien.dcm another.dcm")
    with pytest.raises(UsageError, match="a quote in the command file is not closed"):
        ours(*END[:2], f"@{tmp_path}/words")


@pytest.mark.peers
@pytest.mark.parametrize("options", REFUSED, ids=" ".join)
def test_what_storescu_refuses(options):
    _, refusals = storescu(*options, *END) if "localhost" not in options else storescu(*options)
    assert refusals
    with pytest.raises(UsageError):
        ours(*options, *END) if "localhost" not in options else ours(*options)


@pytest.mark.peers
@pytest.mark.parametrize("words", PARAMETERS, ids=" ".join)
def test_parameters_that_storescu_refuses(words):
    _, refusals = storescu(*words)
    assert refusals
    with pytest.raises(UsageError):
        ours(*words)


@pytest.mark.peers
@pytest.mark.parametrize(
    "words", [("-h", "-pdu", "1"), ("-h", "+r"), ("x", "-h"), ("--version", "--help")], ids=" ".join
)
def test_what_help_passes_over(words):
    said, refusals = storescu(*words)
    assert not refusals
    assert not said
    assert tokenize(SEND, words).exit_option() is not None
