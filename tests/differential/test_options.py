"""Every option of storescu once, by name: the same words do the same. Those of TLS are in test_tls.py."""

from __future__ import annotations

import shutil
import warnings
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import pytest
from pydicom import Dataset, dcmread, dcmwrite

from asyncstore.cli.options.command_table import SEND
from differential.test_tls import CASES as OF_TLS
from support.differential.acceptors import accepts_only
from support.differential.alike import assert_alike
from support.differential.conversation import EXPLICIT_BIG
from support.differential.programs import INPUTS
from support.differential.words import CHOICES, PROPOSING, of_storescu
from support.peers.hostile import Behaviour, accepts, answers, never_answers, stays_silent

pytestmark = pytest.mark.peers


class Case(NamedTuple):
    """Words, and what they are tried with."""

    words: str
    """Names of files of the test in braces."""
    names: tuple[str, ...] = ("ct", "report")
    expected: int | None = None
    """How many instances there are to store, if not one for each name."""
    behaviour: Behaviour = Behaviour()
    said: str | None = None
    """How lines begin that both print."""


SLOW = Behaviour(on_request=stays_silent())
BIG = Behaviour(on_request=accepts_only(EXPLICIT_BIG))
FAILING = Behaviour(on_store=answers(0xA700))
CONFIRMING = Behaviour(on_request=accepts(identity_response=b"yes"))

