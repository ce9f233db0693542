"""From options to what is negotiated: the files they name, and secrets that nobody gets to see."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
import warnings

import pytest

from asyncstore.cli.main import main
from asyncstore.cli.options.command_table import SEND
from asyncstore.cli.options.grammar import parse
from asyncstore.cli.proposal import identity_of, proposal_of
from asyncstore.errors import UsageError
from asyncstore.negotiation import Planned, listed
from asyncstore.protocol.associate import UserIdentity
from support import trees
from support.commands import asyncstore, running_sink
from support.peers.certificates import self_signed

pytestmark = pytest.mark.slow

LINE = ("localhost", "104", "file")
CONFIGURATION = """
[[TransferSyntaxes]]
[Explicit]
TransferSyntax1 = LittleEndianExplicit
[[PresentationContexts]]
[CT]
PresentationContext1 = CTImageStorage\\Explicit
PresentationContext3 = MRImageStorage\\Explicit
[[Profiles]]
[Default]
PresentationContexts = CT
"""


def parsed(*options, **environment):
    return parse(SEND, (*options, *LINE), environment)


# What to propose.


@pytest.mark.parametrize(
    ("options", "proposal"),
    [
        ((), Planned()),
        (("-x=",), listed("uncompr")),
        (("-R",), listed("uncompr", required=True)),
        (("+C",), listed("uncompr", combined=True)),
        (("-xs", "-xe"), listed("little")),
        (("-xv", "-R", "+C"), listed("j2k-lossless", required=True, combined=True)),
        (("--propose-htj2k",), listed("htj2k")),
        (("--propose-jpegxl", "+C"), listed("jpegxl", combined=True)),
    ],
)
def test_files_are_planned_for_unless_an_option_of_storescu_is_given(options, proposal):
    assert proposal_of(parsed(*options)) == proposal
    assert type(proposal_of(parsed(*options))) is type(proposal)


def test_a_profile_is_read_and_what_it_ignores_is_warned_of(tmp_path, caplog):
    file = tmp_path / "a.cfg"
    file.write_bytes(b"\xef\xbb\xbf# latin-1: \xe4\n" + CONFIGURATION.encode())
    proposal = proposal_of(parsed("-xf", str(file), "default"))
    assert [context.abstract_syntax for context in proposal.contexts(())] == ["1.2.840.10008.5.1.4.1.1.2"]
    (warning,) = caplog.records
    assert warning.levelname == "WARNING"
    assert warning.getMessage().startswith(f"{file}, line 9: PresentationContext3 is ignored: ")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "cannot read it: No such file or directory"),
        ("", "the file is empty"),
        ("x" * 1_048_577, "cannot read it: it is longer than the 1048576 bytes that can be used"),
        ("[[Profiles]]", "[[TransferSyntaxes]] is missing"),
    ],
    ids=["absent", "empty", "huge", "wrong"],
)
def test_what_is_wrong_with_a_profile_names_option_and_file(tmp_path, content, said):
    file = tmp_path / "a.cfg"
    if content is not None:
        file.write_text(content)
    with pytest.raises(UsageError) as refused:
        proposal_of(parsed("-xf", str(file), "Default"))
    assert str(refused.value).startswith("--config-file")
    assert str(file) in str(refused.value)
    assert said in str(refused.value)


# Who asks.


@pytest.mark.parametrize(
    ("options", "environment", "identity"),
    [
        ((), {}, None),
        ((), {"ASYNCSTORE_PASSWORD": "unused"}, None),
        (("-usr", "jdoe"), {}, UserIdentity(1, b"jdoe")),
        (("-usr", "jdoe", "-rsp"), {}, UserIdentity(1, b"jdoe", wants_response=True)),
        (("-usr", "jdoe", "-pwd", "-epw"), {}, UserIdentity(2, b"jdoe", b"-epw")),
        # storescu, too, means the rightmost to count, but then asks -epw for a --user that it has forgotten by then.
        (("-usr", "jdoe", "-pwd", "a", "-epw"), {}, UserIdentity(2, b"jdoe", b"")),
        (("-usr", "jdoe", "-epw", "-pwd", "a"), {}, UserIdentity(2, b"jdoe", b"a")),
        (("-usr", "jdoe"), {"ASYNCSTORE_PASSWORD": "hunter2"}, UserIdentity(2, b"jdoe", b"hunter2")),
        (("-usr", "jdoe", "-epw"), {"ASYNCSTORE_PASSWORD": "hunter2"}, UserIdentity(2, b"jdoe", b"")),
        ((), {"ASYNCSTORE_USER": "jdoe", "ASYNCSTORE_PASSWORD": "b"}, UserIdentity(2, b"jdoe", b"b")),
        (("-usr", "jd\xf6e", "-pwd", "\udcff"), {}, UserIdentity(2, "jd\xf6e".encode(), b"\xff")),
    ],
)
def test_user_and_password_go_out_byte_for_byte(options, environment, identity):
    assert identity_of(parsed(*options, **environment)) == identity


@pytest.mark.parametrize(("option", "kind"), [("-kt", 3), ("--saml", 4), ("--jwt", 5)])
def test_files_to_log_in_with_go_out_byte_for_byte(tmp_path, option, kind):
    file = tmp_path / "ticket"
    file.write_bytes(bytes(range(256)) + b"\n")
    assert identity_of(parsed(option, str(file))) == UserIdentity(kind, bytes(range(256)) + b"\n")


@pytest.mark.parametrize("option", ["--kerberos", "--saml", "--jwt"])
@pytest.mark.parametrize(
    ("size", "said"),
    [
        (None, "cannot read it: No such file or directory"),
        (0, "the file is empty"),
        (65536, "cannot read it: it is longer than the 65535 bytes that can be used"),
    ],
)
def test_a_file_that_cannot_be_sent_whole_is_refused(tmp_path, option, size, said):
    file = tmp_path / "ticket"
    if size is not None:
        file.write_bytes(bytes(size))
    with pytest.raises(UsageError) as refused:
        identity_of(parsed(option, str(file)))
    assert str(refused.value) == f"{option} {file}: {said}"


def test_an_identity_that_just_does_not_fit_is_refused_before_anything_else(tmp_path, capsys):
    (tmp_path / "ticket").write_bytes(bytes(65535))
    assert main(["send", "-kt", str(tmp_path / "ticket"), "localhost", "104", str(tmp_path)]) == 1
    said = capsys.readouterr().err
    assert said == (
        f"asyncstore send: --kerberos {tmp_path / 'ticket'}: its 65535 bytes are 84 more than an association request "
        "has room for; give a shorter one\n"
    )


def test_with_a_profile_there_is_less_room_and_the_remedy_says_so(tmp_path, capsys):
    (tmp_path / "ticket").write_bytes(bytes(65000))
    (tmp_path / "a.cfg").write_text(
        CONFIGURATION.replace("[[Profiles]]", "[[ExtendedNegotiation]]\n[E]\n"
                              f"ExtendedNegotiation1 = CTImageStorage\\{'00' * 1024}\n[[Profiles]]")
        + "ExtendedNegotiation = E\n"
    )  # fmt: skip
    words = ["-xf", str(tmp_path / "a.cfg"), "Default", "--jwt", str(tmp_path / "ticket")]
    assert main(["send", *words, "localhost", "104", str(tmp_path)]) == 1
    said = capsys.readouterr().err
    assert f"--jwt {tmp_path / 'ticket'}: its 65000 bytes are " in said
    assert "or a profile with less extended negotiation (-xf)" in said


def test_a_profile_that_leaves_no_room_at_all_is_named_itself(tmp_path, capsys):
    contexts = "".join(f"PresentationContext{n} = 1.2.{n}\\Explicit\n" for n in range(1, 71))
    extended = "".join(f"ExtendedNegotiation{n} = 1.2.{n}\\{'00' * 1024}\n" for n in range(1, 71))
    (tmp_path / "a.cfg").write_text(
        "[[TransferSyntaxes]]\n[Explicit]\nTransferSyntax1 = LittleEndianExplicit\n"
        f"[[PresentationContexts]]\n[C]\n{contexts}[[ExtendedNegotiation]]\n[E]\n{extended}"
        "[[Profiles]]\n[Default]\nPresentationContexts = C\nExtendedNegotiation = E\n"
    )
    words = ["-xf", str(tmp_path / "a.cfg"), "Default", "-usr", "me"]
    assert main(["send", *words, "localhost", "104", str(tmp_path)]) == 1
    said = capsys.readouterr().err
    assert said.startswith(f"asyncstore send: --config-file {tmp_path / 'a.cfg'}: roles and extended negotiation of ")
    assert said.endswith(" bytes longer than an association request has room for; list fewer of them\n")


# Secrets.


def test_arguments_are_shown_without_secrets(capsys):
    words = ["-usr", "jdoe", "-pwd", "hunter2", "--arguments", "host", "104"]
    assert main(["send", *words]) == 1
    said = capsys.readouterr().err
    assert "'--user' 'jdoe' '--password' '***' '--arguments' 'host' '104'" in said
    assert "hunter2" not in said
    assert "hunter2" not in " ".join(parsed("-usr", "jdoe", "-pwd", "hunter2").words)


async def test_debugging_shows_the_negotiation_and_no_secret(tmp_path):
    trees.instances(tmp_path / "files", 1)
    async with running_sink() as sink:
        words = ("-d", "-usr", "jdoe", "-pwd", "hunter2", "-xe", "127.0.0.1", str(sink.port), tmp_path / "files")
        done = await asyncstore("send", "--arguments", *words)
    assert done.returncode == 0, done
    assert "calling AE title STORESCU, called AE title ANY-SCP" in done.err
    assert "user identity: user name 'jdoe' and passcode" in done.err
    assert "CTImageStorage in BigEndianExplicit, LittleEndianImplicit" in done.err
    assert "CTImageStorage: accepted in LittleEndianExplicit" in done.err
    assert "hunter2" not in done.out + done.err


async def test_a_peer_that_does_not_confirm_the_login_gets_nothing(tmp_path):
    trees.instances(tmp_path / "files", 1)
    async with running_sink("--output", tmp_path / "received") as sink:
        words = ("-usr", "jdoe", "-rsp", "127.0.0.1", str(sink.port), tmp_path / "files")
        done = await asyncstore("send", *words)
    assert done.returncode == 1
    assert "the peer did not confirm our user identity" in done.err
    assert "leave out -rsp" in done.err
    assert not trees.data_sets(tmp_path / "received")


_ASK = """
import sys
from asyncstore.cli.options.command_table import SEND
from asyncstore.cli.options.grammar import parse
from asyncstore.cli.proposal import identity_of
from asyncstore.errors import UsageError
try:
    identity = identity_of(parse(SEND, ("-usr", "jdoe", "--ask-password", "host", "104", "file"), {}))
    print(identity.kind, identity.primary, len(identity.secondary), file=sys.stderr)
