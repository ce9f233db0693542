"""What scan and --dry-run tell of what was found."""

import json
import re

import pytest

from asyncstore.cli.commands.findings import Findings
from asyncstore.cli.commands.forecast import Forecaster
from asyncstore.model import Oddity
from asyncstore.negotiation import Planned, listed
from asyncstore.prepare.converter import ConversionOptions
from asyncstore.prepare.pool import Pool
from support import trees, values
from support.commands import asyncstore, running_sink

pytestmark = pytest.mark.slow

HOST = "127.0.0.1"
CT = "1.2.840.10008.5.1.4.1.1.2"
EXPLICIT, JPEG = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.4.50"


def _instance(number, uid=None, **fields):
    return values.changed(values.instance(f"/{number}", CT, uid or f"1.2.{number}", EXPLICIT), **fields)


async def _told(*batch, proposal=None, **options):
    pool = Pool(1)
    forecaster = Forecaster(proposal, pool, ConversionOptions()) if proposal else None
    findings = Findings(proposal or Planned(), forecaster, **options)
    await findings.add(batch)
    pool.close()
    return "\n".join(findings.report())


async def test_an_unusual_uid_is_told_once():
    unusual = [
        _instance(number, f"1.2.{letter}", oddities=int(Oddity.UNUSUAL_UID)) for number, letter in enumerate("AB")
    ]
    told = await _told(_instance(7), *unusual)
    assert "/0: SOP instance UID 1.2.A: sent as it is, but DICOM allows digits and dots only" in told
    assert "1.2.B" not in told
    assert "digits" not in await _told(_instance(7))


async def test_files_with_the_same_sop_instance_uid_are_named_in_pairs():
    told = await _told(_instance(1, "1.1"), _instance(2), *(_instance(number, "1.1") for number in range(3, 10)))
    assert (
        "7 instances have the SOP instance UID of an earlier one: a peer keeps only one of those that share it" in told
    )
    assert "\n  /3 and /1\n  /4 and /1\n" in told
    assert "\n  and 2 more" in told


async def test_uids_that_are_to_be_invented_are_not_compared():
    assert "earlier" not in await _told(_instance(1, "1.1"), _instance(2, "1.1"), counts_repeats=False)


async def test_what_cannot_be_sent_is_told_by_kind():
    classes = [_instance(number, sop_class_uid=f"1.2.3.{number}", transfer_syntax_uid=JPEG) for number in range(60)]
    cut_off = [values.unsendable(f"/{number}", f"it is cut off within (0008,{number:04X})") for number in range(40)]
    lines = (await _told(*classes, *cut_off, proposal=listed())).splitlines()
    told = lines[lines.index("cannot be sent: 100 files") :]
    assert len(told) <= 20
    assert told[1].split() == [
        "60",
        "its",
        "SOP",
        "class",
        "is",
        "not",
        "among",
        "those",
        "proposed",
        "such",
        "as",
        "/0",
    ]
    assert [line.split() for line in told if "cut off" in line] == [
        ["40", "it", "is", "cut", "off", "within", "…", "such", "as", "/0"]
    ]


async def test_a_dry_run_counts_a_file_once_that_would_be_sent_several_times(tmp_path):
    trees.instances(tmp_path, 1)
    planned = await asyncstore("send", "--dry-run", "--repeat", "3", "pacs.invalid", "104", tmp_path)
    assert re.match(r"to pacs.invalid:104: 1 instance, [^,]+, each 3 times\n", planned.out), planned.out


async def test_the_plan_for_machines_names_repeated_uids(tmp_path):
    good = _repeated(tmp_path)
    done = await asyncstore("scan", "--json", "-", tmp_path)
    *_, repeated, summary = map(json.loads, done.out.splitlines())
    assert repeated == {"type": "repeated", "path": str(good[1]), "earlier": str(good[0])}
    assert summary["repeated_sop_instance_uids"] == 1
    planned = await asyncstore("send", "--dry-run", "+II", "pacs.invalid", "104", tmp_path)
    assert "earlier one" not in planned.out


def _repeated(folder):
    """Two files with the same SOP instance UID, in the order of the walk."""
    (first,) = trees.instances(folder, 1)
    second = first.with_name(f"{first.name}.copy")
    second.write_bytes(first.read_bytes())
    return first, second


async def test_a_run_tells_how_many_instances_were_stored_in_place_of_others(tmp_path):
    _repeated(tmp_path)
    async with running_sink() as sink:
        for words, count in (((), 1), (("+II",), 0), (("--repeat", "2"), None)):
            done = await asyncstore("send", *words, "--json", "-", HOST, str(sink.port), tmp_path)
            assert json.loads(done.out.splitlines()[-1])["repeated_sop_instance_uids"] == count
            said = "1 stored instance has the SOP instance UID of an earlier one: the peer keeps only one."
            assert (said in done.err) == (count == 1)
            assert done.returncode == 0