CASES = {
    "--help": [],
    "--version": [],
    "--arguments": [],  # these three are compared in tests/cli/test_like_storescu.py
    "--quiet": [Case("-q"), Case("-q", behaviour=FAILING)],
    "--verbose": [Case("-v", said="I: ")],
    "--debug": [Case("-d", said="D: ")],
    "--log-level": [Case("-ll info", said="I: "), Case("-ll fatal"), Case("-ll debug", said="D: ")],
    "--log-config": [Case("-lc {logging}", said="INFO")],
    "--verbose-pc": [Case("-v +v", said="I: ")],
    "--read-file": [Case("+f", ("ct", "bare", "bare-big-endian"))],
    "--read-file-only": [Case("+fo"), Case("+fo -nh", ("ct", "bare"))],
    "--read-dataset": [Case("-f", ("bare",)), Case("-f", ("bare-big-endian",)), Case("-f -nh", ("ct", "bare"))],
    "--scan-directories": [Case("+sd", ("tree",), 2)],
    "--scan-pattern": [Case("+sd +sp *.dcm", ("tree",), 1), Case("+sd +sp ?t", ("tree",), 1)],
    "--no-recurse": [Case("+sd -r", ("tree",), 2)],
    "--recurse": [Case("+sd +r", ("tree",), 4), Case("+sd +r +sp *.dcm", ("tree", "report"), 3)],
    "--no-rename": [Case("-rn")],
    "--rename": [Case("-rn +rn -rn")],  # what it renames is compared in test_files.py
    "--aetitle": [Case("-aet US"), Case("-aet -v"), Case("-aet SIXTEEN-LETTERS!")],
    "--call": [Case("-aec THEM"), Case("-aec @{title}")],
    "--config-file": [Case("-xf {profiles} Default"), Case("-xf {profiles} mixed", ("ct", "jpeg"))],
    **{name: [Case(short)] for short, name in of_storescu() if short in CHOICES},
    "--required": [Case("-R"), Case("-R", ("document", "ct", "document")), Case("-R -xi", ("ct", "implicit"))],
    "--combine": [Case("+C"), Case("+C -xs", ("report", "ct")), Case("+C -R -xe", behaviour=BIG)],
    "--enable-new-vr": [Case("+u", ("young",))],
    "--disable-new-vr": [Case("-u", ("young",)), Case("-u -xb", ("young",)), Case("-u -xs", ("young", "jpeg"))],
    "--compression-level": [Case(f"-xd +cl {level}") for level in (0, 1, 9)],
    "--user": [Case("-usr me"), Case("-usr me", behaviour=CONFIRMING)],
    "--password": [Case("-usr me -pwd secret"), Case("-usr me -pwd @{title}")],
    "--empty-password": [Case("-usr me -epw")],
    "--kerberos": [Case("-kt {ticket}"), Case("-kt {nothing}"), Case("-kt {missing}")],
    "--saml": [Case("--saml {ticket}")],
    "--jwt": [Case("--jwt {ticket}"), Case("-usr me --jwt {ticket}")],
    "--pos-response": [
        Case("-usr me -rsp", behaviour=CONFIRMING),
        Case("-usr me -rsp"),
        Case("-usr me -pwd x -rsp"),
        Case("-kt {ticket} -rsp", behaviour=CONFIRMING),
    ],
    "--timeout": [Case("-to 5")],
    "--socket-timeout": [Case("-ts 5"), Case("-ts 0")],
    "--acse-timeout": [Case("-ta 5"), Case("-ta 1", behaviour=SLOW)],
    "--dimse-timeout": [Case("-td 5"), Case("-td 1", behaviour=never_answers)],
    "--max-pdu": [Case("-pdu 4096"), Case("-pdu 4097"), Case("-pdu 131072")],
    "--max-send-pdu": [Case("--max-send-pdu 4096"), Case("--max-send-pdu 131072 -pdu 8192")],
    "--repeat": [Case("--repeat 3", expected=6), Case("--repeat 2", behaviour=FAILING)],
    "--abort": [Case("--abort"), Case("--abort", behaviour=FAILING)],
    "--no-halt": [Case("-nh"), Case("-nh", behaviour=FAILING), Case("-nh", ("text", "ct", "missing"))],
    "--uid-padding": [Case("-up", ("padded", "ct"))],
    "--invent-instance": [],
    "--invent-series": [],
    "--invent-study": [],
    "--invent-patient": [],  # they are compared in test_invention.py
    **dict.fromkeys(OF_TLS, ()),  # they are compared in test_tls.py
}
NOT_IN_STORESCU = {
    *("--ask-password", "--associations", "--async-ops", "--config", "--dry-run", "--files-from", "--json", "--null"),
    *("--peer", "--progress", "--workers", "--propose-htj2k", "--propose-htj2k-lossless", "--propose-jpegxl"),
    *("--no-verify-hostname", "--profile-basic", "--profile-8996", "--profile-8996-mod", "--list-profiles"),
    *("--no-sni", "--request-sni", "--ipv4", "--ipv6", "--ip-auto", "--max-inflated", "--transcode"),
    *("--journal", "--journal-on-network", "--retry-failed", "--retry-not-sent", "--order", "--only-studies"),
    *("--only-uids", "--conflicts", "--affinity", "--metrics-port", "--metrics-host", "--metrics-file"),
    *("--retries", "--retry-statuses", "--wait-for-peer", "--limit-rate", "--limit-stores", "--max-duration"),
    *("--time-zone", "--guard-echo", "--systemd", "--peer-moved"),
    *("--set", "--remove", "--uid-suffix", "--map", "--map-others", "--original-attributes", "--repair"),
    *("--archives", "--archive-ratio", "--archive-bytes", "--archive-files", "--archive-file-bytes", "--ahead"),
    *("--dicomdir",),
}
"""Ours, and those of DCMTK's versions that are older or newer than the installed one."""

PROFILES = """
[[TransferSyntaxes]]
[Plain]
TransferSyntax1 = LocalEndianExplicit
TransferSyntax2 = OppositeEndianExplicit
TransferSyntax3 = LittleEndianImplicit
[JPEG]
TransferSyntax1 = JPEGBaseline
[[PresentationContexts]]
[Some]
PresentationContext1 = CTImageStorage\\Plain
PresentationContext2 = 1.2.840.10008.5.1.4.1.1.88.11\\Plain
PresentationContext3 = SecondaryCaptureImageStorage\\JPEG
[[SCUSCPRoleSelection]]
[Roles]
Role1 = CTImageStorage\\BOTH
[[Profiles]]
[Default]
PresentationContexts = Some
[Mixed]
PresentationContexts = Some
SCUSCPRoleSelection = Roles
"""
LOGGING = """
log4cplus.rootLogger = INFO, console
log4cplus.appender.console = log4cplus::ConsoleAppender
log4cplus.appender.console.logToStdErr = true
log4cplus.appender.console.layout = log4cplus::PatternLayout
log4cplus.appender.console.layout.ConversionPattern = %p %m%n
"""