except UsageError as error:
    print(error, file=sys.stderr)
"""


_NOT_UTF_8 = b"--ask-password: what was typed is not UTF-8; ASYNCSTORE_PASSWORD can hold the password"
_ASK_FOR_A_KEY = """
import sys
from asyncstore.cli.main import main
main(["send", "+tls", *sys.argv[1:], "localhost", "104", "/dev/null"])
"""


def typed_at_a_terminal(answer, code=_ASK, *words):
    """What is on the screen in the end, where this is the answer to the question for a password."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of forking with threads, from 3.12 on: exec follows
        child, terminal = pty.fork()
    if child == 0:
        os.execv(sys.executable, [sys.executable, "-c", code, *words])  # noqa: S606 - the point is its terminal
    shown = b""
    while re.search(rb"Password of .+: ", shown) is None:
        shown += os.read(terminal, 1024)
    os.write(terminal, answer)
    try:
        while more := os.read(terminal, 1024):
            shown += more
    except OSError:  # Linux's way of saying that the other end is closed
        pass
    os.close(terminal)
    os.waitpid(child, 0)
    return shown


@pytest.mark.skipif(sys.platform == "win32", reason="it has no pseudo-terminals")
def test_a_password_is_asked_for_on_the_terminal_and_not_echoed():
    shown = typed_at_a_terminal(b"hunter2\n")
    assert b"2 b'jdoe' 7" in shown
    assert b"hunter2" not in shown


