"""``asyncstore scan``: the plan, for people and for machines, and what a peer accepts of it."""

from __future__ import annotations

import json

import pytest

from asyncstore import ConnectFailed, ConversionOptions, PairAnswer, Sender, Sink, Transcode, listed
from asyncstore.cli.commands.findings import Findings
from asyncstore.cli.options.command_table import SCAN
from support import trees, values
from support.commands import asyncstore, needs_a_full_device, running_sink
from support.peers.hostile import running_hostile
from support.peers.programs import find_program, running

pytestmark = pytest.mark.slow

HOST = "127.0.0.1"
CT = "1.2.840.10008.5.1.4.1.1.2"
EXPLICIT = "1.2.840.10008.1.2.1"
NEVER = ConversionOptions(transcode=Transcode.NEVER)
JPEG_2000 = "1.2.840.10008.1.2.4.91"


@pytest.fixture
def good(tmp_path):
    """Three instances and nothing else."""
    trees.instances(tmp_path / "good", 3)
    return tmp_path / "good"


@pytest.fixture
def mixed(good):
    """Three instances, a text, and an instance that storescp does not take unless it is told to."""
    trees.text_file(good)
    [compressed] = [path for path in trees.pydicom_test_files() if path.name == "JPEG2000.dcm"]
    (good / "compressed.dcm").write_bytes(compressed.read_bytes())
    return good


def uncompressed_only():
    """A storescp as it is shipped: it takes no compressed transfer syntax."""
    program = find_program("storescp", "dcmtk")
    return running(lambda port: [program, "--ignore", str(port)])


def objects(text):
    return [json.loads(line) for line in text.splitlines()]


class TestPlan:
    async def test_it_is_that_of_a_dry_run(self, good):
        scanned = await asyncstore("scan", good)
        planned = await asyncstore("send", "--dry-run", "pacs.invalid", "104", good)
        assert scanned.returncode == planned.returncode == 0
        assert scanned.out == planned.out.removeprefix("to pacs.invalid:104: ")
        assert scanned.out.startswith("3 instances, 8.40 kB\n")

    async def test_2_when_some_file_cannot_be_sent(self, good):
        trees.text_file(good)
        done = await asyncstore("scan", good, good / "gone")
        assert done.returncode == 2
        assert "cannot be sent: 2 files" in done.out
        assert "no such file or directory  such as " in done.out

    async def test_1_when_nothing_is_there(self, tmp_path):
        done = await asyncstore("scan", tmp_path)
        assert (done.returncode, done.out) == (1, "no files were found\n")

    async def test_1_when_no_file_is_an_instance(self, tmp_path):
        trees.text_file(tmp_path)
        done = await asyncstore("scan", tmp_path)
        assert done.returncode == 1
        assert "cannot be sent: 1 file\n" in done.out
        assert "1 no instance was found or the peer could not be asked" in " ".join(SCAN.notes)

    async def test_the_files_are_chosen_as_for_send(self, good):
        trees.text_file(good)
        done = await asyncstore("scan", "+sd", "+r", "+sp", "*.dcm", "--workers", "1", good)
        assert done.returncode == 0
        names = b"\0".join(str(path).encode() for path in good.rglob("*.dcm"))
        listed = await asyncstore("scan", "--files-from", "-", "--null", stdin=names)
        assert listed.out == done.out

    async def test_the_format_of_files_is_chosen_as_for_send(self, good):
        done = await asyncstore("scan", "-f", good)
        assert done.returncode == 1
        assert "cannot be sent: 3 files" in done.out
        for option in ("+f", "+fo"):
            assert (await asyncstore("scan", option, good)).returncode == 0

    async def test_files_named_like_options_are_files_behind_two_hyphens(self, tmp_path, monkeypatch):
        """What a shell makes of ``*`` in a folder that somebody else filled."""
        monkeypatch.chdir(tmp_path)
        hostile = '{"version": 1, "handlers": {"h": {"()": "pathlib.Path.touch", "self": "traces"}}}'
        for name, text in (("-lc", ""), ("-v", ""), ("@options", "--nothing"), ("evil.json", hostile)):
            (tmp_path / name).write_text(text)
        names = sorted(path.name for path in tmp_path.iterdir())
        done = await asyncstore("scan", "--", *names)
        assert (done.returncode, done.err) == (1, "")
        assert "cannot be sent: 4 files" in done.out
        done = await asyncstore("scan", "-lc", "evil.json", ".")
        assert (done.returncode, done.out) == (1, "")
        assert done.err == (
            "asyncstore scan: evil.json: handlers.h: () is not allowed: no code is run for a log configuration\n"
        )
        assert sorted(path.name for path in tmp_path.iterdir()) == names

    async def test_quiet_leaves_the_exit_code(self, good):
        done = await asyncstore("scan", "-q", good)
        assert (done.returncode, done.out, done.err) == (0, "", "")