@pytest.fixture(scope="module")
def given(tmp_path_factory, archive):
    """The files that words name, and the path of an input by its name."""
    folder = tmp_path_factory.mktemp("options")
    for name, text in {
        "profiles": PROFILES,
        "logging": LOGGING,
        "title": "'A TITLE'",
        "ticket": "a ticket\0of odd length",
        "nothing": "",
    }.items():
        (folder / name).write_text(text)
    for below in ("tree", "tree/deeper", "tree/deeper/deepest"):
        (folder / below).mkdir()
    for copy in ("tree/ct", "tree/ct.dcm", "tree/deeper/report.dcm", "tree/deeper/deepest/colour"):
        shutil.copy(archive.path(copy.rpartition("/")[2].partition(".")[0]), folder / copy)
    _write_young(folder / "young", archive)
    _write_padded(folder / "padded", archive)
    return folder


def _write_young(path, archive):
    """An instance with elements of VRs that the standard of 1993 did not have, in two depths."""
    instance = dcmread(archive.path("ct"))
    item = Dataset()
    item.add_new(0x0040A160, "UT", "some text")
    item.add_new(0x00091001, "UN", b"unknown!")
    instance.ReferencedSeriesSequence = [item]
    instance.add_new(0x00080119, "UC", "a long code")
    instance.add_new(0x00091001, "UN", b"unknown!")
    instance.add_new(0x7FE00008, "OF", b"\1\2\3\4")
    with warnings.catch_warnings(action="ignore"):
        dcmwrite(path, instance)


def _write_padded(path, archive):
    """An instance whose UID is padded with a space, in the file meta information and in the data set."""
    content, uid = Path(archive.path("ct")).read_bytes(), str(dcmread(archive.path("ct")).SOPInstanceUID)
    assert len(uid) % 2
    assert content.count(uid.encode() + b"\0") == 2
    path.write_bytes(content.replace(uid.encode() + b"\0", uid.encode() + b" "))


def _inputs(case, given, archive):
    return [str(given / name) if (given / name).exists() else archive.path(name) for name in case.names]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "case"), [pytest.param(name, case, id=case.words) for name, cases in CASES.items() for case in cases]
)
def test_does_the_same(recorder, given, archive, name, case):
    files = {path.name: path for path in given.iterdir()} | {"missing": given / "missing"}
    words = case.words.format_map(files).split()
    if not PROPOSING & {*words}:
        words.append("-x=")
    assert name in chain.from_iterable(row for row in of_storescu() if {*row} & {*words})
    theirs, ours = recorder.both(*words, INPUTS, *_inputs(case, given, archive), behaviour=case.behaviour)
    assert_alike(words, theirs, ours, len(case.names) if case.expected is None else case.expected)
    if "--max-send-pdu" in words:
        limit = int(words[words.index("--max-send-pdu") + 1])
        assert all(one.longest_pdu <= limit for one in (*theirs.associations, *ours.associations))
    for said in (theirs.said.output, ours.said.output):
        if case.said is not None:
            assert any(line.startswith(case.said) for line in said.splitlines())
        elif name in ("--quiet", "--log-level"):
            assert not [line for line in said.splitlines() if line.startswith(("I: ", "W: ", "E: "))]


def test_every_option_of_storescu_has_a_case():
    names = {long for _, long in of_storescu()}
    assert names == {*CASES}
    assert names | NOT_IN_STORESCU == {row.long for row in SEND.options()}