@pytest.mark.skipif(sys.platform == "win32", reason="it has no pseudo-terminals")
def test_whoever_types_nothing_at_a_terminal_is_not_told_that_there_is_none():
    shown = typed_at_a_terminal(b"\x04")  # Ctrl-D
    assert b"--ask-password: no password was typed; ASYNCSTORE_PASSWORD can hold it" in shown


@pytest.mark.skipif(sys.platform == "win32", reason="it has no pseudo-terminals")
def test_a_password_that_is_not_utf_8_is_refused_and_not_shown():
    shown = typed_at_a_terminal(b"caf\xe9\n")
    assert shown.split() == [*b"Password of jdoe:".split(), *_NOT_UTF_8.split()]


@pytest.mark.skipif(sys.platform == "win32", reason="it has no pseudo-terminals")
def test_neither_is_that_of_a_key(tmp_path):
    files = self_signed("localhost").write(tmp_path, "locked", password="hunter2")  # noqa: S106 - a test's
    shown = typed_at_a_terminal(b"caf\xe9\n", _ASK_FOR_A_KEY, files.key, files.certificate)
    said = f"--enable-tls {files.key}: what was typed is not UTF-8; ASYNCSTORE_USE_PASSWD can hold the password"
    assert shown.decode().split() == f"Password of the private key {files.key}: asyncstore send: {said}".split()


@pytest.mark.skipif(sys.platform == "win32", reason="it has no pseudo-terminals")
def test_nor_is_it_let_through_where_the_terminal_is_standard_input_alone():
    terminal, inner = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", _ASK], env=os.environ | {"LC_ALL": "C.UTF-8"},
        stdin=inner, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True,
    )  # fmt: skip
    with process:
        shown = process.stderr.read(len("Password of jdoe: "))
        os.write(terminal, b"caf\xe9\n")
        shown += process.stderr.read()
    os.close(inner)
    os.close(terminal)
    assert shown.split() == [*b"Password of jdoe:".split(), *_NOT_UTF_8.split()]


def test_without_a_terminal_there_is_nobody_to_ask():
    done = subprocess.run(
        [sys.executable, "-c", _ASK],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, start_new_session=True,
    )  # fmt: skip
    assert done.stderr == (
        "--ask-password: there is no terminal to ask at; ASYNCSTORE_PASSWORD can hold the password\n"
    )


def test_asking_needs_a_user_and_gives_way_to_the_rightmost():
    with pytest.raises(UsageError, match="--ask-password is only allowed with --user"):
        parsed("--ask-password")
    assert identity_of(parsed("-usr", "jdoe", "--ask-password", "-pwd", "a")).secondary == b"a"