class TestJson:
    async def test_the_plan_is_one_object_a_line_in_place_of_the_text(self, mixed):
        done = await asyncstore("scan", "--json", "-", mixed)
        first, second, unsendable, summary = objects(done.out)
        assert first == {
            "type": "context",
            "sop_class_uid": CT,
            "sop_class": "CTImageStorage",
            "transfer_syntax_uid": EXPLICIT,
            "transfer_syntax": "LittleEndianExplicit",
            "instances": 3,
            "bytes": 8400,
            "accepted": None,
            "answer": None,
            "decompressed_bytes": None,
        }
        assert second["transfer_syntax_uid"] == JPEG_2000
        assert unsendable == {
            "type": "unsendable",
            "reason": "not a DICOM file",
            "files": 1,
            "example": f"{mixed}/README.txt",
        }
        assert (summary["instances"], summary["pairs"], summary["unsendable"]) == (4, 2, 1)
        assert (summary["peer"], summary["exit_code"]) == (None, done.returncode)

    async def test_a_file_leaves_the_text_where_it_is(self, good, tmp_path):
        done = await asyncstore("scan", "--json", tmp_path / "plan", good)
        assert done.out.startswith("3 instances")
        assert len(objects((tmp_path / "plan").read_text())) == 2

    async def test_a_file_that_cannot_be_written_is_said_before_the_work(self, good):
        done = await asyncstore("scan", "--json", "/nowhere/plan", good)
        said = "asyncstore scan: --json /nowhere/plan: cannot write it: No such file or directory\n"
        assert (done.returncode, done.out, done.err) == (1, "", said)

    @needs_a_full_device
    async def test_a_file_that_cannot_be_written_to_its_end_is_said_with_what_to_do(self, good):
        done = await asyncstore("scan", "--json", "/dev/full", good)
        said = (
            "asyncstore scan: --json /dev/full: cannot write it: No space left on device\n"
            "Name a file that lies elsewhere, or - for standard output.\n"
        )
        assert (done.returncode, done.out, done.err) == (1, "", said)


