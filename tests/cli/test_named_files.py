"""Files that options name are read in bounded memory, or refused in a line, even if the name leads to a device."""

from __future__ import annotations

import errno
import json
import os
import signal
import stat
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path

import pytest

from asyncstore.cli.main import main
from asyncstore.cli.options.command_table import ECHO, SEND
from asyncstore.cli.options.configuration import configured
from asyncstore.cli.options.grammar import check, tokenize
from asyncstore.cli.options.rows import CALLED_AE_TITLE, JSON
from asyncstore.errors import UsageError
from asyncstore.named_files import interruptible, private, read_named
from support.peers.certificates import self_signed

READERS = {
    "@": ("echo", "@{}", "localhost", "1"),
    "--config": ("echo", "--config", "{}", "localhost", "1"),
    "-lc": ("echo", "-lc", "{}", "localhost", "1"),
    "-xf": ("send", "-xf", "{}", "Default", "localhost", "1", __file__),
    "-kt": ("echo", "-kt", "{}", "localhost", "1"),
    "--saml": ("echo", "--saml", "{}", "localhost", "1"),
    "--jwt": ("echo", "--jwt", "{}", "localhost", "1"),
    "+cf": ("echo", "+tla", "+cf", "{}", "localhost", "1"),
    "+crl": ("echo", "+tla", "-ic", "+crl", "{}", "localhost", "1"),
    "+tls key": ("echo", "-ic", "+tls", "{}", "cert.pem", "localhost", "1"),
    "+tls certificate": ("echo", "-ic", "+tls", "key.pem", "{}", "localhost", "1"),
    "+dp": ("sink", "--port", "0", "-ic", "+tls", "key.pem", "cert.pem", "+dp", "{}"),
}
"""A command line for each option that names a file to read."""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A working directory with a certificate and its key."""
    monkeypatch.chdir(tmp_path)
    files = self_signed("localhost").write(tmp_path)
    Path(files.key).rename("key.pem")
    Path(files.certificate).rename("cert.pem")
    return tmp_path


def refusal(words, name, capsys):
    """The one line that a command ends with, besides the one that says which option named the file."""
    assert main([word.replace("{}", str(name)) for word in words]) == 1
    lines = [line for line in capsys.readouterr().err.splitlines() if not line.startswith("W: ")]
    assert [line.startswith("Check the value of ") for line in lines] in ([False], [False, True])
    assert str(name) in lines[0]
    return lines[0]


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("words", READERS.values(), ids=READERS)
class TestSpecialFiles:
    @pytest.mark.skipif(sys.platform != "linux", reason="/dev/zero and sparse files are Linux's here")
    def test_one_that_never_ends_is_refused(self, words, capsys):
        assert " it is longer than the " in refusal(words, "/dev/zero", capsys)

    @pytest.mark.slow
    def test_one_of_ten_gigabytes_is_refused(self, words, folder, capsys):
        with (folder / "sparse").open("wb") as file:
            file.truncate(10 << 30)
        assert " it is longer than the " in refusal(words, "sparse", capsys)

    def test_a_directory_is_refused(self, words, folder, capsys):
        assert os.strerror(errno.EISDIR) in refusal(words, folder, capsys)

    def test_one_that_is_not_there_is_refused(self, words, capsys):
        assert os.strerror(errno.ENOENT) in refusal(words, "nowhere", capsys)


def pipe_with(content):
    """The name of a pipe with this content, like ``<(...)`` in a shell."""
    read, write = os.pipe()
    threading.Thread(target=lambda: (os.write(write, content), os.close(write))).start()
    return f"/dev/fd/{read}", read


class TestPipes:
    def test_a_command_file_and_a_configuration_may_come_from_one(self):
        name, descriptor = pipe_with(b"-aec 'A PACS'\n")
        assert check(ECHO, tokenize(ECHO, [f"@{name}", "h", "1"]), {})[CALLED_AE_TITLE] == "A PACS"
        os.close(descriptor)
        name, descriptor = pipe_with(b'call = "PACS"\n')
        tokens = tokenize(ECHO, ["--config", name, "h", "1"])
        layers = configured(ECHO, [ECHO], tokens, {}).layers
        assert check(ECHO, tokens, {}, layers)[CALLED_AE_TITLE] == "PACS"
        os.close(descriptor)

    def test_so_may_keys_certificates_and_authorities(self, folder, capsys):
        """Nobody listens at that port: it is the connection that fails."""
        key, one = pipe_with((folder / "key.pem").read_bytes())
        certificate, two = pipe_with((folder / "cert.pem").read_bytes())
        trusted, three = pipe_with((folder / "cert.pem").read_bytes())
        assert main(["echo", "+tls", key, certificate, "+cf", trusted, "localhost", "1"]) == 1
        assert "localhost:1" in capsys.readouterr().err
        for descriptor in (one, two, three):
            os.close(descriptor)

    @pytest.mark.slow
    @pytest.mark.usefixtures("folder")
    @pytest.mark.parametrize("option", ["--config", "-lc", "--jwt", "+cf"])
    def test_ctrl_c_ends_the_wait_for_one(self, option):
        os.mkfifo("fifo")
        words = [word.format("fifo") for word in READERS[option]]
        process = subprocess.Popen([sys.executable, "-m", "asyncstore", *words], stderr=subprocess.PIPE)
        writer = os.open("fifo", os.O_WRONLY)  # it is open, and about to read from it, when this returns
        said = None
        while said is None:
            process.send_signal(signal.SIGINT)  # a second time if Python took the first just before it began to read
            with suppress(subprocess.TimeoutExpired):
                said = process.communicate(timeout=5)[1]
        os.close(writer)
        assert (process.returncode, said) == (130, b"")


@pytest.mark.slow
def test_a_directory_of_authorities_may_hold_an_endless_file(folder, capsys):
    (folder / "cas").mkdir()
    with (folder / "cas/sparse").open("wb") as file:
        file.truncate(10 << 30)
    (folder / "cas/ca.pem").write_bytes((folder / "cert.pem").read_bytes())
    assert main(["echo", "+tla", "+cd", "cas", "localhost", "1"]) == 1
    assert "localhost:1" in capsys.readouterr().err


@pytest.mark.skipif(sys.platform != "linux", reason="/dev/zero is not there everywhere")
def test_a_part_of_an_endless_seed_is_used(capsys):
    assert main(["echo", "+tla", "-ic", "+rs", "/dev/zero", "localhost", "1"]) == 1
    warning, *_ = capsys.readouterr().err.splitlines()
    assert warning == "W: seed /dev/zero: it is longer than 1048576 bytes; the rest of it is not used"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("x = " + "[" * 100_000, "it is nested too deeply"),
        ("x = " + "{a=" * 100_000, "it is nested too deeply"),
        (".".join("a" * 100_000) + " = 1", "it is nested too deeply"),
        ("max-pdu = " + "9" * 5000, "Exceeds the limit"),
    ],
)
def test_a_configuration_that_python_cannot_parse_is_one_line(folder, capsys, text, said):
    (folder / "a.toml").write_text(text)
    line = refusal(READERS["--config"], "a.toml", capsys)
    assert line.startswith(f"asyncstore echo: a.toml: the configuration file is not TOML: {said}")


@pytest.mark.slow
def test_a_configuration_may_have_thousands_of_peers_and_a_byte_order_mark(folder):
    peers = "".join(f'[peers.p{number}]\nhost = "h"\nport = 1\ncall = "PACS"\n' for number in range(10_000))
    (folder / "a.toml").write_bytes(b"\xef\xbb\xbf" + peers.encode())
    tokens = tokenize(ECHO, ["--config", "a.toml", "--peer", "p9999"])
    layers = configured(ECHO, [ECHO], tokens, {}).layers
    assert check(ECHO, tokens, {}, layers)[CALLED_AE_TITLE] == "PACS"


def test_a_command_file_in_utf_16_is_named_as_such(folder):
    (folder / "opts").write_text("-aec PACS", encoding="utf-16")
    with pytest.raises(UsageError, match="@opts: the command file is UTF-16: write it in UTF-8"):
        tokenize(SEND, ["@opts"])


def test_a_file_may_have_the_greatest_length(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"12345")
    assert read_named(str(path), 5, "file") == b"12345"
    with pytest.raises(UsageError, match="file: it is longer than the 4 bytes that can be used"):
        read_named(str(path), 4, "file")
    with pytest.raises(UsageError, match="file: embedded null byte"):
        read_named("a\0b", 4, "file")


@pytest.mark.parametrize(
    "words",
    [
        ("send", "localhost", "1", "--json", "{}", __file__),
        ("send", "--metrics-port", "0", "--metrics-file", "{}", "localhost", "1", __file__),
        ("scan", "--json", "{}", __file__),
        ("report", "--html", "{}", "journal.db"),
        ("bench", "--hdr", "{}", "localhost", "1"),
    ],
)
def test_a_file_that_holds_something_else_is_not_replaced(folder, words, capsys):
    image = folder / "image.dcm"
    image.write_bytes(bytes(128) + b"DICM")
    assert main([word.replace("{}", str(image)) for word in words]) == 1
    assert f" {image}: cannot write it: it exists, and holds something else\n" in capsys.readouterr().err
    assert image.read_bytes() == bytes(128) + b"DICM"


class TestInterruptible:
    def test_afterwards_ctrl_c_does_what_it_did(self):
        before = signal.getsignal(signal.SIGINT)
        mine = signal.signal(signal.SIGINT, lambda *_: None) and signal.getsignal(signal.SIGINT)
        try:
            with pytest.raises(KeyboardInterrupt), interruptible():
                signal.raise_signal(signal.SIGINT)
            assert signal.getsignal(signal.SIGINT) is mine
        finally:
            signal.signal(signal.SIGINT, before)

    def test_where_it_is_ignored_it_remains_so(self):
        before = signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            with interruptible():
                signal.raise_signal(signal.SIGINT)
        finally:
            signal.signal(signal.SIGINT, before)

    def test_other_threads_may_read_too(self):
        found = []
        thread = threading.Thread(target=lambda: found.append(read_named(os.devnull, 1, "x")))
        thread.start()
        thread.join()
        assert found == [b""]


def test_only_the_owner_may_read_a_new_file(tmp_path):
    before = os.umask(0)
    try:
        with open(tmp_path / "new", "wb", opener=private):
            pass
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o600


@pytest.mark.parametrize("command", [("send", "-nh", "localhost", "1", "/nowhere"), ("scan", "/nowhere")])
def test_only_the_owner_may_read_new_json_lines(folder, command):
    name, *words = command
    before = os.umask(0)
    try:
        main([name, JSON.long, "new.json", *words])
        (folder / "old.json").touch(mode=0o644)
        main([name, JSON.long, "old.json", *words])
    finally:
        os.umask(before)
    assert stat.S_IMODE((folder / "new.json").stat().st_mode) == 0o600
    assert stat.S_IMODE((folder / "old.json").stat().st_mode) == 0o644
    assert json.loads((folder / "old.json").read_bytes().splitlines()[-1])["exit_code"] == 1
    assert main([name, JSON.long, "/dev/null", *words]) == 1