class TestWidth:
    """On a terminal no word is broken; columns that do not fit stand below."""

    PATH = "/archive/" + "folder/" * 9 + "IM 0001"

    async def _report(self, width, answer=None):
        findings = Findings()
        uid = "1.2.840.10008.5.1.4.1.1.77.1.5.4"  # OphthalmicTomographyImageStorage
        await findings.add([values.instance(self.PATH, uid, "1.2", JPEG_2000, 0, 2800)])
        await findings.add(
            [
                values.unsendable(
                    self.PATH, "a reason that takes many words, more than there is room for in one line of it"
                )
            ]
        )
        if answer is not None:
            findings.answers = {pair: PairAnswer(*pair, is_accepted=False, answer=answer) for pair in findings.pairs}
        return list(findings.report(f"to pacs.example.org:104: {'and so on ' * 7}", width=width))

    async def test_a_row_that_fits_is_one_line(self):
        lines = await self._report(120)
        assert "          1  2.80 kB  OphthalmicTomographyImageStorage  JPEG2000" in lines
        assert "                      SOP class" not in lines

    async def test_what_does_not_fit_stands_below(self):
        lines = await self._report(80, "transfer syntaxes not supported")
        assert lines[3:7] == [
            "  instances     data  peer",
            "                      SOP class                         transfer syntax",
            "          1  2.80 kB  transfer syntaxes not supported",
            "                      OphthalmicTomographyImageStorage  JPEG2000",
        ]

    async def test_sentences_are_broken_between_words_and_paths_are_whole(self):
        lines = await self._report(80)
        assert lines[-3:] == [
            "  1    a reason that takes many words, more than there is room for in one line",
            "       of it",
            f"    such as {self.PATH}",
        ]
        assert max(len(line) for line in lines if self.PATH not in line) <= 80

    async def test_a_page_without_an_edge_has_a_line_for_each_row(self):
        assert len((await self._report(None))[-1]) > 120


class TestContexts:
    """One number, wherever it is said: that of the contexts which a run proposes."""

    async def test_it_is_what_a_run_proposes(self, mixed):
        [summary] = [
            line for line in objects((await asyncstore("scan", "--json", "-", mixed)).out) if "contexts" in line
        ]
        told = (await asyncstore("scan", mixed)).out
        async with running_sink() as sink:
            sent = await asyncstore("send", "-nh", "-v", "+v", "--associations", "1", HOST, str(sink.port), mixed)
        proposed = {line.split(": ")[2] for line in sent.err.splitlines() if ": context " in line}
        assert summary["contexts"] == len(proposed) == 4  # one of them to decompress into
        assert "\n4 presentation contexts to propose: " in told

    async def test_more_than_128_are_counted_over_several_associations(self):
        findings = Findings()
        await findings.add([values.instance(f"{n}", f"1.2.3.{n}", "1.2", EXPLICIT, 0, 10) for n in range(130)])
        assert [len(contexts) for contexts in findings.requests] == [128, 128, 4]
        assert any(line.startswith("260 presentation contexts to propose: ") for line in findings.report())

    async def test_classes_of_the_files_beyond_64_are_sent_over_another_association_with_required(self):
        findings = Findings(listed(required=True))
        await findings.add([values.instance(f"{n}", f"1.2.3.{n}", "1.2", EXPLICIT, 0, 10) for n in range(65)])
        assert [len(contexts) for contexts in findings.requests] == [128, 2]
        assert findings.sendable == 65


class TestPeerCheck:
    @pytest.mark.peers
    async def test_what_storescp_refuses_is_said_for_each_context(self, mixed):
        async with uncompressed_only() as scp:
            words = ("scan", "--transcode", "never", "--peer-check", HOST, str(scp.port))
            done = await asyncstore(*words, mixed)
            lines = objects((await asyncstore(*words, "--json", "-", mixed)).out)
        assert done.returncode == 2
        assert "  accepted                         CTImageStorage" in done.out
        assert "  transfer syntaxes not supported  " in done.out
        assert f"{HOST}:{scp.port} takes 1 of these 2 kinds of instances: 1 instance, " in done.out
        assert [(line["accepted"], line["answer"]) for line in lines[:2]] == [
            (True, "accepted"),
            (False, "transfer syntaxes not supported"),
        ]
        assert lines[-1]["peer"] == f"{HOST}:{scp.port}"

    @pytest.mark.peers
    async def test_what_is_decompressed_is_said_with_the_bytes_that_it_grows_to(self, mixed):
        async with uncompressed_only() as scp:
            words = ("scan", "--peer-check", HOST, str(scp.port))
            done = await asyncstore(*words, mixed)
            lines = objects((await asyncstore(*words, "--json", "-", mixed)).out)
        assert "  in LittleEndianExplicit: decompressed  " in done.out
        assert "\ndecompressed before it is sent: 1 instance, 2.97 kB become 527 kB\n" in done.out
        assert [(line["accepted"], line["decompressed_bytes"]) for line in lines[:2]] == [(True, None), (True, 526_986)]

    async def test_0_when_all_is_accepted_from_a_named_peer(self, good, tmp_path):
        async with running_sink("--aet", "PACS") as sink:
            (tmp_path / "a.toml").write_text(f'[peers.p]\nhost = "{HOST}"\nport = {sink.port}\ncall = "PACS"\n')
            done = await asyncstore("scan", "--config", tmp_path / "a.toml", "--peer", "p", good)
            counted = (await sink.end()).out
        assert done.returncode == 0, done
        assert done.out.endswith(f"{HOST}:{sink.port} accepts all of them\n")
        assert counted.startswith("received 0 instances, 0 B, in 1 association")

    async def test_1_when_the_peer_cannot_be_asked_and_the_plan_is_shown_all_the_same(self, good, refusing_port):
        done = await asyncstore("scan", "--peer-check", HOST, str(refusing_port), good)
        assert done.returncode == 1
        assert done.out.startswith("3 instances")
        assert done.err.startswith(f"asyncstore scan: {HOST}:{refusing_port}: cannot connect: ")

    async def test_the_address_is_checked_as_any_other(self, good):
        done = await asyncstore("scan", "--peer-check", HOST, "0", good)
        assert done.err.startswith("asyncstore scan: --peer-check: 0 is out of range (1..65535)")


class TestNegotiate:
    """The library's face of it."""

    async def test_more_pairs_than_an_association_takes_take_another(self):
        pairs = [(f"1.2.3.{number}", EXPLICIT) for number in range(130)]
        async with Sink(port=0) as sink, Sender(HOST, sink.port) as sender:
            answers = await sender.negotiate([*pairs, pairs[0]])
            assert sink.tally.associations_total == 3  # two contexts for each: its own, and what it can be converted to
        assert [(answer.sop_class_uid, answer.transfer_syntax_uid) for answer in answers] == pairs
        assert all(answer.is_accepted for answer in answers)

    async def test_every_pair_is_asked_once_and_answered_in_its_place_however_they_fit_into_associations(self):
        """Of 128 contexts 126 are taken: the SOP class of three that comes next waits, that of one behind it fits."""
        jpeg = [f"1.2.840.10008.1.2.4.{number}" for number in (50, 51, 70)]
        pairs = [(f"1.2.3.{number}", uid) for number in range(43) for uid in jpeg] + [("1.2.3.43", JPEG_2000)]
        async with running_hostile() as scp, Sender(HOST, scp.port, conversion=NEVER) as sender:
            answers = await sender.negotiate(pairs)
        assert [(answer.sop_class_uid, answer.transfer_syntax_uid) for answer in answers] == pairs
        asked = [
            (str(context.abstract_syntax), str(uid))
            for association in scp.associations
            for context in association.request.presentation_context_definition_list
            for uid in context.transfer_syntax
        ]
        assert len(scp.associations) == 2
        assert sorted(asked) == sorted(pairs)

    @pytest.mark.peers
    async def test_every_pair_has_its_answer(self):
        async with uncompressed_only() as scp, Sender(HOST, scp.port) as sender:
            answers = await sender.negotiate([(CT, JPEG_2000), ("1.2.3", EXPLICIT), (CT, EXPLICIT)])
        assert answers == [
            PairAnswer(CT, JPEG_2000, is_accepted=True, answer="in LittleEndianExplicit: decompressed"),
            PairAnswer("1.2.3", EXPLICIT, is_accepted=False, answer="abstract syntax not supported"),
            PairAnswer(CT, EXPLICIT, is_accepted=True, answer="accepted"),
        ]

    async def test_a_peer_that_is_not_there_is_an_error(self, refusing_port):
        async with Sender(HOST, refusing_port) as sender:
            with pytest.raises(ConnectFailed):
                await sender.negotiate([(CT, EXPLICIT)])
